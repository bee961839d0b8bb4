"""What every request goes through: a token, limits, and counts for Prometheus."""

import hmac
import time
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ulmfit_lib.server.models import Models

OPEN = ("/", "/docs", "/openapi.json", "/health", "/ready")  # that need no token, nor do the page's own files
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
UPLOADS = ("/jobs", "/columns", "/trainings", "/predict/lines")


@dataclass(frozen=True)
class Limits:
    """What one request may ask for."""

    texts: int = 1000  # in one request
    characters: int = 100_000  # in one text
    body: int = 10_000_000  # bytes of a request with texts
    file: int = 1_000_000_000  # bytes of a file


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


def path_of(request: Request) -> str:
    """The path behind the prefix that a proxy serves this under."""
    return str(request.scope["path"]).removeprefix(request.scope.get("root_path", ""))


class Prefix:
    """Serve under the prefix of a proxy; addresses without it mean the same, for some proxies cut it off."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app, self.prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http":
            whole = scope["path"].startswith(f"{self.prefix}/")
            scope = {**scope, "root_path": self.prefix, "path": scope["path"] if whole else self.prefix + scope["path"]}
        await self.app(scope, receive, send)


class Guard:
    """Refuse what may not pass, count all, and say what pages may do with answers."""

    def __init__(self, app: ASGIApp, token: str | None, limits: Limits, metrics: Metrics) -> None:
        self.app, self.token, self.limits, self.metrics = app, token, limits, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status, request = time.monotonic(), 500, Request(scope)

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            await (refusal(request, self.token, self.limits) or self.app)(scope, receive, send_on)
        finally:
            is_page = path_of(request).startswith("/page")
            route = "page" if is_page else getattr(scope.get("route"), "path", "other")
            self.metrics.seen(route, status, time.monotonic() - started)


def refusal(request: Request, token: str | None, limits: Limits) -> JSONResponse | None:
    """What a request gets that brings no token or too many bytes."""
    path = path_of(request)
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
