"""Many texts in one request, as JSON lines: received whole, checked, and answered line by line as they are labelled."""

import json
from collections.abc import Iterator
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import IO

from starlette.requests import Request

from ulmfit_lib.errors import DataError
from ulmfit_lib.tokens.rules import well_formed

IN_MEMORY = 1_000_000  # bytes; longer bodies go to a file
TOGETHER = 64  # texts that are labelled at a time, so that other requests get their turn between them


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


def in_pieces(texts: Iterator[str]) -> Iterator[list[str]]:
    """A few texts at a time."""
    return iter(lambda: list(islice(texts, TOGETHER)), [])
