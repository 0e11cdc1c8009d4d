"""Beat's clock: steps of the computer's clock do not reach it."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from celery.schedules import schedule

from worker import beat
from worker.beat import steady_now

HOUR = timedelta(hours=1)


class SteppedClock(datetime):
    """The computer's clock after someone set it."""

    step = -HOUR

    @classmethod
    def now(cls, tz: object = None) -> datetime:
        return datetime.now(UTC) + cls.step


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_a_step_of_the_clock_does_not_move_beats_time(monkeypatch: pytest.MonkeyPatch, step: timedelta) -> None:
    before = steady_now()
    monkeypatch.setattr(SteppedClock, "step", step)
    monkeypatch.setattr(beat, "datetime", SteppedClock)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert timedelta(0) <= steady_now() - before < timedelta(minutes=1)


def test_it_goes_on_as_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    before, monotonic = steady_now(), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: monotonic + 90)
    assert timedelta(seconds=89) < steady_now() - before < timedelta(seconds=91)


def test_a_tick_is_due_by_that_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tick = schedule(60, nowfun=steady_now)
    last_run_at, monotonic = steady_now(), time.monotonic()
    assert not tick.is_due(last_run_at).is_due
    monkeypatch.setattr(time, "monotonic", lambda: monotonic + 61)
    assert tick.is_due(last_run_at).is_due
