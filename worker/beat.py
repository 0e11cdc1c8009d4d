"""Beat's clock and scheduler. A tick holds nothing that matters, so beat needs neither the time of day nor a memory."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from celery.beat import ScheduleEntry, Scheduler, SchedulingError

from worker.logs import Seldom

_log = structlog.get_logger()
_STARTED_AT = datetime.now(UTC)
_STARTED_MONOTONIC = time.monotonic()


def steady_now() -> datetime:
    """The time of day when this process began, and what has passed since: a clock set back by an hour would otherwise
    keep beat silent for that hour."""
    return _STARTED_AT + timedelta(seconds=time.monotonic() - _STARTED_MONOTONIC)


class TickScheduler(Scheduler):  # type: ignore[misc] # Celery is untyped
    """Celery's scheduler that keeps its schedule in memory; ticks that Redis does not take are a line now and then."""

    _loss = Seldom()

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            if self._loss.is_due():
                _log.warning("tick_lost", tick=entry.name, error=type(error.__context__).__name__)
