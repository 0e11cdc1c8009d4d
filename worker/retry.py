"""When a failed message is tried again, and when it is given up. Pure: time and chance are passed in.

The last attempt is pulled forward rather than dropped: where the next slot of the schedule would lie too close to
`expires_at`, the attempt is spread over the margin before that limit, so that a batch's last attempts do not land
together. A failure later than that ends the message at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from worker.states import State
from worker.words import Outcome

JITTER_SHARE = 0.1  # of the wait; only ever added
MARGIN_SHARE = 0.05  # of the validity period
LEAST_MARGIN = timedelta(seconds=10)
MOST_MARGIN = timedelta(minutes=10)
LEAST_REMAINING = timedelta(seconds=1)  # a first attempt goes while one whole second remains


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again at this instant; `slots` of the schedule are then used."""

    at: datetime
    slots: int


@dataclass(frozen=True, slots=True)
class End:
    """The message is over, in this state."""

    state: State


def margin(validity: timedelta) -> timedelta:
    """How long before `expires_at` the last attempt should be out, so that its report can still come."""
    wanted = min(max(validity * MARGIN_SHARE, LEAST_MARGIN), MOST_MARGIN)
    return min(wanted, validity / 2)


def next_attempt(
    slots: int,
    now: datetime,
    expires_at: datetime,
    validity: timedelta,
    schedule: Sequence[timedelta],
    chance: float,
) -> RetryAt | End:
    """The next attempt after a failure that time may cure, `slots` of the schedule being used; or expiry.

    `chance` in [0, 1) places the attempt within its jitter. The answer lies at or after `now`, and before `expires_at`.
    """
    before_end = margin(validity)
    last = expires_at - before_end
    if now >= last:
        return End(State.EXPIRED)
    wait = schedule[min(slots, len(schedule) - 1)]
    slot = now + wait
    if slot <= last:
        return RetryAt(min(slot + wait * JITTER_SHARE * chance, last), slots + 1)
    earliest = max(now, last - before_end)
    return RetryAt(earliest + (last - earliest) * chance, slots + 1)


def after(
    outcome: Outcome,
    slots: int,
    now: datetime,
    expires_at: datetime,
    validity: timedelta,
    schedule: Sequence[timedelta],
    chance: float,
) -> RetryAt | End:
    """What becomes of a message whose attempt ended with `outcome` (not pending, not delivered)."""
    match outcome:
        case Outcome.PERMANENT:
            return End(State.FAILED)
        case Outcome.UNKNOWN:
            return End(State.UNCONFIRMED)
        case Outcome.ACCOUNT:
            # The account's trouble is not the message's: no slot is used, the lane's hold decides when it goes.
            return RetryAt(now, slots) if now < expires_at else End(State.EXPIRED)
        case Outcome.TRANSIENT | Outcome.EXPIRED:
            return next_attempt(slots, now, expires_at, validity, schedule, chance)
        case Outcome.PENDING | Outcome.DELIVERED | Outcome.DUPLICATE:
            raise ValueError(f"{outcome} is no failure")
        case _:
            assert_never(outcome)
