# A classifier behind HTTP, on a CPU, without PyTorch: docker build -t ulmfit-serve .
# docker run -p 8000:8000 -e ULMFIT_TOKEN=... -v ./models/reviews-onnx:/model:ro ulmfit-serve
FROM python:3.11-slim AS build
COPY . /source
RUN python -m venv /opt/ulmfit && /opt/ulmfit/bin/pip install --no-cache-dir '/source/packaging/predict[network,serve,subword]'

FROM python:3.11-slim
COPY --from=build /opt/ulmfit /opt/ulmfit
RUN useradd --uid 1000 --create-home ulmfit
USER 1000
# Files that are being labelled lie here; a volume can be written even where `--read-only` forbids the rest.
WORKDIR /home/ulmfit
VOLUME /home/ulmfit
EXPOSE 8000
HEALTHCHECK --start-period=1m CMD ["/opt/ulmfit/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health')"]
# No token, no server: it listens beyond this machine, and serve then asks for one (ULMFIT_TOKEN).
ENTRYPOINT ["/opt/ulmfit/bin/ulmfit", "serve", "--host", "0.0.0.0"]
CMD ["/model"]
