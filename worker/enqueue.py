"""Enqueue: from an order to committed rows. What a message needs later is resolved here, once, and kept. Single sends,
and what they have in common with batches (enqueue_batch.py).

Precedence for DLT IDs, callback data and the validity period: message, then batch, then surface, then credential.
A batch keeps what its messages share, a message only what differs; a single send has no batch and keeps it all.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any
from uuid import UUID

from sqlmodel import Session

from worker import consents, events
from worker.copying import SharedColumns, as_json, copy_messages, own_part
from worker.dlt.screen import Screen
from worker.dlt_registry import read_templates, screen_by, templates_if_compiled
from worker.events import Told
from worker.ids import new_id
from worker.media import resolve
from worker.orders import NOTHING_GIVEN, USUAL_MANNER, Manner, MessageOrder, Rejected
from worker.places import (
    Place,
    Schedule,
    find_place,
    find_places,
    holds_texts_to_templates,
    manner_columns,
    schedule_of,
)
from worker.refusals import Refusal
from worker.rows import BadRow, Checked, read_message
from worker.states import State
from worker.tally import Changes
from worker.windows import Turn
from worker.words import Channel, EventType, MessageType, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """`id` is the batch's, or the message's for a single send. Once committed, nudge the lane.

    `suppressed` are stored and counted too, and go nowhere: consent forbids it. Of the rows left out of a batch
    `rejected` are the first. `parts`: how many of each encoding all of them take, suppressed ones included;
    `warned_count`: how many have a warning.
    """

    id: UUID
    lane_id: UUID
    channel: Channel
    message_type: str
    accepted: int
    suppressed: int = 0
    rejected: Sequence[Rejected] = field(default=())
    rejected_count: int = 0
    duplicates: int = 0
    is_scheduled: bool = False
    parts: Mapping[str, int] = field(default_factory=dict)
    warned_count: int = 0
    warning: str | None = None  # of a single send


@dataclass(frozen=True, slots=True)
class Draft:
    """A single send, checked and resolved: what is answered for it once it is stored, and its line for COPY."""

    accepted: Accepted
    barred: str | None  # why consent forbids it
    line: str

    @property
    def told(self) -> list[Told]:
        return [suppressed(self.accepted.id, self.barred)] if self.barred else []


def enqueue_message(session: Session, order: MessageOrder) -> Accepted:
    """Store one message without a batch. Does not commit. Errors: Refusal."""
    templates = None
    if order.template is not None or holds_texts_to_templates(session, order.surface):
        templates = read_templates(session)  # before the surface is locked: it may take seconds
    place = find_place(session, order.surface)
    if templates is None and place.is_screened:  # only since
        templates = read_templates(session)
    row = _checked(session, place, order, None if templates is None else screen_by(templates, place))
    draft = _draft(place, order, row, _barred(session, place, [row]).get(row.recipient))
    store_messages(session, [draft])
    return draft.accepted


def draft_messages(session: Session, orders: Sequence[MessageOrder]) -> list[Draft | Refusal | None]:
    """For each order its draft, or why it is refused. The surfaces stay locked, so that `store_messages` may follow.

    None: there is no such surface, or somebody is changing it, or the templates that its text is held to have to be
    read anew, for which the others must not wait: to be done by itself.
    """
    places = find_places(session, {order.surface for order in orders}, only_free=True)
    drafts: list[Draft | Refusal | None] = [None] * len(orders)
    by_place: dict[UUID, list[tuple[int, Checked]]] = {}
    screens = _Screens(session)
    for index, order in enumerate(orders):
        place = places.get(order.surface)
        if place is None or ((screen := screens.of(place, order)) is None and _is_screened(place, order)):
            continue
        try:
            row = _checked(session, place, order, screen)
        except Refusal as refusal:
            drafts[index] = refusal
        else:
            by_place.setdefault(place.surface_id, []).append((index, row))
    for numbered in by_place.values():
        place = places[orders[numbered[0][0]].surface]
        barred = _barred(session, place, [row for _, row in numbered])
        for index, row in numbered:
            try:
                drafts[index] = _draft(place, orders[index], row, barred.get(row.recipient))
            except Refusal as refusal:
                drafts[index] = refusal
    return drafts


def store_messages(session: Session, drafts: Sequence[Draft]) -> None:
    """Store them as they are. Does not commit."""
    if not drafts:
        return
    copy_messages(session, (draft.line for draft in drafts))
    events.tell(session, (told for draft in drafts for told in draft.told))
    count_born(session, Counter((draft.accepted.lane_id, draft.barred) for draft in drafts))


def _barred(session: Session, place: Place, rows: Sequence[Checked]) -> dict[str, str]:
    return consents.barred(
        session,
        place.credential_id,
        (row.recipient for row in rows),
        is_marketing=place.message_type == MessageType.MARKETING,
        needs_opt_in=place.needs_opt_in,
    )


class _Screens:
    """Of one group: the templates are asked for once, and only where a text is held to them."""

    def __init__(self, session: Session) -> None:
        self._templates = cache(partial(templates_if_compiled, session))
        self._of: dict[UUID, Screen] = {}  # by surface

    def of(self, place: Place, order: MessageOrder) -> Screen | None:
        """None: there is no need for one, or the templates have to be read first."""
        if not _is_screened(place, order) or (templates := self._templates()) is None:
            return None
        if place.surface_id not in self._of:
            self._of[place.surface_id] = screen_by(templates, place)
        return self._of[place.surface_id]


def _is_screened(place: Place, order: MessageOrder) -> bool:
    return place.is_screened or order.template is not None


def _checked(session: Session, place: Place, order: MessageOrder, screen: Screen | None) -> Checked:
    """Errors: Refusal."""
    if order.mms is not None:
        order = replace(order, mms=resolve(session, order.mms, place))
    try:
        return read_message(order, place.reading(NOTHING_GIVEN, USUAL_MANNER, screen))
    except BadRow as error:
        raise Refusal.of_field(error.field, error.reason) from error


def _draft(place: Place, order: MessageOrder, row: Checked, barred: str | None) -> Draft:
    """Errors: Refusal."""
    schedule = schedule_of(place, order.send_at, order.validity)
    message_id = new_id()
    turn = place.turns(place.manner, schedule).of(row.recipient)
    shared = shared_columns(place, schedule, None, place.sender, turn)._replace(**of_manner(place.manner))
    if barred:
        shared = shared._replace(**barred_columns(place, barred))
    line = shared.part() + own_part(
        message_id=message_id,
        recipient=row.recipient,
        text=row.text,
        values=row.values,
        segments=row.segments,
        mms=None if row.mms is None else row.mms.as_json(),
        warning=row.warning,
    )
    parts = {} if row.segments is None else {row.segments.encoding: row.segments.parts}
    accepted = accepted_of(place, message_id, {barred: 1}, parts=parts, warning=row.warning)
    return Draft(accepted, barred, line)


def shared_columns(
    place: Place, schedule: Schedule, batch_id: UUID | None, sender: str | None, turn: Turn
) -> SharedColumns:
    """Of a message that waits. `sender`: only where no batch holds it."""
    return SharedColumns(
        batch_id=batch_id,
        surface_id=place.surface_id,
        lane_id=place.lane_id,
        sender=sender,
        origin=Origin.API,
        state=State.QUEUED,
        next_attempt_at=turn.at,
        leave_before=turn.leave_before,
        expires_at=schedule.expires_at,
        validity_seconds=schedule.validity_seconds,
        created_at=place.now,
    )


def barred_columns(place: Place, barred: str) -> dict[str, Any]:
    """Of one that consent forbids, and why."""
    ended = {"state": _born(barred), "reason": barred, "finished_at": place.now}
    return {**ended, "next_attempt_at": None, "leave_before": None}


def of_manner(manner: Manner) -> dict[str, Any]:
    """For the columns of a message without a batch."""
    columns = manner_columns(manner)
    return {
        name: None if value is None or name == "transliteration" else as_json(value) for name, value in columns.items()
    }


def suppressed(message_id: Any, reason: str) -> Told:
    return Told(EventType.MESSAGE_SUPPRESSED, message_id, 0, reason)


def _born(barred: str | None) -> State:
    return State.SUPPRESSED if barred else State.QUEUED


def count_born(session: Session, born: Mapping[tuple[UUID, str | None], int]) -> None:
    """By batch or lane, and by why consent forbids them."""
    changes = Changes()
    for (subject, barred), n in born.items():
        changes.entered([subject], _born(barred), barred, n)
    changes.write(session)


def accepted_of(place: Place, subject: UUID, reasons: Mapping[str | None, int], **others: Any) -> Accepted:
    """`reasons`: why consent forbids so many; None: it does not. `others`: the other fields."""
    accepted = reasons.get(None, 0)
    return Accepted(
        id=subject,
        lane_id=place.lane_id,
        channel=place.channel,
        message_type=place.message_type,
        accepted=accepted,
        suppressed=sum(reasons.values()) - accepted,
        **others,
    )
