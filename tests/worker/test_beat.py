"""Beat's ticks: due by a clock that nobody sets, sent together, one of a kind in a queue."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import redis
from celery import Celery

from cli.embedded_redis import EmbeddedRedis
from worker.beat import TickScheduler
from worker.queued import arrived

SECONDS = {"look": 1.0, "sweep": 1.0, "purge": 600.0}


class Clock:
    """Python's clocks, as they would tell the time after somebody set the computer's, or after a wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = 0.0
        monotonic, of_day = time.monotonic, time.time
        self.set_back = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: monotonic() + self.passed)
        monkeypatch.setattr(time, "time", lambda: of_day() + self.passed - self.set_back)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def client(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as client:
        monkeypatch.setattr("worker.queued.redis_client", lambda: client)
        yield client


@pytest.fixture
def scheduler(client: "redis.Redis", redis_url: str, clock: Clock) -> Iterator[TickScheduler]:
    app = Celery("ticks", broker=redis_url, set_as_current=False)
    app.conf.beat_schedule = {
        name: {"task": f"tests.{name}", "schedule": seconds, "options": {"queue": "upkeep"}}
        for name, seconds in SECONDS.items()
    }
    scheduler = TickScheduler(app=app)
    yield scheduler
    scheduler.close()


def queued(client: "redis.Redis") -> list[str]:
    """The tasks in the queue, which is emptied as a worker would."""
    names = [orjson.loads(task)["headers"]["task"].removeprefix("tests.") for task in client.lrange("upkeep", 0, -1)]
    client.delete("upkeep")
    for name in names:
        arrived(f"tests.{name}")
    return sorted(names)


def test_what_is_due_goes_out_together_and_nothing_before_its_time(
    scheduler: TickScheduler, client: "redis.Redis", clock: Clock
) -> None:
    assert 0 < scheduler.tick() <= 1
    assert queued(client) == []
    clock.passed += 1
    assert 0 < scheduler.tick() <= 1
    assert queued(client) == ["look", "sweep"]
    assert scheduler.tick() > 0
    assert queued(client) == []
    clock.passed += 600
    scheduler.tick()
    assert queued(client) == ["look", "purge", "sweep"]


def test_a_computer_that_slept_makes_up_for_nothing(
    scheduler: TickScheduler, client: "redis.Redis", clock: Clock
) -> None:
    clock.passed += 100
    assert scheduler.tick() > 0
    assert queued(client) == ["look", "sweep"]


@pytest.mark.parametrize("hours", [1, -1], ids=["back", "forward"])
def test_a_step_of_the_clock_does_not_move_beats_time(
    scheduler: TickScheduler, client: "redis.Redis", clock: Clock, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SteppedClock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(UTC) - timedelta(hours=hours)

    monkeypatch.setattr("celery.schedules.datetime", SteppedClock)
    clock.set_back = 3600.0 * hours
    assert 0 < scheduler.tick() <= 1
    assert queued(client) == []
    clock.passed += 1
    assert 0 < scheduler.tick() <= 1
    assert queued(client) == ["look", "sweep"]


def test_one_of_a_kind_is_queued_until_a_worker_has_taken_it(
    scheduler: TickScheduler, client: "redis.Redis", clock: Clock
) -> None:
    for _ in range(3):
        clock.passed += 1
        scheduler.tick()
    assert queued(client) == ["look", "sweep"]
    clock.passed += 1
    scheduler.tick()
    assert queued(client) == ["look", "sweep"]


def test_ticks_go_on_after_a_redis_that_was_away(
    scheduler: TickScheduler, client: "redis.Redis", clock: Clock, redis_server: EmbeddedRedis
) -> None:
    clock.passed += 1
    scheduler.tick()
    redis_server.stop()
    try:
        clock.passed += 1
        assert scheduler.tick() <= 1
    finally:
        redis_server.start()
    clock.passed += 1
    scheduler.tick()
    assert queued(client) == ["look", "sweep"]


def test_a_tick_that_could_not_be_queued_costs_its_turn_and_no_other(
    scheduler: TickScheduler, client: "redis.Redis", clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(TickScheduler, "send_task", _break)
        clock.passed += 1
        scheduler.tick()
    clock.passed += 1
    scheduler.tick()
    assert queued(client) == ["look", "sweep"]


def _break(*_: object, **__: object) -> None:
    raise ConnectionResetError
