"""The HTTP interface of served classifiers."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from ulmfit_lib.artifact.report import Report
from ulmfit_lib.errors import UlmfitError
from ulmfit_lib.rows.reader import FileFormat, upload_name
from ulmfit_lib.server.guarding import Limits, Metrics, refusal
from ulmfit_lib.server.jobs import Job, Jobs
from ulmfit_lib.server.labelling import count_rows, label_file
from ulmfit_lib.server.models import Busy, Models, ServedModel, answer
from ulmfit_lib.server.reference import render_reference
from ulmfit_lib.server.training import Train, Trainings
from ulmfit_lib.version import __version__

PAGE = Path(__file__).parent / "page"
SECURITY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"
RETRY_SECONDS = 1
Uploaded = Annotated[UploadFile, File(description="A CSV, TSV, JSON Lines or Parquet file.")]


class Asked(BaseModel):
    """What ``POST /predict`` takes."""

    texts: list[str] = Field(description="The texts.", examples=[["Loved every minute.", "Never again."]], min_length=1)
    model: str | None = Field(None, description="Name of a served model; by default the first.")
    min_precision: float | None = Field(None, gt=0, lt=1, description="Answer `unsure` below this precision.")


class Explained(BaseModel):
    """What ``POST /explain`` takes."""

    text: str = Field(description="The text.", examples=["A wonderful film with a weak ending."])
    label: str | None = Field(None, description="Explain this label; by default the likeliest.")
    model: str | None = Field(None, description="Name of a served model; by default the first.")


def create_app(
    models: Models, *, folder: Path, train: Train | None = None, token: str | None = None, limits: Limits | None = None
) -> FastAPI:
    """The application.

    Args:
        models: that are served.
        folder: where jobs and trained models are kept.
        train: what trains a model on a file (``pipeline.fit_file.fit_file``); None: none may be trained.
        token: that every request must bring as ``Authorization: Bearer``; None: none is needed.
        limits: of a request.
    """
    allowed, metrics = limits or Limits(), Metrics(models)
    jobs = Jobs(folder / "jobs", partial(label_file, models=models))
    trainings = Trainings(folder / "trained", train, models.add) if train else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(jobs.stop)
        if trainings:
            await asyncio.to_thread(trainings.jobs.stop)
        models.pool.shutdown()

    app = FastAPI(title="ulmfit_lib", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)

    @app.middleware("http")
    async def guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        started, path = time.monotonic(), request.url.path
        refused = refusal(request, token, allowed)
        response = refused or await go_on(request)
        response.headers["Content-Security-Policy"] = SECURITY
        response.headers["X-Content-Type-Options"] = "nosniff"
        route = getattr(request.scope.get("route"), "path", "other") if not path.startswith("/page") else "page"
        metrics.seen(route, response.status_code, time.monotonic() - started)
        return response

    @app.exception_handler(UlmfitError)
    async def mistake(_: Request, error: UlmfitError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    def served(name: str | None) -> ServedModel:
        found = models.find(name)
        if found is None:
            raise HTTPException(404, f"no model is called {name!r}; served are {', '.join(models.by_name) or 'none'}")
        return found

    async def in_turn(texts: int, task: Callable[[], Any]) -> Any:
        """Run a task in the pool, if so many texts may still wait."""
        try:
            models.reserve(texts)
        except Busy:
            raise HTTPException(
                429,
                f"{models.under_way:,} texts are waiting already; try again in {RETRY_SECONDS} second",
                {"Retry-After": str(RETRY_SECONDS)},
            ) from None
        try:
            return await asyncio.get_running_loop().run_in_executor(models.pool, task)
        finally:
            models.under_way -= texts

    def check(texts: list[str]) -> None:
        if len(texts) > allowed.texts:
            raise HTTPException(413, f"{len(texts):,} texts in one request: at most {allowed.texts:,}; use /jobs")
        longest = max(map(len, texts), default=0)
        if longest > allowed.characters:
            raise HTTPException(413, f"a text of {longest:,} characters: at most {allowed.characters:,}")

    @app.post("/predict", responses={413: {}, 429: {}})
    async def predict(asked: Asked) -> dict[str, Any]:
        """Label texts: the label, how sure it is, and the probability of every class."""
        check(asked.texts)
        model = served(asked.model)
        said = await in_turn(len(asked.texts), lambda: answer(model.current(), asked.texts, asked.min_precision))
        metrics.texts.inc(len(asked.texts))
        return {"model": model.path.resolve().name, "predictions": said}

    @app.post("/explain", responses={413: {}, 429: {}})
    async def explain(asked: Explained) -> dict[str, Any]:
        """Which words of a text speak for its label, and which against it."""
        check([asked.text])
        model = served(asked.model)
        words = max(1, len(asked.text.split()))  # each is left out once
        found = await in_turn(
            min(words, models.waiting), lambda: model.current().explain(asked.text, label=asked.label)
        )
        return dict(found.as_dict())

    @app.post("/jobs", status_code=202)
    async def begin(
        file: Uploaded,
        text: Annotated[str, Form(description="Its column of texts.", examples=["review"])],
        model: Annotated[str | None, Form(description="Name of a served model; by default the first.")] = None,
        encoding: Annotated[str | None, Form(description="Its encoding; by default it is found.")] = None,
        delimiter: Annotated[str | None, Form(description="What stands between its columns, likewise.")] = None,
        quoting: Annotated[str | None, Form(description="`double`, `backslash` or `none`, likewise.")] = None,
    ) -> dict[str, str]:
        """Label a file in the background: `text` names its column of texts. Ask /jobs/ID how far it is."""
        served(model)
        written = FileFormat(encoding, delimiter, quoting)

        def begin_job() -> Job:
            return jobs.begin(
                partial(_copy, file),
                file=upload_name(file.filename),
                look=lambda path: count_rows(path, text, written),
                model=model,
                column=text,
                format=asdict(written),
            )

        return {"id": (await asyncio.to_thread(begin_job)).name}

    @app.get("/jobs/{name}")
    async def state(name: str) -> dict[str, Any]:
        """How far a job is: `waiting`, `running`, `done` or `failed`, and how many rows of how many."""
        if job := jobs.find(name):
            return job.state
        raise HTTPException(404, "there is no such job")

    @app.get("/jobs/{name}/result")
    async def result(name: str) -> FileResponse:
        """The file with its predictions, its rows in their order."""
        if (job := jobs.find(name)) and job.result.is_file():
            return FileResponse(job.result, media_type="text/csv", filename="predictions.csv")
        raise HTTPException(404, "there is no such job, or it is not done")

    @app.delete("/jobs/{name}", status_code=204)
    async def forget(name: str) -> None:
        """Forget a job, its file and its result."""
        await asyncio.to_thread(jobs.remove, name)

    if trainings:
        _add_trainings(app, trainings)

    @app.get("/models")
    async def list_models() -> list[dict[str, Any]]:
        """The served models: classes, scores beside the baseline, and how sure they are."""
        return [
            {
                "name": name,
                "classes": one.predictor.classes,
                "direction": one.predictor.direction,
                "report": _scores(one.predictor.training.report),
            }
            for name, one in models.by_name.items()
        ]

    @app.get("/health")
    async def health() -> dict[str, str]:
        """The server runs."""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready() -> dict[str, Any]:
        """It has a model, and not more is waiting than may wait."""
        if not models.by_name or models.under_way >= models.waiting:
            raise HTTPException(503, "not ready")
        return {"status": "ready", "models": list(models.by_name)}

    @app.get("/metrics")
    async def show_metrics() -> Response:
        """For Prometheus."""
        return Response(metrics.as_text(), media_type="text/plain; version=0.0.4")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    @app.get("/docs", include_in_schema=False)
    async def reference(request: Request) -> HTMLResponse:
        return HTMLResponse(render_reference(app.openapi(), str(request.base_url).rstrip("/")))

    app.mount("/page", StaticFiles(directory=PAGE))
    return app


def _scores(report: Report | None) -> dict[str, Any]:
    """A report without the predictions for single rows."""
    return replace(report, out_of_fold=None).as_json() if report else {}


def _copy(upload: UploadFile, path: Path) -> None:
    with path.open("wb") as copy:
        shutil.copyfileobj(upload.file, copy)


def _add_trainings(app: FastAPI, trainings: Trainings) -> None:
    @app.post("/trainings", status_code=202)
    async def begin_training(
        file: Uploaded,
        text: Annotated[str, Form(description="Its column of texts.", examples=["review"])],
        label: Annotated[str, Form(description="Its column of labels.", examples=["sentiment"])],
        name: Annotated[str, Form(description="What the model will be called.", examples=["reviews"])],
    ) -> dict[str, Any]:
        """Train a classifier on a file; it is served under `name` when it is done. One at a time."""
        content, where = partial(_copy, file), upload_name(file.filename)
        await asyncio.to_thread(trainings.begin, content, name=name, text=text, label=label, file=where)
        return trainings.state()

    @app.get("/trainings")
    async def training_state() -> dict[str, Any]:
        """What is trained, or was last, and what the process says."""
        return trainings.state()

    @app.delete("/trainings", status_code=204)
    async def cancel_training() -> None:
        """Stop the training that runs."""
        trainings.cancel()
