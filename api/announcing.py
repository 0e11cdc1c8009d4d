"""What follows the commit of accepted messages: counts, and a nudge to whoever works their lane."""

from collections.abc import Sequence
from contextvars import Context, copy_context
from uuid import UUID

from worker.enqueue import Accepted
from worker.metrics import segments_total
from worker.nudges import nudge


def announce(together: Sequence[Accepted | None], contexts: Sequence[Context] = ()) -> None:
    """One nudge a lane, in the context of its first request: none given, in this one. Only after the commit: a worker
    that looked before would find nothing."""
    lanes: dict[UUID, tuple[str, Context]] = {}
    for accepted, asked_in in zip(together, contexts or [copy_context()] * len(together), strict=True):
        if accepted is not None:
            for encoding, parts in accepted.parts.items():
                segments_total.labels(accepted.message_type, encoding).inc(parts)
            if accepted.accepted:
                lanes.setdefault(accepted.lane_id, (accepted.message_type, asked_in))
    for lane_id, (message_type, asked_in) in lanes.items():
        asked_in.run(nudge, lane_id, message_type)
