"""Enqueue many: a batch, with the rows in hand or with an audience that was read before. As enqueue.py, else."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import IO

from sqlmodel import Session
from uuid_utils import uuid7

from worker import consents, events
from worker.audience import Audience, spooled_file
from worker.copying import NULL, copy_messages
from worker.dlt_registry import screen_of
from worker.durations import format_duration
from worker.enqueue import Accepted, accepted_of, barred_columns, count_born, shared_columns, suppressed
from worker.events import Told
from worker.ids import new_id
from worker.journeys import journey_id
from worker.media import resolve
from worker.models import Batch
from worker.orders import BatchOrder
from worker.pace import fitting_count, fitting_pace
from worker.pace import turn as paced_turn
from worker.places import Place, Schedule, find_place, manner_columns, schedule_of
from worker.refusals import Conflict, Refusal
from worker.rejected_rows import copy_rejected
from worker.turns import Turns, time_for_turns
from worker.windows import Given, Turn, is_one_for_all
from worker.words import MessageType

MOST_ROWS = 10_000  # in hand


class SurfaceChanged(Conflict):
    """Rows were read by what the surface was before."""


def open_audience(
    session: Session, order: BatchOrder, most_rows: int = MOST_ROWS, make_file: Callable[[], IO[bytes]] = spooled_file
) -> tuple[BatchOrder, Audience]:
    """The order, resolved, and an audience that reads its rows by the surface as it stands. Ends the transaction:
    nothing is locked while templates are compiled, and rows read. Errors: Refusal."""
    place = find_place(session, order.surface)
    order = resolved(session, order, place)
    session.rollback()
    screen = screen_of(session, place)
    session.rollback()
    return order, Audience(order, place, most_rows, make_file, screen)


def enqueue_audience(session: Session, order: BatchOrder, audience: Audience) -> Accepted:
    """Store a batch and its messages, the order resolved and all its rows read. Does not commit. Errors: Refusal,
    naming the bad rows; SurfaceChanged, where they would be read otherwise now; OSError of their file."""
    place = find_place(session, order.surface)
    if not audience.is_read_by(place):
        raise SurfaceChanged(
            "The surface or its credential was changed while the rows came, which may change what they mean, and "
            "nothing was stored: send it again"
        )
    return _store(session, order, place, audience)


def resolved(session: Session, order: BatchOrder, place: Place) -> BatchOrder:
    """With what its MMS refers to. Errors: Refusal."""
    return order if order.mms is None else replace(order, mms=resolve(session, order.mms, place))


def _store(session: Session, order: BatchOrder, place: Place, audience: Audience) -> Accepted:
    audience.refuse_wrong()
    schedule = schedule_of(place, order.send_at, order.validity, audience.count)
    manner = order.manner.over(place.manner)
    _check_pace(order.messages_per_second, manner.sending_window, schedule, audience.count)
    shared = order.values.over(place.values)
    takes = audience.segments
    batch = Batch(
        surface_id=place.surface_id,
        lane_id=place.lane_id,
        sender=place.sender,
        text=order.text,
        mms=None if order.mms is None else order.mms.as_json(),
        encoding=takes and takes.encoding,
        segment_count=takes and takes.parts,
        characters_left=takes and takes.left,
        forcing=takes and takes.forcing,
        **manner_columns(manner),
        window_off_reason=order.window_off_reason,
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
    turns = place.turns(manner, schedule, order.messages_per_second)
    births = _Births(session, place, schedule, batch, turns)
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
        parts=audience.parts,
        warned_count=audience.warned_count,
        is_scheduled=schedule.send_at is not None,
    )


class _Births:
    """The messages of one batch, group by group."""

    def __init__(self, session: Session, place: Place, schedule: Schedule, batch: Batch, turns: Turns) -> None:
        self.reasons: Counter[str | None] = Counter()  # so many born; by why consent forbids them, None: it does not
        self._session = session
        self._place = place
        self._schedule = schedule
        self._batch = batch
        self._turns = turns
        self._queued = shared_columns(place, schedule, batch.id, None, Turn(schedule.first_attempt_at, None))

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
        before, after = self._queued.around_turn()
        prefixes: dict[Turn, str] = {}
        suppressed_parts = {
            reason: self._queued._replace(**barred_columns(self._place, reason)).part()
            for reason in set(barred.values())
        }
        index, paced = self.reasons[None], self._batch.messages_per_second is not None
        for recipient, content in zip(recipients, contents, strict=True):
            # Not new_id(): the standard library's UUIDs take several times as long to make and to write.
            message_id = uuid7()
            reason = barred.get(recipient)
            if reason is not None:
                told.append(suppressed(message_id, reason))
                self.reasons[reason] += 1
                yield f"{suppressed_parts[reason]}{message_id}\t{content}"
            else:
                turn = self._turns.of(recipient, index)
                index += 1
                prefix = prefixes.get(turn)
                if prefix is None:
                    prefix = f"{before}{turn.at}\t{turn.leave_before or NULL}{after}"
                    if not paced:  # else each has its own
                        prefixes[turn] = prefix
                yield f"{prefix}{message_id}\t{content}"
        self.reasons[None] = index


def _check_pace(per_second: int | None, given: Given, schedule: Schedule, count: int) -> None:
    """Errors: Refusal, where the last turn would come too late to be of use."""
    if per_second is None:
        return
    begins = schedule.begins_at
    within = time_for_turns(given, begins, schedule.expires_at)
    last = paced_turn(begins, count - 1, per_second)
    if last <= begins + within:
        return
    takes = format_duration(last - begins)
    validity = format_duration(schedule.expires_at - begins)
    left = format_duration(within + timedelta.resolution if is_one_for_all(given) else within)
    fitting = fitting_pace(within, count)
    faster = f"{fitting:,} a second is enough for them, " if fitting else ""
    raise Refusal.of_field(
        "messages_per_second",
        f"{count:,} rows at {per_second:,} a second take {takes}, and of the validity period {validity} {left} "
        f"{'of open sending window ' if is_one_for_all(given) else ''}are left for that: {faster}"
        f"at this pace {fitting_count(within, per_second):,} rows fit",
    )
