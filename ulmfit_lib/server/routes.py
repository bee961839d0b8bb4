"""What a server answers under each address, a router for each kind of request."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any

from fastapi import APIRouter, Depends, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, Field

from ulmfit_lib.artifact.report import Report
from ulmfit_lib.rows.kinds import upload_name
from ulmfit_lib.rows.reader import FileFormat
from ulmfit_lib.server.guarding import Limits, Metrics
from ulmfit_lib.server.jobs import Job, Jobs
from ulmfit_lib.server.labelling import column_names, count_rows
from ulmfit_lib.server.lines import in_pieces, read_texts, receive
from ulmfit_lib.server.models import Busy, Models, ServedModel, answer
from ulmfit_lib.server.training import Trainings
from ulmfit_lib.tokens.rules import well_formed

RETRY_SECONDS = 1
SECONDS_BUSY = 0.05  # after which a request of many lines looks again whether it may go on
Uploaded = Annotated[
    UploadFile, File(description="A CSV, TSV, JSON, Excel, Parquet or fastText file, or a .zip of one.")
]
Encoding = Annotated[str | None, Form(description="Its encoding; by default it is found.")]
Delimiter = Annotated[str | None, Form(description="What stands between its columns, likewise.")]
Quoting = Annotated[str | None, Form(description="`double`, `backslash` or `none`, likewise.")]
Sheet = Annotated[str | None, Form(description="The sheet of a workbook; by default the first that has the column.")]
TextColumn = Annotated[str, Form(description="Its column of texts.", examples=["review"])]


class Asked(BaseModel, extra="forbid"):
    """What ``POST /predict`` takes."""

    texts: list[str] = Field(description="The texts.", examples=[["Loved every minute.", "Never again."]], min_length=1)
    model: str | None = Field(None, description="Name of a served model; by default the first.")
    min_precision: float | None = Field(
        None, gt=0, lt=1, allow_inf_nan=False, description="Answer `unsure` below this precision."
    )


class Explained(BaseModel, extra="forbid"):
    """What ``POST /explain`` takes."""

    text: str = Field(description="The text.", examples=["A wonderful film with a weak ending."])
    label: str | None = Field(None, description="Explain this label; by default the likeliest.")
    model: str | None = Field(None, description="Name of a served model; by default the first.")


@dataclass(frozen=True)
class Predicting:
    """Answers about texts in a request, in the pool of the models' threads.

    Attributes:
        models: that are served.
        limits: of a request.
        metrics: what Prometheus is told.
    """

    models: Models
    limits: Limits
    metrics: Metrics

    def router(self) -> APIRouter:
        """``/predict`` and ``/explain``."""
        router = APIRouter()
        router.post("/predict", responses={413: {}, 429: {}})(self.predict)
        router.post("/predict/lines", responses={404: {}, 413: {}, 422: {}, 429: {}}, response_class=StreamingResponse)(
            self.predict_lines
        )
        router.post("/explain", responses={413: {}, 429: {}})(self.explain)
        return router

    async def predict(self, asked: Asked) -> dict[str, Any]:
        """Label texts: the label, how sure it is, and the probability of every class."""
        self._check(asked.texts)
        model = find_model(self.models, asked.model)
        said = await self._in_turn(len(asked.texts), lambda: answer(model.current(), asked.texts, asked.min_precision))
        self.metrics.texts.inc(len(asked.texts))
        return {"model": model.path.resolve().name, "predictions": said}

    async def predict_lines(self, request: Request, model: str | None = None) -> StreamingResponse:
        """Label any number of texts: JSON lines in, each a string or an object with a `text`, and JSON lines out."""
        chosen = find_model(self.models, model)
        if self.models.under_way >= self.models.waiting:
            raise _busy(self.models)
        body = await receive(request)
        try:
            await asyncio.to_thread(lambda: sum(1 for _ in read_texts(body, characters=self.limits.characters)))
        except BaseException:
            body.close()
            raise
        return StreamingResponse(self._answer_lines(chosen, body), media_type="application/x-ndjson")

    async def _answer_lines(self, model: ServedModel, body: IO[bytes]) -> AsyncIterator[str]:
        """One line a text; where as many texts wait as may, it waits, too."""
        with body:
            predictor = model.current()  # one for all lines, even if its folder is replaced meanwhile
            for texts in in_pieces(read_texts(body, characters=self.limits.characters)):
                while self.models.under_way + len(texts) > self.models.waiting and self.models.under_way:
                    await asyncio.sleep(SECONDS_BUSY)
                self.models.under_way += len(texts)
                try:
                    task = partial(answer, predictor, texts, None)
                    said = await asyncio.get_running_loop().run_in_executor(self.models.pool, task)
                finally:
                    self.models.under_way -= len(texts)
                self.metrics.texts.inc(len(texts))
                yield "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in said)

    async def explain(self, asked: Explained) -> dict[str, Any]:
        """Which words of a text speak for its label, and which against it."""
        self._check([asked.text])
        model = find_model(self.models, asked.model)
        words = max(1, len(asked.text.split()))  # each is left out once
        found = await self._in_turn(
            min(words, self.models.waiting), lambda: model.current().explain(well_formed(asked.text), label=asked.label)
        )
        return dict(found.as_dict())

    def _check(self, texts: list[str]) -> None:
        most = self.limits
        if len(texts) > most.texts:
            raise HTTPException(413, f"{len(texts):,} texts in one request: at most {most.texts:,}; use /jobs")
        longest = max(map(len, texts), default=0)
        if longest > most.characters:
            raise HTTPException(413, f"a text of {longest:,} characters: at most {most.characters:,}")

    async def _in_turn(self, texts: int, task: Callable[[], Any]) -> Any:
        """Run a task in the pool, if so many texts may still wait."""
        models = self.models
        try:
            models.reserve(texts)
        except Busy:
            raise _busy(models) from None
        try:
            return await asyncio.get_running_loop().run_in_executor(models.pool, task)
        finally:
            models.under_way -= texts


def _busy(models: Models) -> HTTPException:
    return HTTPException(
        429,
        f"{models.under_way:,} texts are waiting already; try again in {RETRY_SECONDS} second",
        {"Retry-After": str(RETRY_SECONDS)},
    )


def find_model(models: Models, name: str | None) -> ServedModel:
    """The served model of a name, or the first one.

    Raises:
        HTTPException: there is none.
    """
    found = models.find(name)
    if found is None:
        raise HTTPException(404, f"no model is called {name!r}; served are {', '.join(models.by_name) or 'none'}")
    return found


async def refuse_unknown_fields(request: Request) -> None:
    """Say which field of a form there is none of: one that is misspelt would be left out in silence.

    Raises:
        HTTPException: there is such a field.
    """
    known = [field.alias for field in request.scope["route"].dependant.body_params]
    if unknown := next((name for name in await request.form() if name not in known), None):
        raise HTTPException(422, f"no field is called {unknown!r}; there are {', '.join(known)}")


def job_routes(jobs: Jobs, models: Models) -> APIRouter:
    """Files that are looked at, and that are labelled in the background."""
    router = APIRouter()

    @router.post("/columns", dependencies=[Depends(refuse_unknown_fields)])
    async def columns(
        file: Uploaded,
        encoding: Encoding = None,
        delimiter: Delimiter = None,
        quoting: Quoting = None,
        sheet: Sheet = None,
    ) -> dict[str, list[str]]:
        """The names of a file's columns."""
        name, written = upload_name(file.filename), FileFormat(encoding, delimiter, quoting, sheet)
        return {"columns": await asyncio.to_thread(column_names, partial(_copy, file), name, written)}

    @router.post("/jobs", status_code=202, dependencies=[Depends(refuse_unknown_fields)])
    async def begin(
        file: Uploaded,
        text: TextColumn,
        model: Annotated[str | None, Form(description="Name of a served model; by default the first.")] = None,
        encoding: Encoding = None,
        delimiter: Delimiter = None,
        quoting: Quoting = None,
        sheet: Sheet = None,
    ) -> dict[str, str]:
        """Label a file in the background: `text` names its column of texts. Ask /jobs/ID how far it is."""
        find_model(models, model)
        written = FileFormat(encoding, delimiter, quoting, sheet)

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

    @router.get("/jobs/{name}")
    async def state(name: str) -> dict[str, Any]:
        """How far a job is: `waiting`, `running`, `done` or `failed`, and how many rows of how many."""
        if job := jobs.find(name):
            return job.state
        raise HTTPException(404, "there is no such job")

    @router.get("/jobs/{name}/result")
    async def result(name: str) -> FileResponse:
        """The file with its predictions, its rows in their order."""
        if (job := jobs.find(name)) and job.result.is_file():
            return FileResponse(job.result, media_type="text/csv", filename="predictions.csv")
        raise HTTPException(404, "there is no such job, or it is not done")

    @router.delete("/jobs/{name}", status_code=204)
    async def forget(name: str) -> None:
        """Forget a job, its file and its result."""
        await asyncio.to_thread(jobs.remove, name)

    return router


