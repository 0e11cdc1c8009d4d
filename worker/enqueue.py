"""Enqueue: from a request to committed rows. What a message needs later is resolved here, once, and kept.

Precedence for DLT IDs, callback data and the validity period: message, then batch, then surface, then credential.
A batch keeps what its messages share, a message only what differs; a single send has no batch and keeps it all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from worker.ids import new_id
from worker.models import Batch
from worker.recipients import BadRecipient, normalise
from worker.refusals import Fault, Refusal
from worker.rendering import MissingVariables, placeholders, render
from worker.states import State
from worker.tally import Changes
from worker.words import Channel, Origin

MOST_ROWS = 10_000
MOST_TEXT_BYTES = 4_000
SHORTEST_VALIDITY, LONGEST_VALIDITY = timedelta(seconds=10), timedelta(hours=48)
FURTHEST_AHEAD = timedelta(days=180)
_MOST_LISTED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What may be given at every level; None: not given here."""

    callback_data: str | None = None
    content_template_id: str | None = None
    principal_entity_id: str | None = None

    def over(self, below: "Values") -> "Values":
        """These values where given, else those of the level below."""
        return Values(
            callback_data=below.callback_data if self.callback_data is None else self.callback_data,
            content_template_id=self.content_template_id or below.content_template_id,
            principal_entity_id=self.principal_entity_id or below.principal_entity_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One message of a batch, as asked for. `index` counts the rows of the request from 0."""

    index: int
    to: str
    text: str | None = None
    variables: Mapping[str, str] | None = None
    values: Values = Values()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    index: int
    to: str | None
    field: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrder:
    """A batch, as asked for. `rejected` are rows that were found wrong before (their shape)."""

    surface: str
    rows: Sequence[Row]
    rejected: Sequence[Rejected] = ()
    text: str | None = None
    values: Values = Values()
    journey: Any = None
    send_at: datetime | None = None
    validity: timedelta | None = None
    skips_invalid: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageOrder:
    """A single send, as asked for."""

    surface: str
    to: str
    text: str
    values: Values = Values()
    send_at: datetime | None = None
    validity: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """`id` is the batch's, or the message's for a single send. Once committed, nudge the lane."""

    id: UUID
    lane_id: UUID
    channel: Channel
    message_type: str
    accepted: int
    rejected: Sequence[Rejected] = field(default=())
    is_scheduled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where messages of a surface go, and what the surface and its credential give them."""

    now: datetime
    surface_id: UUID
    lane_id: UUID
    channel: str
    message_type: str
    sender: str
    default_country: str | None
    values: Values
    validity: timedelta


@dataclass(frozen=True, slots=True)
class _Schedule:
    send_at: datetime | None  # None: at once
    first_attempt_at: datetime
    expires_at: datetime
    validity_seconds: int


def enqueue_message(session: Session, order: MessageOrder) -> Accepted:
    """Store one message without a batch. Does not commit. Errors: Refusal."""
    place = _find_place(session, order.surface)
    schedule = _schedule(place, order.send_at, order.validity)
    values = order.values.over(place.values)
    try:
        recipient = normalise(order.to, place.default_country)
    except BadRecipient as error:
        raise Refusal.of_field("to", str(error)) from error
    fault = _text_fault(order.text)
    if fault is None and placeholders(order.text):
        fault = "holds {{placeholders}}, which only a batch fills in: write the whole text"
    if fault is not None:
        raise Refusal.of_field("text", fault)
    if lacks_entity(values):
        raise Refusal.of_field("content_template_id", _NO_ENTITY)
    message_id = new_id()
    session.execute(
        _INSERT,
        {
            "id": message_id,
            "surface_id": place.surface_id,
            "lane_id": place.lane_id,
            "origin": Origin.API,
            "recipient": recipient,
            "first_attempt_at": schedule.first_attempt_at,
            "expires_at": schedule.expires_at,
            "validity_seconds": schedule.validity_seconds,
            "now": place.now,
            "sender": place.sender,
            "text": order.text,
            "callback_data": values.callback_data,
            "principal_entity_id": values.principal_entity_id,
            "content_template_id": values.content_template_id,
        },
    )
    _count(session, [place.lane_id], 1)
    return _accepted(place, message_id, 1)


# Plain SQL: through the mapper, a single send would take half as long again.
_INSERT = sa.text("""
    INSERT INTO message (id, surface_id, lane_id, origin, recipient, state, held, attempt_count, retry_count,
                         next_attempt_at, expires_at, validity_seconds, created_at, sender, text, callback_data,
                         principal_entity_id, content_template_id)
    VALUES (:id, :surface_id, :lane_id, :origin, :recipient, 'queued', false, 0, 0,
            :first_attempt_at, :expires_at, :validity_seconds, :now, :sender, :text, :callback_data,
            :principal_entity_id, :content_template_id)
""")


def enqueue_batch(session: Session, order: BatchOrder) -> Accepted:
    """Store a batch and its messages. Does not commit. Errors: Refusal, naming every bad row."""
    if not order.rows and not order.rejected:
        raise Refusal.of_field("messages", "give at least one row")
    if len(order.rows) + len(order.rejected) > MOST_ROWS:
        raise Refusal.of_field("messages", f"at most {MOST_ROWS:,} rows fit in one request: send several")
    place = _find_place(session, order.surface)
    schedule = _schedule(place, order.send_at, order.validity)
    shared = order.values.over(place.values)
    good, rejected = _read_rows(order, place.default_country, shared)
    if rejected and not (order.skips_invalid and good):
        raise _refusal_of_rows(rejected, is_all=not good)

    batch = Batch(
        surface_id=place.surface_id,
        lane_id=place.lane_id,
        sender=place.sender,
        text=order.text,
        callback_data=shared.callback_data,
        principal_entity_id=shared.principal_entity_id,
        content_template_id=shared.content_template_id,
        validity_seconds=schedule.validity_seconds,
        journey=order.journey,
        total=len(good),
        send_at=schedule.send_at,
        expires_at=schedule.expires_at,
        created_at=place.now,
    )
    _copy(session, batch, schedule, good)
    session.add(batch)
    session.flush()
    _count(session, [place.lane_id, batch.id], len(good))
    return _accepted(place, batch.id, len(good), rejected, is_scheduled=schedule.send_at is not None)


# Locks out a PATCH or DELETE of either row until we commit, and sees the row as those left it.
_FIND_PLACE = sa.text("""
    SELECT now() AS now, s.id AS surface_id, l.id AS lane_id, s.channel, s.message_type, s.sender, s.default_country,
           s.callback_data AS s_callback_data, c.callback_data AS c_callback_data,
           s.content_template_id AS s_content_template_id, c.content_template_id AS c_content_template_id,
           s.principal_entity_id AS s_principal_entity_id, c.principal_entity_id AS c_principal_entity_id,
           coalesce(s.validity_seconds, c.validity_period_hours * 3600) AS validity_seconds
    FROM surface s
    JOIN credential c ON c.id = s.credential_id
    JOIN lane l ON l.credential_id = c.id AND l.channel = s.channel AND l.message_type = s.message_type
    WHERE (s.name = :name OR s.id = :id) AND s.deleted_at IS NULL AND c.deleted_at IS NULL
    FOR KEY SHARE OF s, c
""")


def _find_place(session: Session, surface: str) -> _Place:
    try:
        surface_id = UUID(surface)
    except ValueError:
        surface_id = None
    row = session.execute(_FIND_PLACE, {"name": surface, "id": surface_id}).one_or_none()
    if row is None:
        raise Refusal.of_field("surface", "there is no surface of this name or id: create it, or correct the reference")
    if row.channel == Channel.MMS:
        raise Refusal.of_field("surface", "MMS sends are not available yet: name a surface whose channel is sms")
    levels = [
        Values(
            callback_data=getattr(row, f"{level}_callback_data"),
            content_template_id=getattr(row, f"{level}_content_template_id"),
            principal_entity_id=getattr(row, f"{level}_principal_entity_id"),
        )
        for level in ("s", "c")
    ]
    return _Place(
        now=row.now,
        surface_id=row.surface_id,
        lane_id=row.lane_id,
        channel=row.channel,
        message_type=row.message_type,
        sender=row.sender,
        default_country=row.default_country,
        values=levels[0].over(levels[1]),
        validity=timedelta(seconds=row.validity_seconds),
    )


def _schedule(place: _Place, send_at: datetime | None, validity: timedelta | None) -> _Schedule:
    """A time in the past means at once. The validity period counts from when the message may first leave."""
    validity = place.validity if validity is None else validity
    if not SHORTEST_VALIDITY <= validity <= LONGEST_VALIDITY or validity.microseconds:
        raise Refusal.of_field("validity_period", "must be whole seconds from PT10S to PT48H")
    if send_at is not None and send_at - place.now > FURTHEST_AHEAD:
        raise Refusal.of_field("send_at", f"lies more than {FURTHEST_AHEAD.days} days ahead")
    start = send_at if send_at is not None and send_at > place.now else None
    first = start or place.now
    return _Schedule(start, first, first + validity, int(validity.total_seconds()))


class _BadRow(ValueError):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason


class _RowReader:
    """Turns rows into (recipient, text where it differs from the batch's)."""

    def __init__(self, batch_text: str | None, default_country: str | None, shared: Values) -> None:
        self._shared = shared
        self._default_country = default_country
        self._batch_text = batch_text
        # A template may be of any length; what is rendered from it is measured row by row.
        self._is_template = batch_text is not None and bool(placeholders(batch_text))
        if batch_text is not None and not self._is_template and (fault := _text_fault(batch_text)):
            raise Refusal.of_field("text", fault)

    def read(self, row: Row) -> tuple[str, str | None]:
        """Errors: _BadRow."""
        try:
            recipient = normalise(row.to, self._default_country)
        except BadRecipient as error:
            raise _BadRow("to", str(error)) from error
        if lacks_entity(row.values.over(self._shared)):
            raise _BadRow("content_template_id", _NO_ENTITY)
        if row.text is None and self._batch_text is not None and not self._is_template:
            return recipient, None
        template = row.text if row.text is not None else self._batch_text
        if template is None:
            raise _BadRow("text", "is missing: neither this row nor the batch has a text")
        try:
            text = render(template, row.variables or {})
        except MissingVariables as error:
            raise _BadRow("variables", str(error)) from error
        fault = _text_fault(text)
        if fault is not None:
            raise _BadRow("text", fault)
        return recipient, text


def _read_rows(order: BatchOrder, default_country: str | None, shared: Values) -> tuple[list["_Good"], list[Rejected]]:
    """Good rows with an ID each, and the bad ones in the order of the request."""
    reader = _RowReader(order.text, default_country, shared)
    good: list[_Good] = []
    rejected = list(order.rejected)
    for row in order.rows:
        try:
            good.append((new_id(), row, *reader.read(row)))
        except _BadRow as error:
            rejected.append(Rejected(index=row.index, to=row.to, field=error.field, reason=error.reason))
    return good, sorted(rejected, key=lambda row: row.index)


_NO_ENTITY = "needs a principal_entity_id beside it: give one here, on the surface or on the credential"


def lacks_entity(values: Values) -> bool:
    """Infobip takes a template only inside an entity; alone it could not be attached, and DLT would refuse it."""
    return values.content_template_id is not None and values.principal_entity_id is None


def _text_fault(text: str) -> str | None:
    if not text.strip():
        return "is empty"
    size = len(text) if text.isascii() else len(text.encode())
    return f"has {size:,} bytes in UTF-8: at most {MOST_TEXT_BYTES:,} fit" if size > MOST_TEXT_BYTES else None


def _refusal_of_rows(rejected: Sequence[Rejected], *, is_all: bool) -> Refusal:
    faults = [Fault(row.field, row.reason, row.index) for row in rejected[:_MOST_LISTED]]
    unlisted = len(rejected) - len(faults)
    count = f"{len(rejected):,} row{' is' if len(rejected) == 1 else 's are'} wrong" + (
        f" (the first {len(faults):,} are listed, {unlisted:,} more are not)" if unlisted else ""
    )
    advice = "none is left to send" if is_all else 'correct them, or send on_invalid "skip" to leave them out'
    return Refusal(f"{count}, and nothing was stored: {advice}", faults)


_Good = tuple[UUID, Row, str, str | None]  # message ID, row, recipient, text where it differs

_COPY = """
    COPY message (batch_id, surface_id, lane_id, origin, state, held, attempt_count, retry_count, next_attempt_at,
                  expires_at, validity_seconds, created_at, id, recipient, text, callback_data, principal_entity_id,
                  content_template_id)
    FROM STDIN
"""


def _copy(session: Session, batch: Batch, schedule: _Schedule, good: Sequence[_Good]) -> None:
    """10,000 rows in one COPY: a multiple of the speed of INSERT, with one round trip."""
    shared = (
        *(str(batch.id), str(batch.surface_id), str(batch.lane_id), str(Origin.API), str(State.QUEUED), "f", "0", "0"),
        *(schedule.first_attempt_at.isoformat(), schedule.expires_at.isoformat(), str(schedule.validity_seconds)),
        batch.created_at.isoformat(),
    )
    connection: psycopg.Connection[Any] = session.connection().connection.driver_connection  # type: ignore[assignment]
    try:
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            for message_id, row, recipient, text in good:
                values = row.values
                copy.write_row(
                    (
                        *shared,
                        *(str(message_id), recipient, text),
                        *(values.callback_data, values.principal_entity_id, values.content_template_id),
                    )
                )
    except psycopg.OperationalError as error:
        # Raised below SQLAlchemy: in its own clothes, so that a server that went away is known as such.
        raise OperationalError("COPY message", None, error) from error


def _count(session: Session, subjects: Sequence[UUID], n: int) -> None:
    changes = Changes()
    changes.entered(subjects, State.QUEUED, None, n)
    changes.write(session)


def _accepted(
    place: _Place, subject: UUID, n: int, rejected: Sequence[Rejected] = (), *, is_scheduled: bool = False
) -> Accepted:
    return Accepted(
        id=subject,
        lane_id=place.lane_id,
        channel=Channel(place.channel),
        message_type=place.message_type,
        accepted=n,
        rejected=rejected,
        is_scheduled=is_scheduled,
    )
