"""Enqueue: from a request to committed rows. What a message needs later is resolved here, once, and kept.

Precedence for DLT IDs, callback data and the validity period: message, then batch, then surface, then credential.
A batch keeps what its messages share, a message only what differs; a single send has no batch and keeps it all.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session
from uuid_utils import uuid7

from worker.copying import copy_messages, fields
from worker.ids import new_id
from worker.models import Batch
from worker.orders import NOTHING_GIVEN, BatchOrder, MessageOrder, Rejected, Row, Values
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
    channel: Channel
    message_type: str
    sender: str
    default_country: str | None
    values: Values
    validity: timedelta


_Places = Mapping[str | UUID, _Place]


@dataclass(frozen=True, slots=True)
class _Schedule:
    send_at: datetime | None  # None: at once
    first_attempt_at: datetime
    expires_at: datetime
    validity_seconds: int


def enqueue_message(session: Session, order: MessageOrder) -> Accepted:
    """Store one message without a batch. Does not commit. Errors: Refusal."""
    draft = _draft(_find_places(session, {order.surface}), order)
    store_messages(session, [draft])
    return draft.accepted


@dataclass(frozen=True, slots=True)
class Draft:
    """A single send, checked and resolved: what is answered for it once it is stored, and its line for COPY."""

    accepted: Accepted
    line: str


def draft_messages(session: Session, orders: Sequence[MessageOrder]) -> list[Draft | Refusal | None]:
    """For each order its draft, or why it is refused. The surfaces stay locked, so that `store_messages` may follow.

    None: there is no such surface, or somebody is changing it, for whom the others must not wait: to be done by itself.
    """
    places = _find_places(session, {order.surface for order in orders}, only_free=True)
    drafts: list[Draft | Refusal | None] = []
    for order in orders:
        if _find(places, order.surface) is None:
            drafts.append(None)
            continue
        try:
            drafts.append(_draft(places, order))
        except Refusal as refusal:
            drafts.append(refusal)
    return drafts


def store_messages(session: Session, drafts: Sequence[Draft]) -> None:
    """Store them as they are. Does not commit."""
    if not drafts:
        return
    copy_messages(session, (draft.line for draft in drafts))
    _count(session, Counter(draft.accepted.lane_id for draft in drafts))


def _draft(places: _Places, order: MessageOrder) -> Draft:
    place = _place(places, order.surface)
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
    line = _shared_fields(None, place, schedule, place.sender) + _own_fields(message_id, recipient, order.text, values)
    return Draft(_accepted(place, message_id, 1), line)


def enqueue_batch(session: Session, order: BatchOrder) -> Accepted:
    """Store a batch and its messages. Does not commit. Errors: Refusal, naming every bad row."""
    if not order.rows and not order.rejected:
        raise Refusal.of_field("messages", "give at least one row")
    if len(order.rows) + len(order.rejected) > MOST_ROWS:
        raise Refusal.of_field("messages", f"at most {MOST_ROWS:,} rows fit in one request: send several")
    place = _place(_find_places(session, {order.surface}), order.surface)
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
    inherited = _shared_fields(batch.id, place, schedule, None)
    copy_messages(session, (inherited + own for own in good))
    session.add(batch)
    session.flush()
    _count(session, {place.lane_id: len(good), batch.id: len(good)})
    return _accepted(place, batch.id, len(good), rejected, is_scheduled=schedule.send_at is not None)


# Locks out a PATCH or DELETE of either row until we commit, and sees the row as those left it. In the order of their
# IDs: those who change a surface or a credential lock no more than that one, so nobody waits for us in a circle.
_FIND_PLACES = """
    SELECT now() AS now, s.id AS surface_id, s.name, l.id AS lane_id, s.channel, s.message_type, s.sender,
           s.default_country,
           s.callback_data AS s_callback_data, c.callback_data AS c_callback_data,
           s.content_template_id AS s_content_template_id, c.content_template_id AS c_content_template_id,
           s.principal_entity_id AS s_principal_entity_id, c.principal_entity_id AS c_principal_entity_id,
           coalesce(s.validity_seconds, c.validity_period_hours * 3600) AS validity_seconds
    FROM surface s
    JOIN credential c ON c.id = s.credential_id
    JOIN lane l ON l.credential_id = c.id AND l.channel = s.channel AND l.message_type = s.message_type
    WHERE (s.name = ANY(:names) OR s.id = ANY(:ids)) AND s.deleted_at IS NULL AND c.deleted_at IS NULL
    ORDER BY s.id
    FOR KEY SHARE OF s, c
