"""How tasks travel: what stands in Redis while a worker has one in hand."""

from collections.abc import Iterator

import pytest
import redis

from worker.settings import settings


@pytest.fixture
def client(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator["redis.Redis"]:
    monkeypatch.setenv("DELIVERY_REDIS_URL", redis_url)
    settings.cache_clear()
    with redis.Redis.from_url(redis_url) as client:
        yield client
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
