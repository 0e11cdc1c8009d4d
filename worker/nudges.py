"""Nudges: "look at this lane", sent through Celery's broker after a commit.

A nudge holds nothing that matters: losing one costs the second until the next tick, repeating one costs nothing. So a
background thread sends them, at most one a lane in 100 ms, and a broker that is away delays no one.
"""

import atexit
import threading
from uuid import UUID

import redis
import structlog

from worker.logs import Seldom
from worker.rates import redis_client
from worker.words import MessageType

MOST_QUEUED = 2  # of one lane
QUEUED_MILLISECONDS = 5_000
_QUIET_SECONDS = 0.1
_log = structlog.get_logger()
_loss = Seldom()


class Nudger:
    def __init__(self) -> None:
        self._pending: dict[UUID, MessageType] = {}
        self._wake = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def nudge(self, lane_id: UUID, message_type: str) -> None:
        """Returns at once; the nudge leaves within 100 ms, or is lost with a warning where Redis is away."""
        with self._wake:
            if self._thread is None or self._stopped:
                self._stopped = False
                self._thread = threading.Thread(target=self._run, name="nudger", daemon=True)
                self._thread.start()
            self._pending[lane_id] = MessageType(message_type)
            self._wake.notify()

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(timeout=2)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._pending or self._stopped)
                if self._stopped:
                    return
                pending, self._pending = self._pending, {}
            for lane_id, message_type in pending.items():
                send_nudge(lane_id, message_type)
            with self._wake:
                self._wake.wait_for(lambda: self._stopped, timeout=_QUIET_SECONDS)


# KEYS[1]: how many nudges of one lane are queued. It runs out by itself, should some get lost with their queue.
_RESERVE = """
if tonumber(redis.call('GET', KEYS[1]) or '0') >= tonumber(ARGV[1]) then return 0 end
redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
_ARRIVED = "if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end"


def send_nudge(lane_id: UUID, message_type: str) -> None:
    """Put the nudge on the broker now, within short time-outs. Never raises: the tick finds what is lost.

    A lane has few nudges in its queue at once: without that limit, those of a campaign that drains would stand before
    everybody else's.
    """
    from worker.tasks import deliver_lane  # the task module imports the use cases, which must not need Celery

    try:
        if not redis_client().eval(_RESERVE, 1, _queued(lane_id), MOST_QUEUED, QUEUED_MILLISECONDS):
            return
        deliver_lane.apply_async((str(lane_id),), queue=str(message_type), retry=False, ignore_result=True)
    except Exception as error:
        if _loss.is_due():
            _log.warning("nudge_lost", lane_id=str(lane_id), error=type(error).__name__)


def nudge_arrived(lane_id: UUID) -> None:
    """A worker has taken a nudge of this lane from its queue. Never raises."""
    try:
        redis_client().eval(_ARRIVED, 1, _queued(lane_id))
    except redis.RedisError as error:
        if _loss.is_due():
            _log.warning("nudges_uncounted", lane_id=str(lane_id), error=type(error).__name__)


def _queued(lane_id: UUID) -> str:
    return f"delivery:nudges:{lane_id}"


_nudger = Nudger()
nudge = _nudger.nudge
stop = _nudger.stop
atexit.register(stop)
