"""Nudges: each leaves in its time, a lane has few of them, and they say for a while which request asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from structlog.contextvars import bound_contextvars

from tests.processes import wait_for
from worker import nudges, queued
from worker.settings import settings


def test_a_nudge_leaves_when_its_time_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[UUID] = []
    monkeypatch.setattr(nudges, "send_nudge", lambda lane_id, _: sent.append(lane_id))
    late, soon = uuid4(), uuid4()
    nudger = nudges.Nudger()
    nudger.nudge(late, "marketing", 60.0)
    nudger.nudge(soon, "marketing", 0.2)
    assert sent == []
    wait_for(lambda: sent == [soon])
    nudger.nudge(late, "marketing")  # the earlier one counts
    wait_for(lambda: sent == [soon, late])
    nudger.stop()


@contextmanager
def published(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The options of what is put on the broker meanwhile."""
    sent: list[dict[str, Any]] = []
    monkeypatch.setenv("DELIVERY_REDIS_URL", redis_url)
    settings.cache_clear()
    with redis.Redis.from_url(redis_url) as client:
        monkeypatch.setattr(queued, "redis_client", lambda: client)
        from worker.app import celery_app

        monkeypatch.setattr(celery_app, "send_task", lambda *args, **options: sent.append(options))
        yield sent


@pytest.mark.usefixtures("fresh_settings")
def test_a_lane_has_few_nudges_queued_at_once(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lane_id = uuid4()
    with published(redis_url, monkeypatch) as sent:
        for _ in range(100):
            nudges.send_nudge(lane_id, "marketing")
        assert len(sent) == nudges.MOST_QUEUED
        queued.arrived(str(lane_id))
        nudges.send_nudge(lane_id, "marketing")
        assert len(sent) == nudges.MOST_QUEUED + 1


@pytest.mark.usefixtures("fresh_settings")
def test_a_nudge_carries_the_request_that_asked_first_and_no_other(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nudger, lane_id = nudges.Nudger(), uuid4()
    with published(redis_url, monkeypatch) as sent:
        for request_id in ("a" * 32, "b" * 32):
            with bound_contextvars(request_id=request_id):
                nudger.nudge(lane_id, "marketing", 0.2)
        wait_for(lambda: sent)
        nudger.nudge(uuid4(), "marketing")
        wait_for(lambda: len(sent) == 2)
        nudger.stop()
    assert [options["headers"] for options in sent] == [{"request_id": "a" * 32, "turn": 1}, {}]


@pytest.mark.usefixtures("fresh_settings")
def test_a_lane_that_goes_on_forgets_who_asked_first(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nudger, turns = nudges.Nudger(), []
    with published(redis_url, monkeypatch) as sent:
        bound: dict[str, Any] = {"request_id": "a" * 32}
        for number in range(1, nudges.MOST_TURNS + 2):
            with bound_contextvars(**bound):
                nudger.nudge(uuid4(), "marketing")
            wait_for(lambda number=number: len(sent) == number)
            bound = sent[-1]["headers"]
            turns.append(bound.get("turn"))
        nudger.stop()
    assert turns == [*range(1, nudges.MOST_TURNS + 1), None]
    assert sent[-1]["headers"] == {}
