"""From a request to the work it asks for: the body read and checked, and the work done once, in one transaction.

A route reads as: who may call, what the body holds, `once(posted, work)`. `work` gets a session and does not commit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ValidationError
from sqlalchemy import Engine
from sqlmodel import Session

from api.auth import Caller
from api.problems import TooLarge, UnsupportedBody, refusal_of
from worker import idempotency
from worker.db import open_session
from worker.idempotency import Claim, KeptAnswer
from worker.refusals import Refusal
from worker.secrets import decrypt, encrypt

MEBIBYTE = 1024 * 1024
_MOST_BYTES = 2 * MEBIBYTE
_LONGEST_KEY = 255

T = TypeVar("T", bound=BaseModel)


async def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


Database = Annotated[Engine, Depends(_engine)]


@dataclass(frozen=True, slots=True)
class Posted(Generic[T]):
    """A request that may create: its body, and its claim on an idempotency key where it named one."""

    body: T
    caller: Caller
    engine: Engine
    claim: Claim | None


@dataclass(frozen=True, slots=True)
class Done:
    """What work answers (a model, or its JSON), and what to do once it is committed."""

    answer: BaseModel | bytes
    status: int
    after_commit: Callable[[], None] | None = None


class JsonBody(Generic[T]):
    """The dependency that reads a JSON body of at most `most_bytes` into `model`. Stands after the caller's."""

    def __init__(self, model: type[T], most_bytes: int = _MOST_BYTES) -> None:
        self.model = model
        self._most_bytes = most_bytes

    async def __call__(self, request: Request) -> Posted[T]:
        _check_type(request)
        raw = await read_body(request, self._most_bytes)
        caller: Caller = request.state.caller
        return Posted(self._parse(raw), caller, request.app.state.engine, _claim(request, caller, raw))

    def _parse(self, raw: bytes) -> T:
        try:
            return self.model.model_validate_json(raw)
        except ValidationError as error:
            raise refusal_of(error) from error


def once(posted: Posted[Any], work: Callable[[Session], Done], *, is_secret: bool = False) -> Response:
    """Do the work and commit; or give the first answer again, where this idempotency key has one.

    `is_secret`: the answer holds something that must not lie about in the clear, so it is kept encrypted.
    """
    claim = posted.claim
    with open_session(posted.engine) as session:
        kept = idempotency.claim(session, claim) if claim else None
        if kept is not None:
            return json_answer(decrypt(kept.body).encode() if is_secret else kept.body, kept.status)
        done = work(session)
        body = done.answer if isinstance(done.answer, bytes) else done.answer.model_dump_json().encode()
        if claim:
            idempotency.keep(session, claim, KeptAnswer(done.status, encrypt(body.decode()) if is_secret else body))
        session.commit()
    if done.after_commit:
        done.after_commit()
    return json_answer(body, done.status)


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


def _claim(request: Request, caller: Caller, raw: bytes) -> Claim | None:
    key = request.headers.get("idempotency-key")
    if key is None or request.method != "POST":
        return None
    if not (key.isascii() and key.isprintable() and 1 <= len(key) <= _LONGEST_KEY):
        raise Refusal.of_field("Idempotency-Key", f"must be 1 to {_LONGEST_KEY} printable ASCII characters")
    return Claim(caller.token_id, f"POST {request.scope['route'].path}", key, sha256(raw).digest())


def json_answer(body: bytes, status: int) -> Response:
    return Response(body, status, media_type="application/json")
