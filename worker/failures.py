"""What a failed attempt does to its message: the retry rule applied to one locked message."""

import random
from collections.abc import Sequence
from datetime import timedelta

from worker import retry
from worker.infobip.statuses import Verdict
from worker.metrics import retries_scheduled_total
from worker.reasons import BATCH_CANCELLED
from worker.states import State
from worker.transitions import LockedMessage, Transitions


def fail(transitions: Transitions, message: LockedMessage, verdict: Verdict, schedule: Sequence[timedelta]) -> None:
    """The current attempt of a message that is sending or sent ended without delivery: schedule the next, or end it.

    A message cancelled in the meantime has no next attempt, whatever the rule says.
    """
    decision = retry.after(
        verdict.outcome, message.slots, transitions.now, message.expires_at, message.validity, schedule, random.random()
    )
    if isinstance(decision, retry.End):
        transitions.move(message, decision.state, verdict.code)
    elif message.is_cancelled:
        transitions.move(message, State.CANCELLED, BATCH_CANCELLED)
    else:
        transitions.move(message, State.RETRYING, verdict.code, next_attempt_at=decision.at, slots=decision.slots)
        retries_scheduled_total.labels(verdict.code if verdict.is_known else "other").inc()
