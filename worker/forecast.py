"""The forecast: what of that which waits will have its turn before it expires, at the present rate. Pure.

Messages leave in the order of their turns, so many a second. One that has expired leaves no gap: it costs no time.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Waiting(NamedTuple):
    """Messages whose turns come one after the other and whose validity ends together, in so many seconds."""

    messages: int
    seconds_left: float


def expiring(waiting: Sequence[Waiting], per_second: float) -> int:
    """How many of these groups, in the order of their turns, expire first."""
    ahead = expiring = 0
    for group in waiting:
        leave_in_time = math.floor(per_second * group.seconds_left)
        in_time = min(group.messages, max(0, leave_in_time - ahead))
        ahead += in_time
        expiring += group.messages - in_time
    return expiring


def drain_seconds(count: int, per_second: float) -> float:
    """How long they take: infinity, where nothing leaves."""
    if not count:
        return 0.0
    return count / per_second if per_second > 0 else math.inf
