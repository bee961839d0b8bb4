"""The routes that answer about texts: predictions, also of many lines, and explanations."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field, ValidationError

from ulmfit_lib.errors import DataError
from ulmfit_lib.evaluation.certainty import Precision
from ulmfit_lib.server.guarding import Limits, Metrics
from ulmfit_lib.server.models import Models, Served, ServedModel, answer
from ulmfit_lib.tokens.rules import well_formed

IN_MEMORY = 1_000_000  # bytes; longer bodies go to a file
TOGETHER = 64  # texts that are labelled at a time, so that other requests get their turn between them
RETRY_SECONDS = 1
SECONDS_BUSY = 0.05  # after which a request of many lines looks again whether it may go on
REFUSED: dict[int | str, dict[str, Any]] = {404: {"description": "No such model"}, 413: {}, 429: {}}
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


async def receive(request: Request) -> IO[bytes]:
    """A request's body; it is read to its end first, since many clients send all before they read anything."""
    body: IO[bytes] = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (whoever answers closes it)
    async for piece in request.stream():
        body.write(piece)
    return body


def read_texts(body: IO[bytes], *, characters: int) -> Iterator[str]:
    """The text of each line, which is a JSON string or an object with a ``text``; blank lines are skipped."""
    body.seek(0)
    for number, line in enumerate(body, start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"line {number} is no JSON ({error}): each line is a string, or an object with a text"
            ) from error
        text = found.get("text") if isinstance(found, dict) else found
        if not isinstance(text, str):
            raise DataError(
                f'line {number} holds no text: each line is a string, or an object such as {{"text": "Fine."}}'
            )
        if len(text) > characters:
            raise DataError(f"line {number}: a text of {len(text):,} characters: at most {characters:,}")
        yield well_formed(text)


class Asked(BaseModel, extra="forbid"):
    """What ``POST /predict`` takes."""

    texts: list[str] = Field(description="The texts.", examples=[["Loved every minute.", "Never again."]], min_length=1)
    model: str | None = Field(None, description="Name of a served model; by default the first.")
    min_precision: Share | dict[str, Share] | None = Field(
        None, description="Answer `unsure` below this precision; of some labels alone, by their names."
    )
    scope: Share | None = Field(
        None,
        description="Answer `none of these` for texts like nothing that was labelled, and keep this share of others.",
    )


ASKED_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": Asked.model_json_schema()}}}}


async def read_asked(request: Request) -> Asked:
    """What a request asks for, as FastAPI would read it; this saves a fifth of a request's time."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _no_json(f"Content-Type {kind!r}: application/json is needed")
    try:
        return Asked.model_validate(json.loads(await request.body()))
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in wrong]) from error
    except (ValueError, RecursionError) as error:
        raise _no_json(f"this is no JSON: {error}") from error


def _no_json(message: str) -> RequestValidationError:
    return RequestValidationError([{"type": "json_invalid", "loc": ("body",), "msg": message}])


class Explained(BaseModel, extra="forbid"):
    """What ``POST /explain`` takes."""

    text: str = Field(description="The text.", examples=["A wonderful film with a weak ending."])
    label: str | None = Field(None, description="Explain this label; by default the likeliest.")
    model: str | None = Field(None, description="Name of a served model; by default the first.")


@dataclass(frozen=True)
class Predicting:
    """Answers about texts in a request, in the pool of the models' threads."""

    models: Models  # that are served
    limits: Limits  # of a request
    metrics: Metrics  # what Prometheus is told

    def router(self) -> APIRouter:
        """``/predict`` and ``/explain``."""
        router = APIRouter()
        router.post("/predict", responses=REFUSED, openapi_extra=ASKED_BODY)(self.predict)
        router.post("/predict/lines", responses=REFUSED, response_class=StreamingResponse)(self.predict_lines)
        router.post("/explain", responses=REFUSED)(self.explain)
        return router

    async def predict(self, request: Request) -> JSONResponse:
        """Label texts: the label, how sure it is, and the probability of every class."""
        asked = await read_asked(request)
        self._check(asked.texts)
        model = find_model(self.models, asked.model)
        with self._places(len(asked.texts)):
            said = await self._ask(await model.ready(), asked.texts, asked.min_precision, asked.scope)
        self.metrics.texts.inc(len(asked.texts))
        return JSONResponse({"model": model.folder_name, "predictions": said})

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
            predictor = await model.ready()  # one for all lines, even if its folder is replaced meanwhile
            lines = read_texts(body, characters=self.limits.characters)
            while texts := list(islice(lines, TOGETHER)):
                while self.models.under_way + len(texts) > self.models.waiting and self.models.under_way:
                    await asyncio.sleep(SECONDS_BUSY)
                self.models.under_way += len(texts)
                try:
                    said = await self._ask(predictor, texts)
                finally:
                    self.models.under_way -= len(texts)
                self.metrics.texts.inc(len(texts))
                yield "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in said)

    async def explain(self, asked: Explained) -> dict[str, Any]:
        """Which words of a text speak for its label, and which against it."""
        self._check([asked.text])
        model = find_model(self.models, asked.model)
        words = max(1, len(asked.text.split()))  # each is left out once
        with self._places(min(words, self.models.waiting)):
            predictor = await model.ready()
            task = partial(predictor.explain, well_formed(asked.text), label=asked.label)
            found = await asyncio.get_running_loop().run_in_executor(self.models.pool, task)
        return dict(found.as_dict())

    def _check(self, texts: list[str]) -> None:
        most = self.limits
        if len(texts) > most.texts:
            raise HTTPException(413, f"{len(texts):,} texts in one request: at most {most.texts:,}; use /jobs")
        longest = max(map(len, texts), default=0)
        if longest > most.characters:
            raise HTTPException(413, f"a text of {longest:,} characters: at most {most.characters:,}")

    async def _ask(
        self, predictor: Served, texts: list[str], min_precision: Precision | None = None, scope: float | None = None
    ) -> list[dict[str, Any]]:
        """The answers, once the texts are read together with those of other requests; by themselves for a scope."""
        if scope is not None or (predictor.scope and predictor.scope.keep):
            task = partial(answer, predictor, texts, min_precision, scope=scope)
            return await asyncio.get_running_loop().run_in_executor(self.models.pool, task)
        finish = partial(answer, predictor, texts, min_precision)
        return await asyncio.wrap_future(self.models.batches.ask(predictor, texts, finish))

    @contextmanager
    def _places(self, texts: int) -> Iterator[None]:
        """Places for so many texts, if there are any."""
        if self.models.under_way + texts > self.models.waiting:
            raise _busy(self.models)
        self.models.under_way += texts
        try:
            yield
        finally:
            self.models.under_way -= texts


def _busy(models: Models) -> HTTPException:
    return HTTPException(
        429,
        f"{models.under_way:,} texts are waiting already; try again in {RETRY_SECONDS} second",
        {"Retry-After": str(RETRY_SECONDS)},
    )


def find_model(models: Models, name: str | None) -> ServedModel:
    """The served model of a name, or the first one; an HTTPException where there is none."""
    found = models.find(name)
    if found is None:
        raise HTTPException(404, f"no model is called {name!r}; served are {', '.join(models.by_name) or 'none'}")
    return found
