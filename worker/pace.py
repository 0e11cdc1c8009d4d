"""The turns of a batch that is to leave at so many messages a second. Pure.

No turn follows from the one before: whoever gives turns, when a batch is stored or later, counts its messages from 0
and comes to the same.
"""

from datetime import datetime, timedelta

MOST_PER_SECOND = 10_000
WRITTEN_A_SECOND = 10_000  # messages with their turns, on a small machine that has other things to do
_SECOND = timedelta(seconds=1)


def turn(start: datetime, index: int, per_second: int | None) -> datetime:
    """When message `index` (from 0) of those that wait may first leave; at `start`, where the batch has no pace."""
    return start if per_second is None else start + timedelta(seconds=index / per_second)


def written_at(since: datetime, count: int) -> datetime:
    """When `count` messages, written from `since` on, are expected to be there: rather late than early, and at once
    where it is a matter of less than a second.

    Turns and validity begin no sooner: what was due by then would leave all at once, and what had passed by then of the
    validity would be lost.
    """
    return since + _SECOND * (count // WRITTEN_A_SECOND)


def fitting_count(within: timedelta, per_second: int) -> int:
    """How many messages have their turns within that time; none, where it is negative."""
    # In whole microseconds: as a float, a last turn that just fits may come out too late.
    return within * per_second // _SECOND + 1


def fitting_pace(within: timedelta, count: int) -> int | None:
    """The least pace at which the turns of `count` messages lie within that time; None where none is fast enough."""
    if within <= timedelta(0):
        return None
    pace = max(1, -((1 - count) * _SECOND // within))
    return pace if pace <= MOST_PER_SECOND else None
