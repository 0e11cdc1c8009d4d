"""Nudges: "look at this lane", sent through Celery's broker after a commit; and how many of them may be queued.

A nudge holds nothing that matters: losing one costs the second until the next tick, repeating one costs nothing. So a
background thread sends them, at most one a lane in 100 ms, and a broker that is away delays no one.
"""

import atexit
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
        self._pending: dict[UUID, tuple[float, MessageType]] = {}  # when it is due
        self._wake = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def nudge(self, lane_id: UUID, message_type: str, after_seconds: float = 0.0) -> None:
        """Returns at once; the nudge leaves within 100 ms of its time, or is lost where Redis is away."""
        due_at = time.monotonic() + after_seconds
        with self._wake:
            if self._thread is None or self._stopped:
                self._stopped = False
                self._thread = threading.Thread(target=self._run, name="nudger", daemon=True)
                self._thread.start()
            earliest, _ = self._pending.get(lane_id, (due_at, None))
            self._pending[lane_id] = (min(earliest, due_at), MessageType(message_type))
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
                if self._stopped:
                    return
                due = self._take_due()
                if not due:
                    self._wake.wait(self._seconds_to_next())
                    continue
            for lane_id, message_type in due.items():
                send_nudge(lane_id, message_type)
            with self._wake:
                self._wake.wait_for(lambda: self._stopped, timeout=_QUIET_SECONDS)

    def _take_due(self) -> dict[UUID, MessageType]:
        now = time.monotonic()
        due = {lane_id: message_type for lane_id, (at, message_type) in self._pending.items() if at <= now}
        for lane_id in due:
            del self._pending[lane_id]
        return due

    def _seconds_to_next(self) -> float | None:
        if not self._pending:
            return None
        return max(0.0, min(at for at, _ in self._pending.values()) - time.monotonic())


# KEYS: how many of each kind are queued. They run out by themselves, should some get lost with their queue.
_RESERVE = """
local are_free = {}
for i, key in ipairs(KEYS) do
    local is_free = tonumber(redis.call('GET', key) or '0') < tonumber(ARGV[1])
    if is_free then
        redis.call('INCR', key)
        redis.call('PEXPIRE', key, ARGV[2])
    end
    are_free[i] = is_free and 1 or 0
end
return are_free
"""
_ARRIVED = "if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end"


def reserve(name: str, most: int = 1) -> bool:
    """Whether one more task of this name may be queued. Errors: RedisError."""
    return reserve_each([name], most)[0]


def reserve_each(names: Sequence[str], most: int = 1) -> list[bool]:
    """The same of several names at once."""
    keys = [_queued(name) for name in names]
    return [bool(is_free) for is_free in redis_client().eval(_RESERVE, len(keys), *keys, most, QUEUED_MILLISECONDS)]


def arrived(name: str) -> None:
    """A worker has taken it from its queue. Never raises."""
    with _uncounted(name):
        redis_client().eval(_ARRIVED, 1, _queued(name))


@contextmanager
def alone(name: str, most_seconds: float) -> Iterator[None]:
    """While this runs, it counts as still queued, so that no other of its name is; at most that long, should it die."""
    with _uncounted(name):
        redis_client().set(_queued(name), 1, px=round(most_seconds * 1000))
    try:
        yield
    finally:
        with _uncounted(name):
            redis_client().delete(_queued(name))


@contextmanager
def _uncounted(name: str) -> Iterator[None]:
    """What is not counted costs a task too many or a tick too few."""
    try:
        yield
    except redis.RedisError as error:
        if _loss.is_due():
            _log.warning("nudges_uncounted", name=name, error=type(error).__name__)


def send_nudge(lane_id: UUID, message_type: str) -> None:
    """Put the nudge on the broker now, within short time-outs. Never raises: the tick finds what is lost.

    A lane has few nudges in its queue at once: without that limit, those of a campaign that drains would stand before
    everybody else's.
    """
    from worker.tasks import deliver_lane  # the task module imports the use cases, which must not need Celery

    try:
        if reserve(str(lane_id), MOST_QUEUED):
            deliver_lane.apply_async((str(lane_id),), queue=str(message_type), retry=False, ignore_result=True)
    except Exception as error:
        if _loss.is_due():
            _log.warning("nudge_lost", lane_id=str(lane_id), error=type(error).__name__)


def _queued(name: str) -> str:
    return f"delivery:queued:{name}"


_nudger = Nudger()
nudge = _nudger.nudge
stop = _nudger.stop
atexit.register(stop)
