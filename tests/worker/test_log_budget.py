"""The calls of Infobip's logs by one account, in real Redis."""

from uuid import uuid4

import pytest
import redis

from cli.embedded_redis import EmbeddedRedis
from worker import log_budget as module
from worker.log_budget import LogBudget


@pytest.fixture
def budget(client: "redis.Redis") -> LogBudget:
    return LogBudget(client)


@pytest.fixture
def account() -> str:
    return str(uuid4())


def test_no_minute_holds_more_than_120_calls(client: "redis.Redis", budget: LogBudget, account: str) -> None:
    assert module.CALLS_SAVED + 60 * module.CALLS_A_SECOND <= module.CALLS_A_MINUTE
    client.hset(f"delivery:logs:{account}", mapping={"tokens": 1000, "at": 0})
    calls = sum(budget.take(account, is_for_doubts=True) == 0 for _ in range(100))
    assert module.CALLS_SAVED <= calls <= module.CALLS_SAVED + 5


def test_missing_reports_leave_calls_for_the_doubts(client: "redis.Redis", budget: LogBudget, account: str) -> None:
    client.hset(f"delivery:logs:{account}", mapping={"tokens": 1000, "at": 0})
    reports = sum(budget.take(account, is_for_doubts=False) == 0 for _ in range(100))
    doubts = sum(budget.take(account, is_for_doubts=True) == 0 for _ in range(100))
    assert reports >= module.CALLS_SAVED - module.CALLS_FOR_DOUBTS
    assert doubts >= module.CALLS_FOR_DOUBTS - 1


def test_an_empty_redis_starts_the_budget_empty(budget: LogBudget, account: str) -> None:
    assert 0 < budget.take(account, is_for_doubts=True) <= 1 / module.CALLS_A_SECOND + 0.1


def test_infobips_own_429_stops_the_calls(client: "redis.Redis", budget: LogBudget, account: str) -> None:
    client.hset(f"delivery:logs:{account}", mapping={"tokens": 10, "at": 1e12})
    budget.overdrawn(account, 30)
    assert budget.take(account, is_for_doubts=True) > 25


def test_a_redis_that_is_away_grants_no_call(budget: LogBudget, account: str, redis_server: EmbeddedRedis) -> None:
    redis_server.stop()
    try:
        assert budget.take(account, is_for_doubts=True) > 0
        budget.overdrawn(account, 30)
    finally:
        redis_server.start()
