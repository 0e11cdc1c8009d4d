"""How many tasks of a kind may stand in a queue, counted in real Redis."""

import pytest
import redis

from worker import queued


def test_one_tick_of_a_kind_is_queued_until_it_has_arrived(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with redis.Redis.from_url(redis_url) as client:
        monkeypatch.setattr(queued, "redis_client", lambda: client)
        assert queued.reserve("sweep", 1)
        assert not queued.reserve("sweep", 1)
        assert queued.reserve("purge", 1)
        queued.arrived("sweep")
        assert queued.reserve("sweep", 1)
        queued.arrived("sweep")
        with queued.alone("sweep", 60):
            assert not queued.reserve("sweep", 1)
        assert queued.reserve("sweep", 1)
