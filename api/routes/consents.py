"""Consent: how a number stands, what a caller has to say of it, and all of it in and out as files."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from sqlmodel import Session, col
from starlette.concurrency import run_in_threadpool

from api.auth import MayRead, MaySend
from api.bodies import MEBIBYTE, JsonBody, Posted, check_encoding
from api.database import Database
from api.paging import Paging, newest_first
from api.problems import TooLarge, UnsupportedBody
from api.references import is_referred
from api.schemas.consents import (
    ChangeList,
    ChangeOut,
    ConsentIn,
    ConsentOut,
    ExportQuery,
    ImportOut,
    ImportQuery,
    KeptRow,
    PersonOut,
    RejectedLine,
)
from worker import consents
from worker.consent import EARLIEST, LEAP, Standing, asked, opt_out_holds, stands
from worker.consent_export import export
from worker.consent_import import Import, Report
from worker.consent_lines import CsvLines, Lines, NdjsonLines
from worker.consents import Person, by_caller, standing_of
from worker.db import database_now, open_session, transact
from worker.models import Consent, ConsentChange, Credential
from worker.recipients import BadRecipient, normalise_international
from worker.refusals import Conflict, Refusal
from worker.settings import settings
from worker.words import ConsentSource, ConsentState

router = APIRouter(prefix="/v1/consents", tags=["Consents"])

MOST_BYTES = 512 * MEBIBYTE
_PIECE_BYTES = 256 * 1024  # of a body, read and applied at a time

_LINES: dict[str, type[Lines]] = {"application/x-ndjson": NdjsonLines, "text/csv": CsvLines}
_MEDIA_TYPES = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
_FILE: dict[str, Any] = {media_type: {"schema": {"type": "string"}} for media_type in _LINES}


@router.post("/import", openapi_extra={"requestBody": {"required": True, "content": _FILE}})
async def import_consents(
    request: Request, caller: MaySend, database: Database, query: Annotated[ImportQuery, Query()]
) -> ImportOut:
    """Consent that is known from elsewhere: a row a line with `to`, `state` (opted_in, opted_out, pending or none) and,
    where known, `credential`, `at` (when consent was given) and `note`. NDJSON, or CSV with a header that names them;
    an export is such a file. Rows that name a deleted credential's ID count for the one that `credential` names.

    Rows are applied while they come, some thousands at a time, in the order of the file. A row that cannot be used is
    told and costs no other. Consent that is older than an opt-out which the person, or Infobip, said does not undo it:
    such rows are kept back, and told. Whatever breaks off half-way, what was applied stays: send the file again, as a
    row that says what stands already changes nothing.
    """
    lines = _lines_of(request)
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MOST_BYTES:
        raise _too_large("nothing of it was applied")
    owner = await run_in_threadpool(_owner, database, query.credential, is_referred)
    importing = Import(database, lines, owner, settings().double_opt_in_window)
    async for piece in _pieces(request):
        await run_in_threadpool(importing.feed, piece)
    return _report_out(await run_in_threadpool(importing.close))


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"description": "The file, as it is written.", "content": _FILE}},
)
def export_consents(caller: MayRead, database: Database, query: Annotated[ExportQuery, Query()]) -> StreamingResponse:
    """Everyone's consent with its history, ordered by number. NDJSON: a person and credential a line, with `history`
    oldest first. CSV: a line for each entry of the history, and one for what counts now (column `entry`). Such a file
    can be imported. An answer that breaks off is not whole: ask again."""
    pieces = export(database, _owner(database, query.credential, _is_or_was_referred), query.format)
    first = next(pieces)  # before the answer begins, which cannot be an error any more then
    headers = {"Content-Disposition": f'attachment; filename="consents.{query.format}"'}
    return StreamingResponse(chain([first], pieces), media_type=_MEDIA_TYPES[query.format], headers=headers)


@router.get("/{to}")
def get_consents(caller: MayRead, database: Database, to: str) -> PersonOut:
    """How a number stands with each credential of which anything is known; none where nothing is."""
    recipient = _recipient(to)
    with open_session(database) as session:
        return _person_out(session, recipient)


@router.put("/{to}")
async def put_consent(
    request: Request, caller: MaySend, to: str, posted: Annotated[Posted[ConsentIn], Depends(JsonBody(ConsentIn))]
) -> PersonOut:
    """Say how a number stands with a credential, whatever was said before; it counts for all that has not left yet.
    `opted_out` counts as the person's own word, which no import undoes. Anything else also ends a block that Infobip
    reported. With `at`, it is a 409 where the person, or Infobip, has said an opt-out since."""
    recipient = _recipient(to)

    def work(session: Session) -> PersonOut:
        _say(session, recipient, posted.body)
        return _person_out(session, recipient)

    return await to_thread.run_sync(transact, posted.engine, work, limiter=request.app.state.said_consents)


@router.get("/{to}/history")
def list_history(caller: MayRead, database: Database, to: str, paging: Annotated[Paging, Query()]) -> ChangeList:
    """All that was ever said of a number's consent, newest first."""
    recipient = _recipient(to)
    query = (
        sa.select(ConsentChange, Credential.name)  # type: ignore[call-overload]
        .join(Credential, col(Credential.id) == ConsentChange.credential_id)
        .where(col(ConsentChange.recipient) == recipient)
    )
    with open_session(database) as session:
        rows, cursor = newest_first(session, query, col(ConsentChange.id), paging, lambda row: row[0].id)
        return ChangeList(items=[_change_out(*row) for row in rows], next_cursor=cursor)