"""
_FIND = sa.text(_FIND_PLACES)
_FIND_FREE = sa.text(f"{_FIND_PLACES} SKIP LOCKED")


def _find_places(session: Session, surfaces: Collection[str], *, only_free: bool = False) -> _Places:
    """By name, and by ID, of all surfaces among these references; `only_free`: without those being changed."""
    ids = [surface_id for surface in surfaces if (surface_id := _id_of(surface)) is not None]
    places: dict[str | UUID, _Place] = {}
    for row in session.execute(_FIND_FREE if only_free else _FIND, {"names": list(surfaces), "ids": ids}):
        places[row.name] = places[row.surface_id] = _read_place(row)
    return places


def _id_of(surface: str) -> UUID | None:
    try:
        return UUID(surface)
    except ValueError:
        return None


def _read_place(row: Any) -> _Place:
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
        channel=Channel(row.channel),
        message_type=row.message_type,
        sender=row.sender,
        default_country=row.default_country,
        values=levels[0].over(levels[1]),
        validity=timedelta(seconds=row.validity_seconds),
    )


def _find(places: _Places, surface: str) -> _Place | None:
    return places.get(_id_of(surface) or surface)  # no name looks like an ID


def _place(places: _Places, surface: str) -> _Place:
    """Errors: Refusal."""
    place = _find(places, surface)
    if place is None:
        raise Refusal.of_field("surface", "there is no surface of this name or id: create it, or correct the reference")
    if place.channel is Channel.MMS:
        raise Refusal.of_field("surface", "MMS sends are not available yet: name a surface whose channel is sms")
    return place


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
        if lacks_entity(self._shared if row.values is NOTHING_GIVEN else row.values.over(self._shared)):
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


def _read_rows(order: BatchOrder, default_country: str | None, shared: Values) -> tuple[list[str], list[Rejected]]:
    """The second part of the lines of good rows, and the bad ones in the order of the request."""
    reader = _RowReader(order.text, default_country, shared)
    good: list[str] = []
    rejected = list(order.rejected)
    for row in order.rows:
        try:
            recipient, text = reader.read(row)
        except _BadRow as error:
            rejected.append(Rejected(index=row.index, to=row.to, field=error.field, reason=error.reason))
        else:
            good.append(_own_fields(uuid7(), recipient, text, row.values))
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


def _shared_fields(batch_id: UUID | None, place: _Place, schedule: _Schedule, sender: str | None) -> str:
    """The first part of a line, up to its last tab. `sender`: only where no batch holds it."""
    ids = (batch_id, place.surface_id, place.lane_id, sender)
    state = (Origin.API, State.QUEUED, "f", 0, 0)
    times = (schedule.first_attempt_at, schedule.expires_at, schedule.validity_seconds, place.now)
    return fields(*ids, *state, *times) + "\t"


def _own_fields(message_id: object, recipient: str, text: str | None, values: Values) -> str:
    own = (values.callback_data, values.principal_entity_id, values.content_template_id)
    return fields(message_id, recipient, text, *own)


def _count(session: Session, queued: Mapping[UUID, int]) -> None:
    """By batch or lane."""
    changes = Changes()
    for subject, n in queued.items():
        changes.entered([subject], State.QUEUED, None, n)
    changes.write(session)


def _accepted(
    place: _Place, subject: UUID, n: int, rejected: Sequence[Rejected] = (), *, is_scheduled: bool = False
) -> Accepted:
    return Accepted(
        id=subject,
        lane_id=place.lane_id,
        channel=place.channel,
        message_type=place.message_type,
        accepted=n,
        rejected=rejected,
        is_scheduled=is_scheduled,
    )
