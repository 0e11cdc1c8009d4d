"""Beat's clock and scheduler. A tick holds nothing that matters, so beat needs neither the time of day nor a memory;
and one of a kind is enough in a queue, whose workers may be busy with what takes longer than a second.
"""

import contextlib
import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import redis
import structlog
from celery.beat import ScheduleEntry, Scheduler, SchedulingError

from worker.logs import Seldom
from worker.queued import arrived, reserve_each, tick_name

_log = structlog.get_logger()


_TURNED = Path(tempfile.gettempdir()) / "delivery-beat"  # a file without content: its age is what counts


def turned_at() -> float | None:
    """When beat last went round on this machine, in Unix time; None where it has not."""
    try:
        return _TURNED.stat().st_mtime
    except OSError:
        return None


class TickScheduler(Scheduler):  # type: ignore[misc] # Celery is untyped
    """Celery's scheduler with a simpler sense of time: each entry is due so many seconds after its last turn.

    By the monotonic clock: one set back by an hour would otherwise keep beat silent for that hour. And what is due
    together goes out together: Celery's own way wakes for each entry, and spins for the 10 ms before it, which took
    more of a core than all the rest of an idle stack. Ticks that Redis does not take are a line now and then.
    """

    _loss = Seldom()

    def setup_schedule(self) -> None:
        super().setup_schedule()
        now = time.monotonic()
        self._due_at = {name: now + _seconds(entry) for name, entry in self.schedule.items()}

    def tick(self) -> float:
        """Sends what is due. Returns the seconds until the next."""
        now = time.monotonic()
        due = [entry for name, entry in self.schedule.items() if self._due_at[name] <= now]
        self._due_at.update({entry.name: now + _seconds(entry) for entry in due})
        if due:
            self._send(due)
            with contextlib.suppress(OSError):  # a full disk stops no ticks
                _TURNED.touch()
        return max(0.0, min(self._due_at.values()) - time.monotonic())

    def _send(self, due: Sequence[ScheduleEntry]) -> None:
        unsent: list[str] = []
        try:
            names = [tick_name(entry.task, entry.args) for entry in due]
            free = list(itertools.compress(due, reserve_each(names)))
            unsent = [tick_name(entry.task, entry.args) for entry in free]
            for entry in free:
                self.apply_async(entry, producer=self.producer, advance=False)
                unsent.pop(0)
        except (SchedulingError, redis.RedisError) as error:
            if self._loss.is_due():
                _log.warning("tick_lost", error=type(error.__context__ or error).__name__)
        finally:
            for name in unsent:  # what is reserved and never queued would keep its next turns back
                arrived(name)


def _seconds(entry: ScheduleEntry) -> float:
    return float(entry.schedule.run_every.total_seconds())
