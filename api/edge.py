"""The outermost layer: a request's ID, its line in the access log, and an answer to what nobody else caught."""

import random
import time

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import of_bug
from worker.metrics import OTHER, http_request_seconds, http_requests_total, webhook_requests_total

_log = structlog.get_logger()

_CLIENT_GONE = 499
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})  # a label takes no others


class Edge:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0
        request_id = f"{random.getrandbits(128):032x}"

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        # Never taken back: each request runs in a task, and so in a context, of its own.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_noting)
        except ClientDisconnect:
            status = status or _CLIENT_GONE
        except Exception as error:
            answer = of_bug(error)
            if status == 0:
                await answer(scope, receive, send_noting)
        _log_access(scope, status, time.perf_counter() - started)


def _log_access(scope: Scope, status: int, seconds: float) -> None:
    """Names the route's template only: raw paths hold webhook tokens, queries hold numbers."""
    route = getattr(scope.get("route"), "path", "unknown")
    method = scope["method"] if scope["method"] in _METHODS else OTHER
    http_requests_total.labels(method, route, str(status)).inc()
    http_request_seconds.labels(method, route).observe(seconds)
    _log.info("request", method=method, route=route, status=status, duration_seconds=round(seconds, 6))
    if route.startswith("/webhooks/"):
        webhook_requests_total.labels(route.rsplit("/", 1)[1], str(status)).inc()
