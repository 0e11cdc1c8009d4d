"""When a failed message is tried again, and when it is given up. Pure: time and chance are passed in.

The last attempt is pulled forward rather than dropped: where the next slot of the schedule would lie too close to
`expires_at`, the attempt is spread over the margin before that limit, so that a batch's last attempts do not land
together. A failure later than that ends the message at once.

Where a sending window holds, what falls outside of it moves to the next opening, for all messages alike and without
jitter: the lane's rate spreads them. Where that opening comes too late, the attempt is pulled forward into the opening
before, if anything is left of one, and spread over the margin before that closes. Else the message ends at once, by the
window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from worker.states import State
from worker.windows import Turn, Window, advance, opening, stretches
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


def first_turn(
    window: Window | None, at: datetime, expires_at: datetime, open_time: timedelta = timedelta(0)
) -> Turn | End:
    """When a message that is ready at `at` may leave: one that was never tried, or that missed its window. At a pace,
    once the window has been open for `open_time` since.

    No margin is kept: a message that can be tried once is tried, as long as it has LEAST_REMAINING.
    """
    turn = advance(window, at, open_time) if window else Turn(at + open_time, None)
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
    not later than the margin before `expires_at`. It ends by the window only where that is open at no instant of these.
    """
    before_end = margin(validity)
    last = expires_at - before_end
    if now >= last:
        return End(State.EXPIRED)
    wait = schedule[min(slots, len(schedule) - 1)]
    slot = now + wait
    if slot <= last:
        at = min(slot + wait * JITTER_SHARE * chance, last)
    else:
        at = _spread(max(now, last - before_end), last, chance)
    if window is None:
        return RetryAt(at, slots + 1)
    turn = _opening_until(window, at, last) or _pulled_forward(window, now, at, before_end, chance)
    return _retry(turn, slots + 1)


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
            return _retry(_opening_until(window, now, expires_at - margin(validity)), slots)
        case Outcome.TRANSIENT | Outcome.EXPIRED:
            return next_attempt(slots, now, expires_at, validity, schedule, chance, window)
        case Outcome.PENDING | Outcome.DELIVERED | Outcome.DUPLICATE:
            raise ValueError(f"{outcome} is no failure")
        case _:
            assert_never(outcome)


def _retry(turn: Turn | None, slots: int) -> RetryAt | End:
    return End(State.EXPIRED, is_by_window=True) if turn is None else RetryAt(turn.at, slots, turn.leave_before)


def _opening_until(window: Window | None, at: datetime, last: datetime) -> Turn | None:
    """A turn at `at` or, where the window is closed then, at its next opening, if that comes by `last`."""
    turn = opening(window, at) if window else Turn(at, None)
    return None if turn is None or at < turn.at > last else turn


def _pulled_forward(window: Window, now: datetime, at: datetime, span: timedelta, chance: float) -> Turn | None:
    """A turn in the latest opening between `now` and `at`, when the window is closed, if there is one: spread over
    `span` before it closes, but for the last second, in which nothing leaves."""
    openings = stretches(window, now, at)
    if not openings:
        return None
    opens, closes = openings[-1]
    earliest = max(opens, closes - span)
    latest = max(earliest, closes - LEAST_REMAINING)
    return Turn(_spread(earliest, latest, chance), closes)


def _spread(earliest: datetime, latest: datetime, chance: float) -> datetime:
    return earliest + (latest - earliest) * chance
