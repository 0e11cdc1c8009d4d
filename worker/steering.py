"""Steering a batch: pause it, let it go on, cancel it, or have it begin at another time.

Each verb writes the batch's row and nothing else, so it is answered at once however many messages wait; from its commit
on the gate and the claim go by it (worker/gate.py). What follows for the messages, a sweep does: setting_aside.py,
cancelling.py, moving.py. What is on its way to Infobip ends as it would.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker import moving, setting_aside, tally
from worker.durations import format_duration
from worker.models import Batch
from worker.pace import fitting_count
from worker.places import Schedule, read_manner, schedule
from worker.refusals import Conflict, NotFound, Refusal
from worker.setting_aside import NO_REFUSALS
from worker.states import LIVE, State
from worker.turns import time_for_turns

_NOW = text("SELECT statement_timestamp()")
_RESUME = text(f"UPDATE batch SET paused_at = NULL, pause_reason = NULL, {NO_REFUSALS} WHERE id = :batch")
_CANCEL = text("""
    UPDATE batch SET
        cancelled_at = statement_timestamp(), paused_at = NULL, pause_reason = NULL,
        move_to = NULL, swept_through = NULL
    WHERE id = :batch
""")
_RESCHEDULE = text("""
    UPDATE batch SET send_at = :start, expires_at = :expires_at, validity_seconds = :validity WHERE id = :batch
""")


def pause(session: Session, batch_id: UUID) -> Batch:
    """Nothing of the batch leaves any more; what is on its way ends as it would. Does not commit.

    Errors: NotFound; Conflict where it is cancelled.
    """
    batch = _find_uncancelled(session, batch_id)
    setting_aside.stop(session, batch_id, None)
    session.refresh(batch)
    return batch


def resume(session: Session, batch_id: UUID) -> Batch:
    """The batch goes on where it stopped; one with a pace at its pace, from now on. Does not commit; then nudge its
    lane. Errors: as for `pause`.
    """
    batch = _find_uncancelled(session, batch_id)
    now = session.execute(_NOW).scalar_one()
    if batch.paused_at is not None and batch.messages_per_second is not None and _start(batch) <= now:
        # Turns that went by meanwhile would else be due all at once.
        moving.begin(session, batch_id, _moved_at(batch, now, _counts(session, batch_id)))
    session.execute(_RESUME, {"batch": batch_id})
    session.refresh(batch)
    return batch


def cancel(session: Session, batch_id: UUID) -> Batch:
    """What waits in the batch never leaves. Nothing happens where it is cancelled already, or all of it has ended. Does
    not commit. Errors: NotFound."""
    batch = _find(session, batch_id)
    if batch.cancelled_at is None and _is_live(_counts(session, batch_id)):
        session.execute(_CANCEL, {"batch": batch_id})
        session.refresh(batch)
    return batch


def reschedule(session: Session, batch_id: UUID, send_at: datetime, validity: timedelta | None) -> Batch:
    """What waits for its first attempt leaves from `send_at` on, or from now on where that is past, and ends with the
    validity from then on: the batch's, unless another is given. Does not commit.

    Errors: NotFound; Conflict where it is cancelled or nothing waits for its first attempt; Refusal of either field.
    """
    batch = _find_uncancelled(session, batch_id)
    counts = _counts(session, batch_id)
    if not _is_live(counts):
        raise Conflict("All messages of the batch have ended: replay it, or send them in a new one")
    if not counts.get((State.QUEUED, "")):
        raise Conflict(
            "Every message of the batch was handed to Infobip already, and those that are tried again keep their turns:"
            " pause or cancel the batch to stop them"
        )
    now = session.execute(_NOW).scalar_one()
    validity = timedelta(seconds=batch.validity_seconds) if validity is None else validity
    given = schedule(now, send_at, validity, _moved_at(batch, now, counts))
    _check_pace(batch, given, counts[State.QUEUED, ""])
    values = {
        "start": given.first_attempt_at,
        "expires_at": given.expires_at,
        "validity": given.validity_seconds,
    }
    session.execute(_RESCHEDULE, {"batch": batch_id, **values})
    moving.begin(session, batch_id, given.first_turn(batch.messages_per_second))
    session.refresh(batch)
    return batch


def _find(session: Session, batch_id: UUID) -> Batch:
    batch = session.get(Batch, batch_id, with_for_update=True)
    if batch is None:
        raise NotFound("There is no batch with this id")
    return batch


def _find_uncancelled(session: Session, batch_id: UUID) -> Batch:
    batch = _find(session, batch_id)
    if batch.cancelled_at is not None:
        raise Conflict("The batch is cancelled, and that is final: send its messages in a new one")
    return batch


def _counts(session: Session, batch_id: UUID) -> tally.Counts:
    return tally.counts(session, [batch_id])[batch_id]


def _is_live(counts: tally.Counts) -> bool:
    return any(state in LIVE for state, _ in counts)


def _check_pace(batch: Batch, given: Schedule, count: int) -> None:
    """Errors: Refusal, where the last turns would come too late to be of use."""
    per_second = batch.messages_per_second
    if per_second is None:
        return
    within = time_for_turns(read_manner(batch).sending_window, given.begins_at, given.expires_at)
    fitting = fitting_count(within, per_second)
    if count > fitting:
        raise Refusal.of_field(
            "validity_period",
            f"at the batch's {per_second:,} messages a second {fitting:,} have their turns within "
            f"{format_duration(given.expires_at - given.begins_at)}, and {count:,} wait: give a longer one",
        )


def _start(batch: Batch) -> datetime:
    """When its first turn was, or is to be."""
    return batch.move_to or batch.send_at or batch.created_at


def _moved_at(batch: Batch, now: datetime, counts: tally.Counts) -> datetime:
    """When the sweep is expected to be done with what waits for its first attempt."""
    is_paced = batch.messages_per_second is not None
    return moving.start_of_move(now, counts.get((State.QUEUED, ""), 0), is_paced=is_paced)