def training_routes(trainings: Trainings) -> APIRouter:
    """Models that are trained in the background."""
    router = APIRouter()

    @router.post("/trainings", status_code=202, dependencies=[Depends(refuse_unknown_fields)])
    async def begin_training(
        file: Uploaded,
        text: TextColumn,
        label: Annotated[str, Form(description="Its column of labels.", examples=["sentiment"])],
        name: Annotated[str, Form(description="What the model will be called.", examples=["reviews"])],
    ) -> dict[str, Any]:
        """Train a classifier on a file; it is served under `name` when it is done. One at a time."""
        content, where = partial(_copy, file), upload_name(file.filename)
        await asyncio.to_thread(trainings.begin, content, name=name, text=text, label=label, file=where)
        return trainings.state()

    @router.get("/trainings")
    async def training_state() -> dict[str, Any]:
        """What is trained, or was last, and what the process says."""
        return trainings.state()

    @router.delete("/trainings", status_code=204)
    async def cancel_training() -> None:
        """Stop the training that runs."""
        trainings.cancel()

    return router


def state_routes(models: Models, metrics: Metrics) -> APIRouter:
    """What is served, and whether the server works."""
    router = APIRouter()

    @router.get("/models")
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

    @router.get("/health")
    @router.head("/health", include_in_schema=False)
    async def health() -> dict[str, str]:
        """The server runs."""
        return {"status": "ok"}

    @router.get("/ready")
    @router.head("/ready", include_in_schema=False)
    async def ready() -> dict[str, Any]:
        """It has a model, and not more is waiting than may wait."""
        if not models.by_name or models.under_way >= models.waiting:
            raise HTTPException(503, "not ready")
        return {"status": "ready", "models": list(models.by_name)}

    @router.get("/metrics")
    async def show_metrics() -> Response:
        """For Prometheus."""
        return Response(metrics.as_text(), media_type="text/plain; version=0.0.4")

    return router


def _scores(report: Report | None) -> dict[str, Any]:
    """A report without the predictions for single rows."""
    return replace(report, out_of_fold=None).as_json() if report else {}


def _copy(upload: UploadFile, path: Path) -> None:
    with path.open("wb") as copy:
        shutil.copyfileobj(upload.file, copy)
