"""The turns of a batch that is to leave at so many messages a second. Pure.

No turn follows from the one before: whoever gives turns, when a batch is stored or later, counts its messages from 0
and comes to the same.
"""

from datetime import datetime, timedelta
from math import ceil, floor

MOST_PER_SECOND = 10_000


def turn(start: datetime, index: int, per_second: int | None) -> datetime:
    """When message `index` (from 0) of those that wait may first leave; at `start`, where the batch has no pace."""
    return start if per_second is None else start + timedelta(seconds=index / per_second)


def fitting_count(within: timedelta, per_second: int) -> int:
    """How many messages have their turns within that time."""
    return floor(within.total_seconds() * per_second) + 1


def fitting_pace(within: timedelta, count: int) -> int | None:
    """The least pace at which the turns of `count` messages lie within that time; None where none is fast enough."""
    pace = max(1, ceil((count - 1) / within.total_seconds()))
    return pace if pace <= MOST_PER_SECOND else None
