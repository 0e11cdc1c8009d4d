"""How one call of Infobip's API is served: key, fault, handler, delay, log, answer."""

import asyncio
import math
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sandbox.account import Account
from sandbox.clock import now_ms
from sandbox.errors import ErrorBody
from sandbox.faults import CallFault
from sandbox.traffic import LoggedRequest

# The ASGI extension under which our uvicorn protocol hands over the transport: resets need it. See `server.py`.
CONNECTION = "sandbox.connection"

_JSON = (b"content-type", b"application/json")
_ERROR_STATUS = {CallFault.TOO_MANY_REQUESTS: 429, CallFault.SERVER_ERROR: 500}
_BEFORE = (CallFault.RESET_BEFORE, CallFault.TIMEOUT_BEFORE)
_AFTER = (CallFault.RESET_AFTER, CallFault.TIMEOUT_AFTER)
_RESETS = (CallFault.RESET_BEFORE, CallFault.RESET_AFTER)


@dataclass(frozen=True, slots=True)
class Call:
    """`arrived_ms` is when the whole body was here; `key` is the API key as given after `App `."""

    body: bytes
    query: bytes
    headers: Mapping[bytes, bytes]  # names in lower case
    key: str
    arrived_ms: int

    def header(self, name: str) -> str:
        """Empty where it is not given."""
        return self.headers.get(name.lower().encode("latin-1"), b"").decode("latin-1").strip()

    @property
    def media_type(self) -> str:
        return media_type_in(self.header("Content-Type"))


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    retry_after_seconds: float | None = None

    def headers(self) -> list[tuple[bytes, bytes]]:
        headers = [_JSON, (b"content-length", str(len(self.body)).encode())]
        if self.retry_after_seconds is not None:
            # The header has whole seconds only.
            headers.append((b"retry-after", str(math.ceil(self.retry_after_seconds)).encode()))
        return headers


Handler = Callable[[Account, Call], Answer]


class ClientGone(Exception):
    """The client left before its body was complete."""


class InfobipCall:
    """ASGI endpoint for one call. `error_body` is the shape in which this call's errors are written."""

    def __init__(self, account: Account, handler: Handler, error_body: ErrorBody) -> None:
        self._account = account
        self._handler = handler
        self._error_body = error_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _read_body(receive)
        except ClientGone:
            return
        headers = dict(scope["headers"])
        call = Call(
            body,
            scope["query_string"],
            headers,
            _key(headers.get(b"authorization", b"")),
            now_ms(),
        )
        answer, fault = self._answer(call)
        if answer is None or fault in _AFTER:
            self._log(scope, call, None)
            await _leave_unanswered(scope, receive, with_reset=fault in _RESETS)
            return
        delay = self._account.faults.chosen.answer_seconds
        if delay and await is_gone_within(delay, receive):
            self._log(scope, call, None)
            return
        self._log(scope, call, answer)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers()})
        await send({"type": "http.response.body", "body": answer.body})

    def _answer(self, call: Call) -> tuple[Answer | None, CallFault | None]:
        """The answer, None where the call comes to nothing; and the fault that may yet keep it back."""
        if not call.key or call.key.startswith("revoked"):
            return Answer(401, self._error_body(401, ())), None
        if call.key.startswith("unscoped"):
            return Answer(403, self._error_body(403, ())), None
        fault = self._account.faults.next_for_call()
        if fault in _BEFORE:
            return None, fault
        if fault in _ERROR_STATUS:
            status = _ERROR_STATUS[fault]
            retry_after = self._account.faults.chosen.retry_after_seconds if status == 429 else None
            return Answer(status, self._error_body(status, ()), retry_after), None
        return self._handler(self._account, call), fault

    def _log(self, scope: Scope, call: Call, answer: Answer | None) -> None:
        path = scope["path"] + (f"?{call.query.decode('latin-1')}" if call.query else "")
        status, response = (answer.status, answer.body) if answer else (None, None)
        self._account.requests.add(LoggedRequest(scope["method"], path, status, call.body, response, call.arrived_ms))


def infobip_route(account: Account, method: str, path: str, handler: Handler, error_body: ErrorBody) -> Route:
    return Route(path, InfobipCall(account, handler, error_body), methods=[method])


def media_type_in(text: str) -> str:
    """What stands before the parameters, in lower case."""
    return text.partition(";")[0].strip().lower()


def _key(authorization: bytes) -> str:
    scheme, _, key = authorization.decode("latin-1").partition(" ")
    return key.strip() if scheme == "App" else ""


async def _read_body(receive: Receive) -> bytes:
    chunks = []
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        chunks.append(event.get("body", b""))
        if not event.get("more_body", False):
            return b"".join(chunks)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def is_gone_within(seconds: float, receive: Receive) -> bool:
    """Waits that long, or until the client leaves."""
    try:
        await asyncio.wait_for(_until_gone(receive), seconds)
    except TimeoutError:
        return False
    return True


async def _leave_unanswered(scope: Scope, receive: Receive, with_reset: bool) -> None:
    """Silence until the client leaves, or a real TCP reset."""
    if with_reset:
        transport: asyncio.Transport = scope["extensions"][CONNECTION]["transport"]
        # Lingering for zero seconds makes the kernel send RST instead of FIN.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    await _until_gone(receive)
