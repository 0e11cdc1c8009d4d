"""Nudges: "look at this lane", sent through Celery's broker after a commit.

A nudge holds nothing that matters: losing one costs the second until the next tick, repeating one costs nothing. So a
background thread sends them, at most one a lane in 100 ms, and a broker that is away delays no one.
"""

import atexit
import threading
import time
from uuid import UUID

import structlog

from worker.logs import Seldom
from worker.queued import reserve
from worker.words import MessageType

MOST_QUEUED = 2  # of one lane
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


def send_nudge(lane_id: UUID, message_type: str) -> None:
    """Put the nudge on the broker now, within short time-outs. Never raises: the tick finds what is lost.

    A lane has few nudges in its queue at once: without that limit, those of a campaign that drains would stand before
    everybody else's.
    """
    from worker.app import TaskName, celery_app  # needs the URL of a Redis, which an API may be without

    try:
        if reserve(str(lane_id), MOST_QUEUED):
            celery_app.send_task(
                TaskName.DELIVER_LANE, (str(lane_id),), queue=str(message_type), retry=False, ignore_result=True
            )
    except Exception as error:
        if _loss.is_due():
            _log.warning("nudge_lost", lane_id=str(lane_id), error=type(error).__name__)


_nudger = Nudger()
nudge = _nudger.nudge
stop = _nudger.stop
atexit.register(stop)
