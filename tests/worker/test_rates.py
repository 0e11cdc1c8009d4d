"""The bucket of a credential, in real Redis. Times are given, but where the bucket must know Redis's own."""

import random
from uuid import UUID, uuid4

import pytest
import redis

from cli.embedded_redis import EmbeddedRedis
from worker import rates as module
from worker.rates import Rates
from worker.words import MessageType

OTP = MessageType.TRANSACTIONAL


@pytest.fixture
def rates(client: "redis.Redis") -> Rates:
    return Rates(client)


@pytest.fixture
def credential() -> UUID:
    return uuid4()


def at_work(rates: Rates, credential: UUID, per_second: int | None, seconds: float, every: float = 0.01) -> list[int]:
    """What is granted to one who asks all the time, by tenth of a second."""
    granted = [0] * round(seconds * 10)
    for step in range(round(seconds / every)):
        at = 1000 + step * every
        granted[int(step * every * 10 + 1e-6)] += rates.take(credential, per_second, 500, at=at).messages
    return granted


def test_without_a_rate_everything_wanted_is_granted(rates: Rates, credential: UUID) -> None:
    assert rates.take(credential, None, 500).messages == 500


def test_an_empty_redis_starts_the_bucket_empty(rates: Rates, credential: UUID) -> None:
    assert rates.take(credential, 100, 100) == (0, 0.1)


def test_what_is_granted_keeps_to_the_rate_in_every_second(rates: Rates, credential: UUID) -> None:
    granted = at_work(rates, credential, 200, 10)
    for start in range(len(granted) - 10):
        assert sum(granted[start : start + 10]) <= 200 * 1.1
    assert sum(granted) >= 200 * 9.8  # and none of it is lost


def test_grants_are_pieces_of_a_tenth_of_a_second(rates: Rates, credential: UUID) -> None:
    assert max(at_work(rates, credential, 1000, 3)) <= 2 * 100


@pytest.mark.parametrize("per_second", [1, 3, 7])
def test_a_low_rate_is_kept_too(rates: Rates, credential: UUID, per_second: int) -> None:
    assert per_second * 19 - 1 <= sum(at_work(rates, credential, per_second, 20)) <= per_second * 20


def test_what_slow_answers_leave_unused_is_saved_for_half_a_second(rates: Rates, credential: UUID) -> None:
    rates.take(credential, 100, 500, at=1000.0)
    granted = [rates.take(credential, 100, 500, at=1001.0 + step / 2).messages for step in range(20)]
    assert all(45 <= n <= 60 for n in granted[1:])
    assert rates.take(credential, 100, 500, at=1012.0).messages == 60


def test_a_trickle_beside_it_costs_a_campaign_nothing(rates: Rates, credential: UUID) -> None:
    campaign = 0
    for step in range(200):
        at = 1000 + step * 0.05
        if step % 10 == 0:  # answers take half a second
            campaign += rates.take(credential, 100, 500, at=at).messages
        if rates.take(credential, 100, 500, OTP, at=at).messages:  # finds nothing, or one
            rates.charge(credential, 100, -500, at=at)
    assert campaign > 800


def test_who_was_held_starts_slowly(rates: Rates, credential: UUID) -> None:
    at_work(rates, credential, 100, 1)
    assert rates.take(credential, 100, 500, at=1031.0).messages == 10


def test_unused_tokens_come_back(rates: Rates, credential: UUID) -> None:
    rates.take(credential, 100, 1, at=1000.0)
    assert rates.take(credential, 100, 10, at=1000.1).messages == 10
    rates.charge(credential, 100, -10, at=1000.1)
    assert rates.take(credential, 100, 10, at=1000.1).messages == 10


def test_transactional_overdraws_and_marketing_pays_it_back(rates: Rates, credential: UUID) -> None:
    rates.take(credential, 100, 1, at=1000.0)
    assert rates.take(credential, 100, 10, at=1000.1).messages == 10
    assert rates.take(credential, 100, 10, at=1000.1).messages == 0
    sent = sum(rates.take(credential, 100, 10, OTP, at=1000.1).messages for _ in range(50))
    assert 40 <= sent <= 50
    assert rates.take(credential, 100, 10, OTP, at=1000.1).messages == 0
    assert rates.take(credential, 100, 10, at=1000.4).messages == 0
    assert rates.take(credential, 100, 10, at=1000.8).messages == 10


def test_no_mixture_outruns_the_rate_by_more_than_a_second(rates: Rates, credential: UUID) -> None:
    chance = random.Random(4)
    granted: list[tuple[float, int]] = []
    at = 1000.0
    for _ in range(3000):
        at += chance.choice([0.0, 0.001, 0.02, 0.4, 1.1])
        kind = chance.choice([OTP, MessageType.MARKETING])
        granted.append((at, rates.take(credential, 100, chance.choice([1, 20, 500]), kind, at=at).messages))
    for seconds in (1, 3, 10):
        start = total = 0
        for at, n in granted:
            total += n
            while granted[start][0] <= at - seconds:
                total -= granted[start][1]
                start += 1
            assert total <= 100 * (seconds + 1) + 2


