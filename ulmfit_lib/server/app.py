"""The HTTP interface of served classifiers, and the page that shows them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.routing import Match, Mount

from ulmfit_lib.errors import UlmfitError
from ulmfit_lib.server.answering import Predicting
from ulmfit_lib.server.guarding import Guard, Limits, Metrics, Prefix
from ulmfit_lib.server.jobs import Jobs, as_fields
from ulmfit_lib.server.labelling import label_file
from ulmfit_lib.server.models import Models
from ulmfit_lib.server.reference import render_reference
from ulmfit_lib.server.routes import job_routes, state_routes, training_routes
from ulmfit_lib.server.training import Train, Trainings
from ulmfit_lib.version import __version__

METHODS = ("DELETE", "GET", "HEAD", "POST")
PAGE = Path(__file__).parent / "page"


def create_app(
    models: Models,
    *,
    folder: Path,
    train: Train | None = None,
    token: str | None = None,
    limits: Limits | None = None,
    prefix: str = "",
    origins: Sequence[str] = (),
) -> FastAPI:
    """The application: its models, a folder for jobs and trained models, and what it asks of requests.

    Args:
        train: what trains a model on a file (``pipeline.fit_file.fit_file``); None: none may be trained.
        token: that every request must bring as ``Authorization: Bearer``; None: none is needed.
        prefix: under which a proxy serves this, such as ``/ulmfit``.
        origins: of other sites whose pages may ask, such as ``https://intranet.example``.
    """
    limits, metrics = limits or Limits(), Metrics(models)
    jobs = Jobs(folder / "jobs", partial(label_file, models=models))
    trainings = Trainings(folder / "trained", train, models.add) if train else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(jobs.stop)
        if trainings:
            await asyncio.to_thread(trainings.jobs.stop)
        models.pool.shutdown()

    app = FastAPI(
        title="ulmfit_lib",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses={422: {"model": Refusal}},
    )
    _explain_mistakes(app)
    app.add_middleware(Guard, token=token, limits=limits, metrics=metrics)
    if prefix:
        app.add_middleware(Prefix, prefix=prefix)
    if origins:
        app.add_middleware(CORSMiddleware, allow_origins=list(origins), allow_methods=["*"], allow_headers=["*"])
    app.include_router(Predicting(models, limits, metrics).router())
    app.include_router(job_routes(jobs, models))
    if trainings:
        app.include_router(training_routes(trainings))
    app.include_router(state_routes(models, metrics))
    _add_pages(app)
    return app


class Refusal(BaseModel):
    """What is wrong with a request: a sentence, or where it does not fit and why."""

    detail: str | list[dict[str, Any]]


def _explain_mistakes(app: FastAPI) -> None:
    """Say in a sentence what is wrong with a request."""

    @app.exception_handler(405)
    async def not_allowed(request: Request, _: HTTPException) -> JSONResponse:
        """All methods that a path has: the framework names those of one of its routes alone."""
        asked = {method: {**request.scope, "method": method} for method in METHODS}
        routes = [route for route in request.app.router.routes if not isinstance(route, Mount)]
        have = [method for method, one in asked.items() if any(route.matches(one)[0] == Match.FULL for route in routes)]
        return JSONResponse({"detail": "Method Not Allowed"}, 405, {"Allow": ", ".join(have or ["GET", "HEAD"])})

    @app.exception_handler(UlmfitError)
    async def mistake(_: Request, error: UlmfitError) -> JSONResponse:
        return JSONResponse({"detail": as_fields(str(error))}, 422)

    @app.exception_handler(RequestValidationError)
    async def misfit(_: Request, error: RequestValidationError) -> JSONResponse:
        wrong = [
            {name: one[name] for name in ("type", "loc", "msg")} for one in error.errors()
        ]  # what was sent may be NaN
        return JSONResponse({"detail": wrong}, 422)


def _add_pages(app: FastAPI) -> None:
    """What people look at in a browser."""

    @app.get("/", include_in_schema=False)
    @app.head("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    @app.get("/docs", include_in_schema=False)
    async def reference(request: Request) -> HTMLResponse:
        return HTMLResponse(render_reference(app.openapi(), str(request.base_url).rstrip("/")))

    app.mount("/page", StaticFiles(directory=PAGE))
