"""The outermost layer: a request's ID, its line in the access log, and an answer to what nobody else caught.

A caller that has an ID of its own for the request names it in `X-Request-ID`. The line also says what the call made,
and what a route has left in `request.state.told`: IDs and counts, nothing else.
"""

import random
import re
import time

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import of_bug
from worker.logs import is_id
from worker.metrics import OTHER, http_request_seconds, http_requests_total, webhook_requests_total

_log = structlog.get_logger()

_CLIENT_GONE = 499
_REQUEST_ID = b"x-request-id"
_MADE = {  # the route's template: whose ID it answers
    "/v1/batches": "batch_id",
    "/v1/batches/{batch_id}/replay": "batch_id",
    "/v1/messages": "message_id",
}
_BEGINS_WITH_ID = re.compile(rb'\{"id":"([0-9a-f-]{36})"')
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
        request_id = _request_id(scope)
        begins = b""

        async def send_noting(message: Message) -> None:
            nonlocal status, begins
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (_REQUEST_ID, request_id.encode())]
            elif not begins:
                begins = message.get("body", b"")[:64]
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
        _log_access(scope, status, begins, time.perf_counter() - started)


def _request_id(scope: Scope) -> str:
    """The caller's, or one of ours."""
    for name, value in scope["headers"]:
        if name == _REQUEST_ID and is_id(given := value.decode("latin-1")):
            return str(given)
    return f"{random.getrandbits(128):032x}"


def _ids(scope: Scope, route: str, status: int, begins: bytes) -> dict[str, object]:
    """What the call made, by how its answer begins: so it is named too where the answer is an earlier one's. And what
    the route told."""
    told = dict(scope.get("state", {}).get("told", ()))
    kind = _MADE.get(route) if scope["method"] == "POST" and status // 100 == 2 else None
    if kind is not None and (made := _BEGINS_WITH_ID.match(begins)):
        told[kind] = made[1].decode()
    return told


def _log_access(scope: Scope, status: int, begins: bytes, seconds: float) -> None:
    """Names the route's template only: raw paths hold webhook tokens, queries hold numbers."""
    route = getattr(scope.get("route"), "path", "unknown")
    method = scope["method"] if scope["method"] in _METHODS else OTHER
    http_requests_total.labels(method, route, str(status)).inc()
    http_request_seconds.labels(method, route).observe(seconds)
    ids = _ids(scope, route, status, begins)
    _log.info("request", method=method, route=route, status=status, duration_seconds=round(seconds, 6), **ids)
    if route.startswith("/webhooks/"):
        webhook_requests_total.labels(route.rsplit("/", 1)[1], str(status)).inc()
