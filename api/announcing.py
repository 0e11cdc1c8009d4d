"""What follows the commit of accepted messages: counts, and a nudge to whoever works their lane."""

from collections.abc import Iterable

from worker.enqueue import Accepted
from worker.metrics import segments_total
from worker.nudges import nudge


def announce(together: Iterable[Accepted | None]) -> None:
    """One nudge a lane. Only after the commit: a worker that looked before would find nothing."""
    lanes = {}
    for accepted in together:
        if accepted is not None:
            for encoding, parts in accepted.parts.items():
                segments_total.labels(accepted.message_type, encoding).inc(parts)
            if accepted.accepted:
                lanes[accepted.lane_id] = accepted.message_type
    for lane_id, message_type in lanes.items():
        nudge(lane_id, message_type)
