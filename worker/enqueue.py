"""Enqueue: from an order to committed rows. What a message needs later is resolved here, once, and kept.

Precedence for DLT IDs, callback data and the validity period: message, then batch, then surface, then credential.
A batch keeps what its messages share, a message only what differs; a single send has no batch and keeps it all.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlmodel import Session
from uuid_utils import uuid7

from worker.copying import SharedColumns, copy_messages, own_part
from worker.ids import new_id
from worker.models import Batch
from worker.orders import BatchOrder, MessageOrder, Rejected
from worker.places import Place, Schedule, find_place, find_places, require_sms, schedule_of
from worker.refusals import Refusal
from worker.rows import BadRow, read_message, read_rows, refusal_of_rows
from worker.states import State
from worker.tally import Changes
from worker.words import Channel, Origin

MOST_ROWS = 10_000


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


@dataclass(frozen=True, slots=True)
class Draft:
    """A single send, checked and resolved: what is answered for it once it is stored, and its line for COPY."""

    accepted: Accepted
    line: str


def enqueue_batch(session: Session, order: BatchOrder) -> Accepted:
    """Store a batch and its messages. Does not commit. Errors: Refusal, naming every bad row."""
    if not order.rows and not order.rejected:
        raise Refusal.of_field("messages", "give at least one row")
    if len(order.rows) + len(order.rejected) > MOST_ROWS:
        raise Refusal.of_field("messages", f"at most {MOST_ROWS:,} rows fit in one request: send several")
    place = find_place(session, order.surface)
    require_sms(place)
    schedule = schedule_of(place, order.send_at, order.validity)
    shared = order.values.over(place.values)
    rows, rejected = read_rows(order, place.default_country, shared)
    if rejected and not (order.skips_invalid and rows):
        raise refusal_of_rows(rejected, is_all=not rows)

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
        total=len(rows),
        send_at=schedule.send_at,
        expires_at=schedule.expires_at,
        created_at=place.now,
    )
    alike = _shared_part(place, schedule, batch.id, None)
    copy_messages(
        session,
        (
            # Not new_id(): the standard library's UUIDs take several times as long to make and to write.
            alike + own_part(message_id=uuid7(), recipient=row.recipient, text=row.text, values=row.values)
            for row in rows
        ),
    )
    session.add(batch)
    session.flush()
    _count(session, {place.lane_id: len(rows), batch.id: len(rows)})
    return _accepted(place, batch.id, len(rows), rejected, is_scheduled=schedule.send_at is not None)


def enqueue_message(session: Session, order: MessageOrder) -> Accepted:
    """Store one message without a batch. Does not commit. Errors: Refusal."""
    draft = _draft(find_place(session, order.surface), order)
    store_messages(session, [draft])
    return draft.accepted


def draft_messages(session: Session, orders: Sequence[MessageOrder]) -> list[Draft | Refusal | None]:
    """For each order its draft, or why it is refused. The surfaces stay locked, so that `store_messages` may follow.

    None: there is no such surface, or somebody is changing it, for whom the others must not wait: to be done by itself.
    """
    places = find_places(session, {order.surface for order in orders}, only_free=True)
    drafts: list[Draft | Refusal | None] = []
    for order in orders:
        place = places.get(order.surface)
        try:
            drafts.append(None if place is None else _draft(place, order))
        except Refusal as refusal:
            drafts.append(refusal)
    return drafts


def store_messages(session: Session, drafts: Sequence[Draft]) -> None:
    """Store them as they are. Does not commit."""
    if not drafts:
        return
    copy_messages(session, (draft.line for draft in drafts))
    _count(session, Counter(draft.accepted.lane_id for draft in drafts))


def _draft(place: Place, order: MessageOrder) -> Draft:
    """Errors: Refusal."""
    require_sms(place)
    schedule = schedule_of(place, order.send_at, order.validity)
    try:
        row = read_message(order, place.default_country, place.values)
    except BadRow as error:
        raise Refusal.of_field(error.field, error.reason) from error
    message_id = new_id()
    line = _shared_part(place, schedule, None, place.sender) + own_part(
        message_id=message_id, recipient=row.recipient, text=row.text, values=row.values
    )
    return Draft(_accepted(place, message_id, 1), line)


def _shared_part(place: Place, schedule: Schedule, batch_id: UUID | None, sender: str | None) -> str:
    return SharedColumns(
        batch_id=batch_id,
        surface_id=place.surface_id,
        lane_id=place.lane_id,
        sender=sender,
        origin=Origin.API,
        state=State.QUEUED,
        next_attempt_at=schedule.first_attempt_at,
        expires_at=schedule.expires_at,
        validity_seconds=schedule.validity_seconds,
        created_at=place.now,
    ).part()


def _count(session: Session, queued: Mapping[UUID, int]) -> None:
    """By batch or lane."""
    changes = Changes()
    for subject, n in queued.items():
        changes.entered([subject], State.QUEUED, None, n)
    changes.write(session)


def _accepted(
    place: Place, subject: UUID, n: int, rejected: Sequence[Rejected] = (), *, is_scheduled: bool = False
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
