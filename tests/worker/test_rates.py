"""The token bucket of a credential, in real Redis."""

import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
import redis

from cli.embedded import EmbeddedRedis
from worker.rates import Rates


@pytest.fixture
def rates(redis_url: str) -> Iterator[Rates]:
    with redis.Redis.from_url(redis_url, socket_connect_timeout=1) as client:
        yield Rates(client)


@pytest.fixture
def credential() -> UUID:
    return uuid4()


def test_without_a_rate_everything_wanted_is_granted(rates: Rates, credential: UUID) -> None:
    assert rates.take(credential, None, 500) == 500


def test_an_empty_redis_starts_the_bucket_empty(rates: Rates, credential: UUID) -> None:
    assert rates.take(credential, 100, 100) == 0


def test_what_is_granted_keeps_to_the_rate(rates: Rates, credential: UUID) -> None:
    started = time.monotonic()
    granted = 0
    while time.monotonic() - started < 0.5:
        granted += rates.take(credential, 200, 500)
        time.sleep(0.01)
    assert 0 < granted <= 200 * (time.monotonic() - started)


def test_no_more_than_a_second_is_ever_saved_up(rates: Rates, credential: UUID) -> None:
    rates.take(credential, 1000, 1)
    rates.give_back(credential, 1000, 50_000)
    assert rates.take(credential, 1000, 5000) == 1000
    assert rates.take(credential, 1000, 5000) < 500


def test_unused_tokens_come_back(rates: Rates, credential: UUID) -> None:
    rates.take(credential, 10, 1)
    rates.give_back(credential, 10, 7)
    assert rates.take(credential, 10, 10) >= 7


def test_credentials_do_not_share_a_bucket(rates: Rates, credential: UUID) -> None:
    rates.take(credential, 10, 1)
    rates.give_back(credential, 10, 10)
    assert rates.take(uuid4(), 10, 10) == 0


def test_a_redis_that_is_away_grants_nothing(rates: Rates, credential: UUID, redis_server: EmbeddedRedis) -> None:
    redis_server.stop()
    try:
        assert rates.take(credential, 10, 10) == 0
        rates.give_back(credential, 10, 10)
        assert rates.take(credential, None, 10) == 10
    finally:
        redis_server.start()
