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
        return Posted(self._parse(raw), caller, engine_of(request), _key(request, caller, raw))

    def _parse(self, raw: bytes) -> T:
        try:
            return self.model.model_validate_json(raw)
        except ValidationError as error:
            raise refusal_of(error) from error


async def read_body(request: Request, most_bytes: int) -> bytes:
    """The whole body, counted as it comes: a length that is announced may be missing or wrong. Errors: TooLarge."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most_bytes:
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


def _check_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type == "application/x-ndjson":
        raise UnsupportedBody("NDJSON is not available yet: send application/json, at most 10,000 rows a request")
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise UnsupportedBody("Send the body as JSON, with Content-Type: application/json")


def _key(request: Request, caller: Caller, raw: bytes) -> Key | None:
    name = request.headers.get("idempotency-key")
    if name is None or request.method != "POST":
        return None
    if not (name.isascii() and name.isprintable() and 1 <= len(name) <= _LONGEST_KEY):
        raise Refusal.of_field("Idempotency-Key", f"must be 1 to {_LONGEST_KEY} printable ASCII characters")
    return Key(caller.token_id, f"POST {request.scope['route'].path}", name, sha256(raw).digest())
