"""Nudges: each leaves in its time, and a lane has few of them."""

from uuid import UUID, uuid4

import pytest
import redis

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


@pytest.mark.usefixtures("fresh_settings")
def test_a_lane_has_few_nudges_queued_at_once(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lane_id = uuid4()
    sent: list[object] = []
    monkeypatch.setenv("DELIVERY_REDIS_URL", redis_url)
    settings.cache_clear()
    with redis.Redis.from_url(redis_url) as client:
        monkeypatch.setattr(queued, "redis_client", lambda: client)
        from worker.app import celery_app

        monkeypatch.setattr(celery_app, "send_task", lambda *args, **options: sent.append(args))
        for _ in range(100):
            nudges.send_nudge(lane_id, "marketing")
        assert len(sent) == nudges.MOST_QUEUED
        queued.arrived(str(lane_id))
        nudges.send_nudge(lane_id, "marketing")
        assert len(sent) == nudges.MOST_QUEUED + 1
