"""Nudges: "look at this lane", sent through Celery's broker after a commit.

A nudge holds nothing that matters: losing one costs the second until the next tick, repeating one costs nothing. So a
background thread sends them, at most one a lane in 100 ms, and a broker that is away delays no one.

Each leaves in the context of who asked for it, so that the ID of a request, and its trace, go along to the task. Of
those who ask within these 100 ms it is the first. A task that nudges its lane again passes both on, for a few turns
(it may have to wait for the rate before it sends): a lane that goes on longer holds more and more messages of others.
"""

import atexit
import threading
import time
from contextvars import Context, copy_context
from typing import NamedTuple
from uuid import UUID

import structlog
from structlog.contextvars import get_contextvars

from worker.logs import Seldom
from worker.queued import reserve
from worker.traces import carried
from worker.words import MessageType

MOST_QUEUED = 2  # of one lane
MOST_TURNS = 3
REQUEST_ID, TURN = "request_id", "turn"  # in the logs, and among a task's headers
_QUIET_SECONDS = 0.1
_log = structlog.get_logger()
_loss = Seldom()


class _Pending(NamedTuple):
    due_at: float
    message_type: MessageType
    asked_in: Context


class Nudger:
    def __init__(self) -> None:
        self._pending: dict[UUID, _Pending] = {}
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
            pending = self._pending.get(lane_id)
            if pending is None or due_at < pending.due_at:
                self._pending[lane_id] = _Pending(due_at, MessageType(message_type), _context())
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
            for lane_id, pending in due.items():
                pending.asked_in.run(send_nudge, lane_id, pending.message_type)
            with self._wake:
                self._wake.wait_for(lambda: self._stopped, timeout=_QUIET_SECONDS)

    def _take_due(self) -> dict[UUID, _Pending]:
        now = time.monotonic()
        due = {lane_id: pending for lane_id, pending in self._pending.items() if pending.due_at <= now}
        for lane_id in due:
            del self._pending[lane_id]
        return due

    def _seconds_to_next(self) -> float | None:
        if not self._pending:
            return None
        return max(0.0, min(pending.due_at for pending in self._pending.values()) - time.monotonic())


def send_nudge(lane_id: UUID, message_type: str) -> None:
    """Put the nudge on the broker now, within short time-outs. Never raises: the tick finds what is lost.

    A lane has few nudges in its queue at once: without that limit, those of a campaign that drains would stand before
    everybody else's.
    """
    from worker.app import TaskName, celery_app  # needs the URL of a Redis, which an API may be without

    try:
        if reserve(str(lane_id), MOST_QUEUED):
            celery_app.send_task(
                TaskName.DELIVER_LANE,
                (str(lane_id),),
                queue=str(message_type),
                retry=False,
                ignore_result=True,
                headers=_headers(),
            )
    except Exception as error:
        if _loss.is_due():
            _log.warning("nudge_lost", lane_id=str(lane_id), error=type(error).__name__)


def _context() -> Context:
    """Of who asks; after the last turn, nobody's."""
    return copy_context() if get_contextvars().get(TURN, 0) < MOST_TURNS else Context()


def _headers() -> dict[str, str | int]:
    """What goes along with the task: the ID of the request that asked for it, and where its trace stands."""
    bound = get_contextvars()
    if REQUEST_ID not in bound:
        return {}
    return {REQUEST_ID: bound[REQUEST_ID], TURN: bound.get(TURN, 0) + 1, **carried()}


_nudger = Nudger()
nudge = _nudger.nudge
stop = _nudger.stop
atexit.register(stop)
