"""When a push that failed is tried again, and when its endpoint is given up."""

from collections.abc import Sequence
from datetime import datetime, timedelta

LONGEST_RETRY_AFTER = timedelta(days=1)
JITTER = 0.1  # of the wait, at most; it only lengthens


def next_try(
    failures: int,
    failing_since: datetime,
    now: datetime,
    schedule: Sequence[timedelta],
    disable_after: timedelta,
    retry_after: timedelta | None = None,
    *,
    chance: float = 0.0,
) -> datetime | None:
    """The next try after this many failures in a row (1 or more), the last of them now; None where the endpoint has
    failed for as long as it may.

    The last of the schedule repeats. `retry_after`: what the receiver asked for, which lengthens the wait. The last try
    is at the end of the time, not before it. `chance`: from 0 to 1, how much of the jitter is taken.
    """
    ends = failing_since + disable_after
    if now >= ends:
        return None
    wait = schedule[min(failures, len(schedule)) - 1] * (1 + JITTER * chance)
    if retry_after is not None:
        wait = max(wait, min(retry_after, LONGEST_RETRY_AFTER))
    return min(now + wait, ends)
