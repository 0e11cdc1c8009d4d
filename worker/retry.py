"""When a failed message is tried again, and when it is given up. Pure: time and chance are passed in.

The last attempt is pulled forward rather than dropped: where the next slot of the schedule would lie too close to
`expires_at`, the attempt is spread over the margin before that limit, so that a batch's last attempts do not land
together. A failure later than that ends the message at once.

Where a sending window holds, what falls outside of it moves to the next opening, for all messages alike and without
jitter: the lane's rate spreads them. Where that opening comes too late, the message ends at once, by the window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from worker.states import State
from worker.windows import Turn, Window, opening
from worker.words import Outcome

JITTER_SHARE = 0.1  # of the wait; only ever added
MARGIN_SHARE = 0.05  # of the validity period
LEAST_MARGIN = timedelta(seconds=10)
MOST_MARGIN = timedelta(minutes=10)
LEAST_REMAINING = timedelta(seconds=1)  # a first attempt goes while one whole second remains


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again at this instant, and before the window closes, if one does; `slots` of the schedule are then used."""

    at: datetime
    slots: int
    leave_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The message is over, in this state; by the window, if that does not open again in time."""

    state: State
    is_by_window: bool = False


def margin(validity: timedelta) -> timedelta:
    """How long before `expires_at` the last attempt should be out, so that its report can still come."""
    wanted = min(max(validity * MARGIN_SHARE, LEAST_MARGIN), MOST_MARGIN)
    return min(wanted, validity / 2)


def first_turn(window: Window | None, at: datetime, expires_at: datetime) -> Turn | End:
    """When a message that is ready at `at` may leave: one that was never tried, or that missed its window.

    No margin is kept: a message that can be tried once is tried, as long as it has LEAST_REMAINING.
    """
    turn = opening(window, at) if window else Turn(at, None)
    last = expires_at - LEAST_REMAINING
    if turn is None or turn.at > last:
        return End(State.EXPIRED, is_by_window=at <= last)
    return turn


def next_attempt(
    slots: int,
    now: datetime,
    expires_at: datetime,
    validity: timedelta,
    schedule: Sequence[timedelta],
    chance: float,
    window: Window | None = None,
) -> RetryAt | End:
    """The next attempt after a failure that time may cure, `slots` of the schedule being used; or expiry.

    `chance` in [0, 1) places the attempt within its jitter. The answer lies at or after `now`, within the window, and
    not later than the margin before `expires_at`.
    """
    before_end = margin(validity)
    last = expires_at - before_end
    if now >= last:
        return End(State.EXPIRED)
    wait = schedule[min(slots, len(schedule) - 1)]
    slot = now + wait
    if slot <= last:
        return _within(window, min(slot + wait * JITTER_SHARE * chance, last), slots + 1, last)
    earliest = max(now, last - before_end)
    return _within(window, earliest + (last - earliest) * chance, slots + 1, last)


def after(
    outcome: Outcome,
    slots: int,
    now: datetime,
    expires_at: datetime,
    validity: timedelta,
    schedule: Sequence[timedelta],
    chance: float,
    window: Window | None = None,
) -> RetryAt | End:
    """What becomes of a message whose attempt ended with `outcome` (not pending, not delivered)."""
    match outcome:
        case Outcome.PERMANENT:
            return End(State.FAILED)
        case Outcome.UNKNOWN:
            return End(State.UNCONFIRMED)
        case Outcome.ACCOUNT:
            # The account's trouble is not the message's: no slot is used, the lane's hold decides when it goes.
            if now >= expires_at:
                return End(State.EXPIRED)
            return _within(window, now, slots, expires_at - margin(validity))
        case Outcome.TRANSIENT | Outcome.EXPIRED:
            return next_attempt(slots, now, expires_at, validity, schedule, chance, window)
        case Outcome.PENDING | Outcome.DELIVERED | Outcome.DUPLICATE:
            raise ValueError(f"{outcome} is no failure")
        case _:
            assert_never(outcome)


def _within(window: Window | None, at: datetime, slots: int, last: datetime) -> RetryAt | End:
    """An attempt at `at`, or where the window is closed then, at its next opening, if that comes before `last`."""
    turn = opening(window, at) if window else Turn(at, None)
    if turn is None or at < turn.at >= last:
        return End(State.EXPIRED, is_by_window=True)
    return RetryAt(turn.at, slots, turn.leave_before)
