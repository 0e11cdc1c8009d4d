"""The body of a request, read and checked, and the idempotency key that came with it."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, TypeVar

import anyio
import anyio.to_thread
from fastapi import Request
from pydantic import BaseModel, ValidationError
from sqlalchemy import Engine

from api.auth import Caller
from api.database import engine_of
from api.problems import TooLarge, TooSlow, Unavailable, UnsupportedBody, refusal_of
from worker.idempotency import Key
from worker.refusals import Refusal

MEBIBYTE = 1024 * 1024
_MOST_BYTES = 2 * MEBIBYTE
MOST_LARGE_AT_ONCE = 4  # JSON bodies beyond that, in one process: each is in memory as a whole
LARGE_SECONDS = 300.0  # for such a one to come, from its place on: it keeps others out meanwhile
_LONGEST_KEY = 255

NDJSON = "application/x-ndjson"

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Posted(Generic[T]):
    """A request that creates or changes: who sent it, its body, and its idempotency key where it named one."""

    body: T
    caller: Caller
    engine: Engine
    key: Key | None


class JsonBody(Generic[T]):
    """The dependency that reads a JSON body of at most `most_bytes` into `model`. Stands after the caller's.

    `check`: Refusal of what must not even be parsed."""

    def __init__(
        self, model: type[T], most_bytes: int = _MOST_BYTES, check: Callable[[bytes], None] | None = None
    ) -> None:
        self.model = model
        self._most_bytes = most_bytes
        self._check = check

    async def __call__(self, request: Request) -> Posted[T]:
        return await self.read(request)

    async def read(self, request: Request, on_large: Callable[[], None] = lambda: None) -> Posted[T]:
        """`on_large`: as of `read_body`."""
        _check_type(request)
        raw = await read_body(request, self._most_bytes, on_large)
        if len(raw) <= _MOST_BYTES:
            return self._posted(request, raw)
        return await anyio.to_thread.run_sync(self._posted, request, raw)

    def _posted(self, request: Request, raw: bytes) -> Posted[T]:
        if self._check is not None:
            self._check(raw)
        caller: Caller = request.state.caller
        return Posted(self._parse(raw), caller, engine_of(request), key_of(request, caller, sha256(raw).digest()))

    def _parse(self, raw: bytes) -> T:
        try:
            return self.model.model_validate_json(raw)
        except ValidationError as error:
            raise refusal_of(error) from error


class JsonOrLines(Generic[T]):
    """The dependency of a route that takes its body as JSON or, much longer, as NDJSON: then it gives None, and nothing
    is read yet. JSON that is larger than other bodies may be has one of a few places until it is answered, and comes in
    time, or not at all."""

    def __init__(self, json: JsonBody[T]) -> None:
        self.json = json

    async def __call__(self, request: Request) -> AsyncIterator[Posted[T] | None]:
        if media_type_of(request) == NDJSON:
            yield None
            return
        with ExitStack() as place:
            yield await self._read(request, place)

    async def _read(self, request: Request, place: ExitStack) -> Posted[T]:
        with anyio.CancelScope() as scope:

            def take_place() -> None:
                place.enter_context(place_among(request.app.state.large_bodies, request, "large JSON bodies"))
                scope.deadline = anyio.current_time() + LARGE_SECONDS

            return await self.json.read(request, take_place)
        raise _too_slow()


@contextmanager
def place_among(places: anyio.CapacityLimiter, request: Request, named: str) -> Iterator[None]:
    """One of the places for requests of a kind, until this one is over. Errors: Unavailable, where none is free."""
    try:
        places.acquire_on_behalf_of_nowait(request)
    except anyio.WouldBlock as error:
        raise Unavailable(
            f"{places.total_tokens:.0f} {named} are being sent here at this moment, and no more fit: repeat it later",
            retry_after_seconds=10,
        ) from error
    try:
        yield
    finally:
        places.release_on_behalf_of(request)


async def read_body(request: Request, most_bytes: int, on_large: Callable[[], None] = lambda: None) -> bytes:
    """The whole body, counted as it comes: a length that is announced may be missing or wrong. Errors: TooLarge.

    `on_large`: called once, before more of it is held than most bodies may have."""
    announced = announced_bytes(request)
    if announced > most_bytes:
        raise _too_large(most_bytes)
    is_large = announced > _MOST_BYTES
    if is_large:
        on_large()
    size, chunks = 0, []
    async for chunk in request.stream():
        size += len(chunk)
        if size > most_bytes:
            raise _too_large(most_bytes)
        if size > _MOST_BYTES and not is_large:
            is_large = True
            on_large()
        chunks.append(chunk)
    return b"".join(chunks)


async def read_in_time(request: Request, most_bytes: int) -> bytes:
    """`read_body`, of a body that has one of a few places. Errors: TooLarge, TooSlow."""
    with anyio.move_on_after(LARGE_SECONDS):
        return await read_body(request, most_bytes)
    raise _too_slow()


def _too_slow() -> TooSlow:
    return TooSlow(f"The body did not come within {LARGE_SECONDS:.0f} s, and nothing was stored: send it again")


def _too_large(most_bytes: int) -> TooLarge:
    return TooLarge(f"The body is larger than {most_bytes // MEBIBYTE} MiB: send several requests")


def announced_bytes(request: Request) -> int:
    """How long the body is to be; 0 where that is not said."""
    announced = request.headers.get("content-length", "")
    return int(announced) if announced.isdigit() else 0


def media_type_of(request: Request) -> str:
    return request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()


def check_encoding(request: Request) -> None:
    """Errors: UnsupportedBody, of a compressed one."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedBody("Send the body as it is, without Content-Encoding: compressed ones are not read")


def _check_type(request: Request) -> None:
    check_encoding(request)
    media_type = media_type_of(request)
    if media_type == NDJSON:
        raise UnsupportedBody("Only POST /v1/batches takes NDJSON: send JSON, with Content-Type: application/json")
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise UnsupportedBody("Send the body as JSON, with Content-Type: application/json")


def key_of(request: Request, caller: Caller, body_hash: bytes) -> Key | None:
    """`body_hash`: the raw body's SHA-256. Errors: Refusal of a name that cannot be one."""
    name = request.headers.get("idempotency-key")
    if name is None or request.method != "POST":
        return None
    if not (name.isascii() and name.isprintable() and 1 <= len(name) <= _LONGEST_KEY):
        raise Refusal.of_field("Idempotency-Key", f"must be 1 to {_LONGEST_KEY} printable ASCII characters")
    return Key(caller.token_id, f"POST {request.scope['path']}", name, body_hash)
