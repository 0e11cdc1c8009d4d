"""Beat's clock and scheduler. A tick holds nothing that matters, so beat needs neither the time of day nor a memory;
and one of a kind is enough in a queue, whose workers may be busy with what takes longer than a second.
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
import structlog
from celery.beat import ScheduleEntry, Scheduler, SchedulingError

from worker.logs import Seldom
from worker.nudges import reserve

_log = structlog.get_logger()
_STARTED_AT = datetime.now(UTC)
_STARTED_MONOTONIC = time.monotonic()


def steady_now() -> datetime:
    """The time of day when this process began, and what has passed since: a clock set back by an hour would otherwise
    keep beat silent for that hour."""
    return _STARTED_AT + timedelta(seconds=time.monotonic() - _STARTED_MONOTONIC)


def tick_name(task: str, args: Iterable[str] = ()) -> str:
    return " ".join((task, *args))


class TickScheduler(Scheduler):  # type: ignore[misc] # Celery is untyped
    """Celery's scheduler that keeps its schedule in memory; ticks that Redis does not take are a line now and then."""

    _loss = Seldom()

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        try:
            if reserve(tick_name(entry.task, entry.args)):
                self.apply_async(entry, producer=producer, advance=False)
        except (SchedulingError, redis.RedisError) as error:
            if self._loss.is_due():
                _log.warning("tick_lost", tick=entry.name, error=type(error.__context__ or error).__name__)