def test_messages_of_many_parts_outrun_the_rate_by_one_message_more(rates: Rates, credential: UUID) -> None:
    """A claim takes the parts that it was granted, or one message, and charges the difference (sending.py)."""
    chance = random.Random(5)
    gone: list[tuple[float, int]] = []
    at, most = 1000.0, 25
    for _ in range(3000):
        at += chance.choice([0.0, 0.001, 0.02, 0.4, 1.1])
        kind, parts = chance.choice([OTP, MessageType.MARKETING]), chance.choice([1, 7, 10, most])
        granted = rates.take(credential, 100, 500, kind, at=at).messages
        if granted:
            taken = max(granted // parts, 1) * parts
            rates.charge(credential, 100, taken - granted, at=at)
            gone.append((at, taken))
    for seconds in (1, 3, 10):
        start = total = 0
        for at, n in gone:
            total += n
            while gone[start][0] <= at - seconds:
                total -= gone[start][1]
                start += 1
            assert total <= 100 * (seconds + 1) + most


def test_what_goes_unasked_is_paid_for_by_the_next(rates: Rates, credential: UUID) -> None:
    rates.take(credential, 100, 1, at=1000.0)
    rates.charge(credential, 100, 50, at=1000.1)
    assert rates.take(credential, 100, 10, at=1000.1) == (0, 0.5)


def test_credentials_do_not_share_a_bucket(rates: Rates, credential: UUID) -> None:
    other = uuid4()
    rates.take(credential, 10, 1, at=1000.0)
    rates.charge(credential, 10, 1000, at=1000.0)
    rates.take(other, 10, 1, at=1000.0)
    assert rates.take(other, 10, 1, at=1000.1).messages == 1


def test_redis_gives_the_time_where_none_is_given(rates: Rates, credential: UUID, client: "redis.Redis") -> None:
    rates.take(credential, 10, 1)
    now, _ = client.time()
    assert abs(float(client.hget(f"delivery:rate:{credential}", "at")) - now) < 5  # type: ignore[arg-type]


def test_a_redis_that_is_away_grants_nothing(rates: Rates, credential: UUID, redis_server: EmbeddedRedis) -> None:
    redis_server.stop()
    try:
        assert rates.take(credential, 10, 10).messages == 0
        rates.charge(credential, 10, -10)
        rates.slow_down(credential, 10)
        assert rates.take(credential, None, 10).messages == 10
    finally:
        redis_server.start()


def second_of(rates: Rates, credential: UUID, per_second: int | None, start: float) -> int:
    return sum(rates.take(credential, per_second, 500, at=start + step / 100).messages for step in range(100))


def test_a_429_halves_what_was_reached_and_it_recovers_within_half_a_minute(rates: Rates, credential: UUID) -> None:
    at_work(rates, credential, 1000, 3)
    rates.slow_down(credential, 1000, at=1003.0)
    assert 450 <= second_of(rates, credential, 1000, 1003.0) <= 560
    assert 700 <= second_of(rates, credential, 1000, 1018.0) <= 860
    assert second_of(rates, credential, 1000, 1034.0) > 950


def test_no_number_of_429s_leaves_less_than_a_tenth_of_the_configured_rate(rates: Rates, credential: UUID) -> None:
    rates.take(credential, 1000, 1, at=1000.0)
    for _ in range(20):
        rates.slow_down(credential, 1000, at=1000.0)
    second_of(rates, credential, 1000, 1000.0)  # pays what an empty bucket owes
    assert 100 <= second_of(rates, credential, 1000, 1001.0) <= 150


def test_a_rate_is_learnt_where_none_is_configured_and_forgotten_after_a_quiet_minute(
    rates: Rates, credential: UUID
) -> None:
    assert rates.take(credential, None, 300, at=1000.0).messages == 300
    assert rates.take(credential, None, 100, at=1000.5).messages == 100
    rates.slow_down(credential, None, at=1000.6)
    assert 180 <= second_of(rates, credential, None, 1000.6) <= 220
    assert 280 <= second_of(rates, credential, None, 1015.0) <= 340
    assert 560 <= second_of(rates, credential, None, 1059.0) <= 640
    assert rates.take(credential, None, 500, at=1061.0).messages == 500


def test_one_429_after_the_other_leaves_a_tenth_of_what_was_reached_and_it_grows_back(
    rates: Rates, credential: UUID
) -> None:
    rates.take(credential, None, 400, at=1000.0)
    for second in range(20):
        rates.slow_down(credential, None, at=1000.5 + second)
        rates.take(credential, None, 1, at=1000.6 + second)
    assert 40 <= second_of(rates, credential, None, 1020.0) <= 75
    assert 380 <= second_of(rates, credential, None, 1050.0) <= 440


def test_a_429_in_a_quiet_moment_does_not_stop_what_comes_after(rates: Rates, credential: UUID) -> None:
    rates.take(credential, None, 1, at=1000.0)
    rates.slow_down(credential, None, at=1000.1)
    assert second_of(rates, credential, None, 1002.0) >= module.LEAST_LEARNT


def test_what_was_asked_for_and_given_back_was_not_reached(rates: Rates, credential: UUID) -> None:
    for step in range(20):
        rates.take(credential, None, 500, at=1000.0 + step / 5)
        rates.charge(credential, None, -496, at=1000.05 + step / 5)
    rates.slow_down(credential, None, at=1004.0)
    assert second_of(rates, credential, None, 1005.0) <= 2 * module.LEAST_LEARNT


def test_a_clock_that_is_set_back_is_no_lasting_harm(rates: Rates, credential: UUID) -> None:
    rates.take(credential, 100, 500, at=5000.0)
    rates.slow_down(credential, 100, at=5000.0)
    second_of(rates, credential, 100, 1400.0)
    assert 95 <= second_of(rates, credential, 100, 1401.0) <= 115


def test_what_was_reached_is_the_busiest_of_the_last_seconds(rates: Rates, credential: UUID) -> None:
    rates.take(credential, None, 400, at=1000.0)
    rates.take(credential, None, 3, at=1002.5)  # after a pause, say
    rates.slow_down(credential, None, at=1002.6)
    assert 190 <= second_of(rates, credential, None, 1002.6) <= 240
