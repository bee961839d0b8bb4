"""The routes of jobs, trainings and the state of the server, a router for each."""

import asyncio
import shutil
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import FileResponse, PlainTextResponse

from ulmfit_lib.artifact.report import Report
from ulmfit_lib.labels.options import KindOptions
from ulmfit_lib.rows.kinds import FileFormat, upload_name
from ulmfit_lib.server.answering import find_model
from ulmfit_lib.server.guarding import Metrics
from ulmfit_lib.server.jobs import Job, Jobs
from ulmfit_lib.server.labelling import column_names, count_rows
from ulmfit_lib.server.models import Models
from ulmfit_lib.server.training import Trainings

Uploaded = Annotated[
    UploadFile, File(description="A CSV, TSV, JSON, Excel, Parquet or fastText file, or a .zip of one.")
]
TextColumn = Annotated[str, Form(description="Its column of texts.", examples=["review"])]


def file_format(
    encoding: Annotated[str | None, Form(description="The file's encoding; by default it is found.")] = None,
    delimiter: Annotated[str | None, Form(description="What stands between its columns, likewise.")] = None,
    quoting: Annotated[str | None, Form(description="`double`, `backslash`, `none` or `copy`, likewise.")] = None,
    sheet: Annotated[str | None, Form(description="Of a workbook; by default the first that has the columns.")] = None,
) -> FileFormat:
    """How an uploaded file is written, as fields of a form say it; an empty field says nothing."""
    return FileFormat(encoding or None, delimiter or None, quoting or None, sheet or None)


def kind_options(
    ratings: Annotated[bool, Form(description="The labels are numbers, and numbers are predicted.")] = False,
    label_delimiter: Annotated[str | None, Form(description="What stands between the labels of one text.")] = None,
) -> KindOptions:
    """What the labels of an uploaded file are; an empty field says nothing."""
    return KindOptions(ratings, label_delimiter or None)


NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such job or model."}}
Written = Annotated[FileFormat, Depends(file_format)]


async def refuse_unknown_fields(request: Request) -> None:
    """Say which field of a form there is none of: one that is misspelt would be left out in silence."""
    asked = request.scope["route"].dependant
    known = [field.alias for one in (asked, *asked.dependencies) for field in one.body_params]
    if unknown := next((name for name in await request.form() if name not in known), None):
        raise HTTPException(422, f"no field is called {unknown!r}; there are {', '.join(known)}")


def job_routes(jobs: Jobs, models: Models) -> APIRouter:
    """Files that are looked at, and that are labelled in the background."""
    router = APIRouter()

    @router.post("/columns", dependencies=[Depends(refuse_unknown_fields)])
    async def columns(file: Uploaded, written: Written) -> dict[str, list[str]]:
        """The names of a file's columns, and those of a workbook's sheets."""
        return await asyncio.to_thread(column_names, partial(_copy, file), upload_name(file.filename), written)

    @router.post("/jobs", status_code=202, responses=NOT_FOUND, dependencies=[Depends(refuse_unknown_fields)])
    async def begin(
        file: Uploaded,
        text: TextColumn,
        written: Written,
        model: Annotated[str | None, Form(description="Name of a served model; by default the first.")] = None,
    ) -> dict[str, str]:
        """Label a file in the background: `text` names its column of texts. Ask /jobs/ID how far it is."""
        find_model(models, model)

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

    @router.get("/jobs/{name}", responses=NOT_FOUND)
    async def state(name: str) -> dict[str, Any]:
        """How far a job is: `waiting`, `running`, `done` or `failed`, how many rows of how many, and `notes` on how its
        file was read."""
        if job := jobs.find(name):
            return job.state
        raise HTTPException(404, "there is no such job")

    @router.get("/jobs/{name}/result", responses=NOT_FOUND)
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
        label: Annotated[
            list[str],
            Form(
                description="Its column of labels; given several times, each says yes or no to one.",
                examples=[["sentiment"]],
            ),
        ],
        name: Annotated[str, Form(description="What the model will be called.", examples=["reviews"])],
        kind: Annotated[KindOptions, Depends(kind_options)],
        written: Written,
    ) -> dict[str, Any]:
        """Train a classifier on a file; it is served under `name` when it is done. One at a time."""

        def begin() -> None:
            trainings.begin(
                partial(_copy, file),
                name=name,
                text=text,
                label=label,
                kind=kind,
                file=upload_name(file.filename),
                written=written,
            )

        await asyncio.to_thread(begin)
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
                "direction": getattr(one.predictor, "direction", None),  # a static classifier has none
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

    @router.get("/metrics", response_class=PlainTextResponse)
    async def show_metrics() -> PlainTextResponse:
        """For Prometheus."""
        return PlainTextResponse(metrics.as_text(), media_type="text/plain; version=0.0.4")

    return router


def _scores(report: Report | None) -> dict[str, Any]:
    """A report without the predictions for single rows."""
    return replace(report, out_of_fold=None).as_json() if report else {}


def _copy(upload: UploadFile, path: Path) -> None:
    with path.open("wb") as copy:
        shutil.copyfileobj(upload.file, copy)
