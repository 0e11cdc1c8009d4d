"""Infobip's pushes: authenticated by the token in the path, stored, committed, and only then answered 200."""

import hmac
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
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
from worker import inbound, unmatched
from worker.db import open_session
from worker.infobip.inbound import Inbound, parse_inbound
from worker.infobip.reading import BadItem, Unreadable
from worker.infobip.reports import Report, parse_reports
from worker.logs import is_id
from worker.models import Credential
from worker.nudges import nudge
from worker.refusals import NotFound
from worker.reports import apply_reports, keep_unreadable
from worker.secrets import decrypt
from worker.settings import settings
from worker.unmatched import Unmatched
from worker.words import MessageType

router = APIRouter(prefix="/webhooks/infobip", tags=["Webhooks"])

_MOST_BYTES = 16 * MEBIBYTE  # 2,000 reports, each with 4,000 characters of callback data
_MOST_KEPT_BYTES = 64 * 1024  # of a body that cannot be read
_PARSED_IN_LOOP_BYTES = 64 * 1024  # a bigger one would keep other requests waiting

_MOST_TOLD = 5

_TAKEN = Response(b"{}", media_type="application/json")

KNOWN_SECONDS = 2.0  # a changed token is known at most this much later


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Push(Generic[Item]):
    """One webhook request: the items in it, or a body that cannot be read and so cannot be better next time."""

    credential_id: UUID
    items: Sequence[Item] = ()
    unreadable: str | None = None


ReportPush = Push[Report | BadItem]
InboundPush = Push[Inbound | BadItem]


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
    """Delivery reports. 200 means every one of them is stored; anything else, and Infobip pushes again."""
    push = await _read_push(request, credential_id, parse_reports)
    request.state.told = _told(push)
    await commit_together(request, write_reports, push, weight=max(1, len(push.items)))
    return _TAKEN


@router.post("/{credential_id}/{token}/inbound")
async def take_inbound(request: Request, credential_id: Annotated[UUID, Depends(_authentic)]) -> Response:
    """Messages that handsets wrote. 200 means that each is stored, that it counts for consent from now on, and that its
    reply is on its way; anything else, and Infobip pushes again."""
    push = await _read_push(request, credential_id, parse_inbound)
    await commit_together(request, write_inbound, push, weight=max(1, len(push.items)))
    return _TAKEN


def _told(push: ReportPush) -> dict[str, object]:
    """For the access log: how many reports, and of which submissions, the first few by ID."""
    ids = list(filter(is_id, dict.fromkeys(item.bulk_id for item in push.items if isinstance(item, Report))))
    return {"reports": len(push.items), "submissions": len(ids), "submission_ids": ids[:_MOST_TOLD]}


def write_reports(session: Session, pushes: Sequence[ReportPush]) -> list[None]:
    """The work of their group commit. Does not commit."""
    for push in pushes:
        if push.unreadable is not None:
            keep_unreadable(session, push.credential_id, push.unreadable)
    apply_reports(session, [(push.credential_id, push.items) for push in pushes if push.items], settings())
    return [None] * len(pushes)


def write_inbound(session: Session, pushes: Sequence[InboundPush]) -> list[set[UUID]]:
    """The work of their group commit. Does not commit. The lanes to nudge stand with the first."""
    unreadable = [
        Unmatched(push.credential_id, "inbound: unreadable body", push.unreadable)
        for push in pushes
        if push.unreadable is not None
    ]
    unmatched.keep(session, unreadable)
    lanes = inbound.take(session, [(push.credential_id, push.items) for push in pushes if push.items], settings())
    return [lanes, *(set() for _ in pushes[1:])]


def nudge_replies(lanes: Sequence[set[UUID]], _: Sequence[Context]) -> None:
    """What follows that commit. Which request a reply answers is not known any more."""
    for lane_id in set().union(*lanes):
        nudge(lane_id, MessageType.TRANSACTIONAL)


async def _read_push(request: Request, credential_id: UUID, parse: Callable[[bytes], list[Item]]) -> Push[Item]:
    body = await read_body(request, _MOST_BYTES)
    if len(body) > _PARSED_IN_LOOP_BYTES:
        return await run_in_threadpool(_parse_push, credential_id, body, parse)
    return _parse_push(credential_id, body, parse)


def _parse_push(credential_id: UUID, body: bytes, parse: Callable[[bytes], list[Item]]) -> Push[Item]:
    try:
        return Push(credential_id, parse(body))
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
