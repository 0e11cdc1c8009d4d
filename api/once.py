"""The work that a request asks for, done once and in one transaction, however often the request comes.

A route reads as: who may call, what the body holds, `once(posted, work)`. `work` gets a session and does not commit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Response
from pydantic import BaseModel
from sqlmodel import Session

from api.bodies import Posted
from worker import idempotency
from worker.db import open_session
from worker.idempotency import KeptAnswer
from worker.secrets import decrypt, encrypt


@dataclass(frozen=True, slots=True)
class Done:
    """What work answers (a model, or its JSON), and what to do once it is committed."""

    answer: BaseModel | bytes
    status: int
    after_commit: Callable[[], None] | None = None


def once(posted: Posted[Any], work: Callable[[Session], Done], *, is_secret: bool = False) -> Response:
    """Do the work and commit; or give the first answer again, where this idempotency key has one.

    `is_secret`: the answer holds something that must not lie about in the clear, so it is kept encrypted.
    """
    key = posted.key
    with open_session(posted.engine) as session:
        kept = idempotency.take(session, key) if key else None
        if kept is not None:
            return json_answer(decrypt(kept.body).encode() if is_secret else kept.body, kept.status)
        done = work(session)
        body = done.answer if isinstance(done.answer, bytes) else done.answer.model_dump_json().encode()
        if key:
            idempotency.keep(session, key, KeptAnswer(done.status, encrypt(body.decode()) if is_secret else body))
        session.commit()
    if done.after_commit:
        done.after_commit()
    return json_answer(body, done.status)


def first_answer(posted: Posted[Any]) -> Response | None:
    """What this idempotency key was answered before, or None: for work that takes long outside of a transaction, and
    is then ended by `once`. Errors: as of idempotency.take."""
    if posted.key is None:
        return None
    with open_session(posted.engine) as session:  # rolled back: only the work itself takes the key
        kept = idempotency.take(session, posted.key)
    return None if kept is None else json_answer(kept.body, kept.status)


def json_answer(body: bytes, status: int) -> Response:
    return Response(body, status, media_type="application/json")
