"""Missed windows: what is due, and whose sending window is closed.

Its turn lay in an opening, which passed while its lane was held, its batch paused or the rate used up; or it was stored
with its window yet to be asked. The claim names such messages and leaves them as they are; here each gets its turn at
the next opening, or ends where that comes too late; and a batch at a pace, whose turns would come together there, goes
on at its pace from now on, as after a pause (moving.py). A crash in between leaves them due, and the next claim names
them.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from worker import fates, moving
from worker.db import database_now
from worker.locking import LockedMessage, lock
from worker.states import WAITING, State
from worker.transitions import Transitions


def postpone(session: Session, ids: Sequence[UUID]) -> None:
    """Of these messages, give those that have missed their windows another turn, or end them. Does not commit.

    Without those that another transaction holds: whoever gives them another turn has them locked, and a claim names
    them again if nobody does.
    """
    messages = lock(session, ids, only_free=True).values()
    transitions = Transitions(session, database_now(session))
    missed = [message for message in messages if _has_missed(message, transitions.now)]
    going_on = moving.go_on(session, [message for message in missed if _had_first_turn(message)], transitions.now)
    for message in missed:
        if message.batch_id not in going_on or not _had_first_turn(message):
            fates.postpone(transitions, message)
    transitions.write()


def _had_first_turn(message: LockedMessage) -> bool:
    """One that passed with the opening it lay in: not one for which the window is yet to be asked, or never opens."""
    turn, closed_at = message.next_attempt_at, message.leave_before
    return message.state is State.QUEUED and turn is not None and closed_at is not None and turn < closed_at


def _has_missed(message: LockedMessage, now: datetime) -> bool:
    """As the claim says, which passes over what stands still and ends what is barred."""
    return (
        message.state in WAITING
        and message.leave_before is not None
        and message.leave_before <= now
        and message.barred is None
        and not message.stands_still
    )
