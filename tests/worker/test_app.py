"""How tasks travel: what is put into Redis, and what stands there while a worker has one in hand."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import redis

from worker.settings import settings


@pytest.fixture
def client(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator["redis.Redis"]:
    monkeypatch.setenv("DELIVERY_REDIS_URL", redis_url)
    settings.cache_clear()
    with redis.Redis.from_url(redis_url) as client:
        yield client
        client.flushdb()
    settings.cache_clear()


def test_a_task_in_hand_is_nowhere_in_redis(client: "redis.Redis") -> None:
    from worker.app import make_celery

    app = make_celery()
    app.send_task("worker.tasks.sweep", queue="upkeep")
    assert client.llen("upkeep") == 1
    with app.connection_for_read() as connection:
        in_hand = connection.default_channel.basic_get("upkeep")
        assert in_hand.headers["task"] == "worker.tasks.sweep"
        assert [key for key in client.scan_iter() if not key.startswith(b"_kombu.binding")] == []
        in_hand.ack()


NUDGE_AND_APPLY = """
import sys
from uuid import UUID
from worker.nudges import send_nudge

send_nudge(UUID(int=7), "marketing")
assert "worker.tasks" not in sys.modules
from worker.tasks import deliver_lane
deliver_lane.apply_async((str(UUID(int=7)),), queue="marketing", retry=False, ignore_result=True)
"""
NUDGE = """
import time
from uuid import UUID
from worker.nudges import nudge

nudge(UUID(int=7), "marketing")
time.sleep(1)
print("goes on")
"""


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: an application is made once, and remembers which tasks it was told of."""
    kept = {name: value for name, value in os.environ.items() if name != "DELIVERY_REDIS_URL"}
    return subprocess.run([sys.executable, "-c", code], env={**kept, **environment}, capture_output=True, text=True)


def without_ids(message: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = orjson.loads(message)
    for part, names in {
        "headers": ("id", "root_id"),
        "properties": ("correlation_id", "delivery_tag", "reply_to"),
    }.items():
        for name in names:
            del fields[part][name]
    return fields


def test_a_nudge_is_what_its_task_would_send_without_having_imported_it(client: "redis.Redis", redis_url: str) -> None:
    run = python(NUDGE_AND_APPLY, DELIVERY_REDIS_URL=redis_url)
    assert run.returncode == 0, run.stderr
    applied, nudged = map(without_ids, client.lrange("marketing", 0, -1))
    assert nudged == applied
    assert nudged["headers"]["task"] == "worker.tasks.deliver_lane"


def test_without_a_redis_nudges_are_lost_and_nobody_is_disturbed() -> None:
    run = python(NUDGE)
    assert (run.stdout, run.stderr, run.returncode) == ("goes on\n", "", 0)
