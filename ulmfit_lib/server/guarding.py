"""What every request goes through: a token, limits, and counts for Prometheus."""

import hmac
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ulmfit_lib.server.models import Models

OPEN = ("/", "/docs", "/openapi.json", "/health", "/ready")  # that need no token, nor do the page's own files
UPLOADS = ("/jobs", "/trainings")


@dataclass(frozen=True)
class Limits:
    """What one request may ask for.

    Attributes:
        texts: in one request.
        characters: in one text.
        body: bytes of a request with texts.
        file: bytes of a file.
    """

    texts: int = 1000
    characters: int = 100_000
    body: int = 10_000_000
    file: int = 1_000_000_000


class Metrics:
    """What Prometheus is told; no text is among it."""

    def __init__(self, models: Models) -> None:
        self.registry = CollectorRegistry()
        options: dict[str, Any] = {"registry": self.registry}
        self.texts = Counter("ulmfit_texts", "Texts that were labelled.", **options)
        self._requests = Counter("ulmfit_requests", "Requests by route and status.", ["route", "status"], **options)
        self._seconds = Histogram("ulmfit_request_seconds", "Seconds a request took.", ["route"], **options)
        Gauge("ulmfit_texts_waiting", "Texts under way.", **options).set_function(lambda: models.under_way)

    def seen(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def as_text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self.registry)


def refusal(request: Request, token: str | None, limits: Limits) -> JSONResponse | None:
    """What a request gets that brings no token or too many bytes."""
    path = request.url.path
    if token and path not in OPEN and not path.startswith("/page"):
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.encode()):
            return JSONResponse({"detail": "a token is needed: Authorization: Bearer TOKEN"}, 401)
    if request.method == "POST":
        most = limits.file if path in UPLOADS else limits.body
        size = request.headers.get("content-length", "")
        if not size.isdigit():
            return JSONResponse({"detail": "a request must say its length (Content-Length)"}, 411)
        if int(size) > most:
            return JSONResponse({"detail": f"a request of {int(size):,} bytes: at most {most:,}"}, 413)
    return None
