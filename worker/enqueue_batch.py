"""Enqueue many: a batch, with the rows in hand or with an audience that was read before. As enqueue.py, else."""

from collections import Counter
from collections.abc import Iterator, Sequence

from sqlmodel import Session
from uuid_utils import uuid7

from worker import consents, events
from worker.audience import Audience
from worker.copying import copy_messages
from worker.durations import format_duration
from worker.enqueue import Accepted, accepted_of, count_born, shared_columns, suppressed
from worker.events import Told
from worker.ids import new_id
from worker.journeys import journey_id
from worker.models import Batch
from worker.orders import BatchOrder
from worker.pace import fitting_count, fitting_pace, turn
from worker.places import Place, Schedule, find_place, schedule_of
from worker.refusals import Conflict, Refusal
from worker.rejected_rows import copy_rejected
from worker.retry import margin
from worker.words import MessageType

MOST_ROWS = 10_000  # in hand


def enqueue_batch(session: Session, order: BatchOrder) -> Accepted:
    """Store a batch and its messages. Does not commit. Errors: Refusal, naming the bad rows."""
    place = find_place(session, order.surface)
    with Audience(order, place, MOST_ROWS) as audience:
        audience.add(order.rows, order.rejected)
        return _store(session, order, place, audience)


def enqueue_audience(session: Session, order: BatchOrder, audience: Audience) -> Accepted:
    """The same as `enqueue_batch`, with all rows read. Errors: also Conflict, where they would be read otherwise now;
    OSError of their file."""
    place = find_place(session, order.surface)
    if not audience.is_read_by(place):
        raise Conflict(
            "The surface or its credential was changed while the rows came, which may change what they mean, and "
            "nothing was stored: send it again"
        )
    return _store(session, order, place, audience)


def _store(session: Session, order: BatchOrder, place: Place, audience: Audience) -> Accepted:
    audience.refuse_wrong()
    schedule = schedule_of(place, order.send_at, order.validity, audience.count)
    _check_pace(order.messages_per_second, schedule, audience.count)
    shared = order.values.over(place.values)
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
        journey_id=journey_id(order.journey),
        messages_per_second=order.messages_per_second,
        total=audience.count,
        rejected_count=audience.rejected_count,
        send_at=schedule.send_at,
        expires_at=schedule.expires_at,
        created_at=place.now,
    )
    births = _Births(session, place, schedule, batch)
    for contents in audience.good():
        births.write(contents)
    for lines in audience.bad():
        copy_rejected(session, batch.id, lines)
    batch.messages_through = new_id()
    session.add(batch)
    session.flush()
    reasons = births.reasons
    count_born(
        session, {(subject, reason): n for subject in (place.lane_id, batch.id) for reason, n in reasons.items()}
    )
    return accepted_of(
        place,
        batch.id,
        reasons,
        rejected=audience.rejected,
        rejected_count=audience.rejected_count,
        duplicates=audience.duplicates,
        is_scheduled=schedule.send_at is not None,
    )


class _Births:
    """The messages of one batch, group by group."""

    def __init__(self, session: Session, place: Place, schedule: Schedule, batch: Batch) -> None:
        self.reasons: Counter[str | None] = Counter()  # so many born; by why consent forbids them, None: it does not
        self._session = session
        self._place = place
        self._schedule = schedule
        self._batch = batch
        self._queued = shared_columns(place, schedule, batch.id, None, None)

    def write(self, contents: Sequence[str]) -> None:
        """As `copying.content_part` makes them."""
        place = self._place
        recipients = [content[: content.index("\t")] for content in contents]
        barred = consents.barred(
            self._session,
            place.credential_id,
            recipients,
            is_marketing=place.message_type == MessageType.MARKETING,
            needs_opt_in=place.needs_opt_in,
        )
        told: list[Told] = []
        copy_messages(self._session, self._lines(recipients, contents, barred, told))
        events.tell(self._session, told)

    def _lines(
        self, recipients: Sequence[str], contents: Sequence[str], barred: dict[str, str], told: list[Told]
    ) -> Iterator[str]:
        pace = self._batch.messages_per_second
        queued = self._queued.part()
        before, after = self._queued.around_turn()
        suppressed_parts = {
            reason: shared_columns(self._place, self._schedule, self._batch.id, None, reason).part()
            for reason in set(barred.values())
        }
        index = self.reasons[None]
        for recipient, content in zip(recipients, contents, strict=True):
            # Not new_id(): the standard library's UUIDs take several times as long to make and to write.
            message_id = uuid7()
            reason = barred.get(recipient)
            if reason is not None:
                told.append(suppressed(message_id, reason))
                self.reasons[reason] += 1
                yield f"{suppressed_parts[reason]}{message_id}\t{content}"
            elif pace is None:
                index += 1
                yield f"{queued}{message_id}\t{content}"
            else:
                at = turn(self._schedule.begins_at, index, pace)
                index += 1
                yield f"{before}{at}{after}{message_id}\t{content}"
        self.reasons[None] = index


def _check_pace(per_second: int | None, schedule: Schedule, count: int) -> None:
    """Errors: Refusal, where the last turn would come too late to be of use."""
    if per_second is None:
        return
    begins = schedule.begins_at
    validity = schedule.expires_at - begins
    within = validity - margin(validity)
    last = turn(begins, count - 1, per_second)
    if last <= begins + within:
        return
    takes = format_duration(last - begins)
    fitting = fitting_pace(within, count)
    faster = f"{fitting:,} a second is enough for them, " if fitting else ""
    raise Refusal.of_field(
        "messages_per_second",
        f"{count:,} rows at {per_second:,} a second take {takes}, and of the validity period "
        f"{format_duration(validity)} {format_duration(within)} are left for that: {faster}"
        f"at this pace {fitting_count(within, per_second):,} rows fit",
    )
