# A classifier behind HTTP, on a CPU, without PyTorch: docker build -t ulmfit-serve .
# docker run -p 8000:8000 -e ULMFIT_TOKEN=... -v ./models/reviews-onnx:/model:ro ulmfit-serve
FROM python:3.11-slim AS build
COPY . /source
RUN python -m venv /opt/ulmfit && /opt/ulmfit/bin/pip install --no-cache-dir '/source/packaging/predict[serve,subword]'

FROM python:3.11-slim
COPY --from=build /opt/ulmfit /opt/ulmfit
RUN useradd --create-home ulmfit
USER ulmfit
WORKDIR /home/ulmfit
EXPOSE 8000
# No token, no server: it listens beyond this machine, and serve then asks for one (ULMFIT_TOKEN).
ENTRYPOINT ["/opt/ulmfit/bin/ulmfit", "serve", "--host", "0.0.0.0"]
CMD ["/model"]