def _recipient(to: str) -> str:
    try:
        return normalise_international(to)
    except BadRecipient as error:
        raise Refusal.of_field("to", str(error)) from error


_Found = Callable[[Any, str], sa.ColumnElement[bool]]


def _is_or_was_referred(table: Any, reference: str) -> sa.ColumnElement[bool]:
    """The same, and one that is deleted by its ID."""
    try:
        return col(table.id) == UUID(reference)
    except ValueError:
        return is_referred(table, reference)


def _owner(database: Any, reference: str | None, is_meant: _Found) -> UUID | None:
    """Errors: Refusal where there is none of this name or ID."""
    if reference is None:
        return None
    with open_session(database) as session:
        return _find_credential(session, reference, is_meant)


def _find_credential(session: Session, reference: str, is_meant: _Found = is_referred) -> UUID:
    found: UUID | None = session.scalar(sa.select(col(Credential.id)).where(is_meant(Credential, reference)))
    if found is None:
        raise Refusal.of_field(
            "credential", "there is no credential of this name or id: create it, or correct the reference"
        )
    return found


def _say(session: Session, recipient: str, body: ConsentIn) -> None:
    """Errors: Refusal; Conflict where an opt-out stands that is not older."""
    person = Person(recipient, _find_credential(session, body.credential))
    consents.take_turns(session, [person.credential_id])
    now = database_now(session)
    if body.at is not None and body.at > now + LEAP:
        raise Refusal.of_field("at", "lies in the future: it is when it was said")
    if body.at is not None and body.at < EARLIEST:
        raise Refusal.of_field("at", f"lies before {EARLIEST.year}: it is when it was said")
    at = now if body.at is None else min(body.at, now)
    before = consents.hold(session, [person], ConsentSource.API)[person]
    if body.at is not None and opt_out_holds(before, body.state, at):
        raise Conflict(
            f"This number has opted out since {before.opted_out_at:%Y-%m-%dT%H:%M:%S%z}, or is blocked since: what was "
            "said before does not undo that. Leave out at, if this is to count all the same"
        )
    own = at if body.state is ConsentState.OPTED_OUT else None
    if body.note or _is_news(before, body.state, now):
        pending_for = settings().double_opt_in_window
        standing = asked(before, body.state, now, pending_for=pending_for, said_at=at, opted_out_at=own)
        consents.write(session, {person: standing}, [by_caller(person, standing, now, at, body.note or None)])
    elif own is not None and before.opted_out_at is not None and own > before.opted_out_at:
        consents.write(session, {person: replace(before, opted_out_at=own)}, [])


def _is_news(before: Standing, state: ConsentState, now: datetime) -> bool:
    """Whether the history is to have it: what is said again changes nothing, except that a pending begins anew."""
    if before.said_at is None or state is ConsentState.PENDING:
        return True
    is_own = state is not ConsentState.OPTED_OUT or before.opted_out_at is not None
    return not (is_own and stands(before, state, now))


def _person_out(session: Session, recipient: str) -> PersonOut:
    now = database_now(session)
    query = (
        sa.select(Consent, Credential.name)  # type: ignore[call-overload]
        .join(Credential, col(Credential.id) == Consent.credential_id)
        .where(col(Consent.recipient) == recipient)
        .order_by(col(Credential.name), col(Credential.id))
    )
    items = []
    for consent, name in session.execute(query):
        state = standing_of(consent).at(now)
        fields = {**consent.model_dump(), "credential": name, "state": state, "is_blocked": consent.blocked}
        is_pending = state is ConsentState.PENDING
        items.append(
            ConsentOut.model_validate({**fields, "pending_until": consent.pending_until if is_pending else None})
        )
    return PersonOut(to=recipient, items=items)


def _change_out(change: ConsentChange, credential: str) -> ChangeOut:
    return ChangeOut.model_validate({**change.model_dump(), "credential": credential, "is_blocked": change.blocked})


def _lines_of(request: Request) -> Lines:
    """By the body's type. Errors: UnsupportedBody."""
    check_encoding(request)
    media_type, *parameters = (part.strip().lower() for part in request.headers.get("content-type", "").split(";"))
    lines = _LINES.get(media_type)
    if lines is None:
        raise UnsupportedBody(f"Send the file with Content-Type: {' or '.join(_LINES)}")
    for parameter in parameters:
        if parameter.startswith("charset=") and parameter.removeprefix("charset=").strip('"') not in ("utf-8", "utf8"):
            raise UnsupportedBody("Send the file in UTF-8")
    return lines()


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes, in pieces worth a thread. Errors: TooLarge; ClientDisconnect, where it breaks off."""
    size = 0
    piece = bytearray()
    async for chunk in request.stream():
        size += len(chunk)
        if size > MOST_BYTES:
            raise _too_large("what came before stays applied")
        piece += chunk
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _too_large(applied: str) -> TooLarge:
    return TooLarge(f"The file is larger than {MOST_BYTES // MEBIBYTE} MiB: send it in parts; {applied}")


def _report_out(report: Report) -> ImportOut:
    return ImportOut(
        rows=report.rows,
        changed=report.changed,
        unchanged=report.unchanged,
        kept=report.kept,
        rejected_count=report.rejected,
        rejected=[
            RejectedLine(line=bad.number, to=bad.to, field=bad.field, reason=bad.reason)
            for bad in report.rejected_lines
        ],
        kept_rows=[KeptRow(line=kept.number, to=kept.to, reason=kept.reason) for kept in report.kept_lines],
    )
