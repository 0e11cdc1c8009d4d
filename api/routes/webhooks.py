"""Infobip's pushes: authenticated by the token in the path, stored, committed, and only then answered 200."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import WithJsonSchema
from sqlalchemy import Engine
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from api.bodies import MEBIBYTE, read_body
from api.database import engine_of
from api.group_commit import commit_together
from api.recent import Recent
from worker.db import open_session
from worker.infobip.reading import Unreadable
from worker.infobip.reports import parse_reports
from worker.models import Credential
from worker.refusals import NotFound
from worker.reports import Items, apply_reports, keep_unreadable
from worker.secrets import decrypt
from worker.settings import settings

router = APIRouter(prefix="/webhooks/infobip", tags=["Webhooks"])

_MOST_BYTES = 16 * MEBIBYTE  # 2,000 reports, each with 4,000 characters of callback data
_MOST_KEPT_BYTES = 64 * 1024  # of a body that cannot be read
_PARSED_IN_LOOP_BYTES = 64 * 1024  # a bigger one would keep other requests waiting

_TAKEN = Response(b"{}", media_type="application/json")

KNOWN_SECONDS = 2.0  # a changed token is known at most this much later


@dataclass(frozen=True, slots=True)
class Push:
    """One webhook request: the reports in it, or a body that cannot be read and so cannot be better next time."""

    credential_id: UUID
    items: Items = ()
    unreadable: str | None = None


KnownTokens = Recent[UUID, tuple[str, ...]]
_IdText = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]


async def _authentic(request: Request, credential_id: _IdText, token: str) -> UUID:
    """The credential whose current or previous token this is. Errors: NotFound, whatever is wrong."""
    try:
        wanted = UUID(credential_id)
    except ValueError as error:
        raise _unknown() from error
    known: KnownTokens = request.app.state.known_webhook_tokens
    tokens = await known.get(wanted, lambda: _read_tokens(engine_of(request), wanted)) or ()
    # No early end: the time taken must not tell how far a guess was right.
    matches = [hmac.compare_digest(token.encode(), right.encode()) for right in tokens]
    if not any(matches):
        raise _unknown()
    return wanted


def _unknown() -> NotFound:
    return NotFound("There is no such webhook: take its address from the credential's webhook_urls")


@router.post("/{credential_id}/{token}/reports")
async def take_reports(request: Request, credential_id: Annotated[UUID, Depends(_authentic)]) -> Response:
    """Delivery reports of SMS. 200 means every one of them is stored; anything else, and Infobip pushes again."""
    body = await read_body(request, _MOST_BYTES)
    if len(body) > _PARSED_IN_LOOP_BYTES:
        push = await run_in_threadpool(_read_push, credential_id, body)
    else:
        push = _read_push(credential_id, body)
    await commit_together(request, write_pushes, push, weight=max(1, len(push.items)))
    return _TAKEN


def write_pushes(session: Session, pushes: Sequence[Push]) -> list[None]:
    """The work of their group commit. Does not commit."""
    for push in pushes:
        if push.unreadable is not None:
            keep_unreadable(session, push.credential_id, push.unreadable)
    apply_reports(session, [(push.credential_id, push.items) for push in pushes if push.items], settings())
    return [None] * len(pushes)


def _read_push(credential_id: UUID, body: bytes) -> Push:
    try:
        return Push(credential_id, parse_reports(body))
    except Unreadable:
        text = body[:_MOST_KEPT_BYTES].decode("utf-8", "replace").replace("\0", "\ufffd")
        return Push(credential_id, unreadable=text)


def _read_tokens(engine: Engine, credential_id: UUID) -> tuple[str, ...]:
    """Also of a deleted credential: reports of what it sent still come in."""
    with open_session(engine) as session:
        credential = session.get(Credential, credential_id)
        if credential is None:
            return ()
        sealed = (credential.webhook_token, credential.previous_webhook_token)
        return tuple(decrypt(token) for token in sealed if token is not None)
