"""What follows the commit of accepted messages: the count, and a nudge to whoever works their lane."""

from worker.enqueue import Accepted
from worker.metrics import messages_enqueued_total
from worker.nudges import nudge


def announce(accepted: Accepted) -> None:
    """Only after the commit: a worker that looked before would find nothing."""
    messages_enqueued_total.labels(accepted.channel, accepted.message_type).inc(accepted.accepted)
    nudge(accepted.lane_id, accepted.message_type)
