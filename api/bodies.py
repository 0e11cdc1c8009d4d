"""The body of a request, read and checked, and the idempotency key that came with it."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from sqlalchemy import Engine

from api.auth import Caller
from api.database import engine_of
from api.problems import TooLarge, UnsupportedBody, refusal_of
from worker.idempotency import Key
from worker.refusals import Refusal

MEBIBYTE = 1024 * 1024
_MOST_BYTES = 2 * MEBIBYTE
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
    """The dependency that reads a JSON body of at most `most_bytes` into `model`. Stands after the caller's."""

    def __init__(self, model: type[T], most_bytes: int = _MOST_BYTES) -> None:
        self.model = model
        self._most_bytes = most_bytes

    async def __call__(self, request: Request) -> Posted[T]:
        _check_type(request)
        raw = await read_body(request, self._most_bytes)
        caller: Caller = request.state.caller
        return Posted(self._parse(raw), caller, engine_of(request), key_of(request, caller, sha256(raw).digest()))

    def _parse(self, raw: bytes) -> T:
        try:
            return self.model.model_validate_json(raw)
        except ValidationError as error:
            raise refusal_of(error) from error


class JsonOrLines(Generic[T]):
    """The dependency of a route that takes its body as JSON or, much longer, as NDJSON: then it gives None, and nothing
    is read yet."""

    def __init__(self, json: JsonBody[T]) -> None:
        self.json = json

    async def __call__(self, request: Request) -> Posted[T] | None:
        return None if media_type_of(request) == NDJSON else await self.json(request)


async def read_body(request: Request, most_bytes: int) -> bytes:
    """The whole body, counted as it comes: a length that is announced may be missing or wrong. Errors: TooLarge."""
    if announced_bytes(request) > most_bytes:
        raise _too_large(most_bytes)
    size, chunks = 0, []
    async for chunk in request.stream():
        size += len(chunk)
        if size > most_bytes:
            raise _too_large(most_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(most_bytes: int) -> TooLarge:
    return TooLarge(f"The body is larger than {most_bytes // MEBIBYTE} MiB: send several requests")


def announced_bytes(request: Request) -> int:
    """How long the body is to be; 0 where that is not said."""
    announced = request.headers.get("content-length", "")
    return int(announced) if announced.isdigit() else 0


def media_type_of(request: Request) -> str:
    return request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()


def _check_type(request: Request) -> None:
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
