import asyncio
import math
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import httpx
import pytest
from sqlalchemy import Engine, text

from api.app import create_app
from tests.api.conftest import BOOTSTRAP, check_problem
from worker.settings import settings

TOLD = {
    "event": "INSERT INTO event (type, subject_id, at) VALUES ('lane.held', gen_random_uuid(), now() - interval '1 h')",
    "report": """INSERT INTO delivery_report (message_id, id, attempt, source, result, received_at)
        VALUES (gen_random_uuid(), gen_random_uuid(), 1, 'push', 'noted', now() - interval '1 h')""",
}


@pytest.fixture
def away_from_home(engine: Engine) -> Iterator[None]:
    """The database was restored into this cluster."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE cluster SET system_identifier = system_identifier + 1"))
    yield
    with engine.begin() as connection:
        connection.execute(text("UPDATE cluster SET system_identifier = system_identifier - 1"))


def lag(answer: httpx.Response) -> float:
    (found,) = re.findall(r"^delivery_feed_lag_seconds (\S+)$", answer.text, re.MULTILINE)
    return float(found)


def test_alive_answers_without_token(stranger: httpx.Client) -> None:
    assert stranger.get("/healthz").json() == {"status": "ok"}


def test_ready_without_redis_is_degraded(stranger: httpx.Client) -> None:
    answer = stranger.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "postgres": "up", "redis": "away"}


def test_ready_with_redis_is_ready(stranger: httpx.Client, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELIVERY_REDIS_URL", redis_url)
    settings.cache_clear()
    assert stranger.get("/readyz").json() == {"status": "ready", "postgres": "up", "redis": "up"}
    monkeypatch.undo()
    settings.cache_clear()


def test_metrics_are_in_the_text_format(stranger: httpx.Client) -> None:
    answer = stranger.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "# TYPE delivery_messages_enqueued_total counter" in answer.text


def test_a_restored_database_is_not_ready_and_says_what_to_do(
    environment: pytest.MonkeyPatch, away_from_home: None
) -> None:
    app = create_app()

    async def ask() -> list[httpx.Response]:
        headers = {"Authorization": f"Bearer {BOOTSTRAP}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
            return [await client.get(path) for path in ("/readyz", "/v1/events", "/v1/reports", "/metrics")]

    *refused, metrics = asyncio.run(ask())
    for answer in refused:
        assert "run `delivery migrate`" in check_problem(answer, 503)["detail"]
    assert math.isnan(lag(metrics))
    app.state.engine.dispose()


@contextmanager
def hanging(engine: Engine) -> Iterator[None]:
    """All connections to the database that are open, but for this one's own, take questions and answer none."""
    query = """SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type = 'client backend'"""
    with engine.connect() as connection:
        backends = list(connection.execute(text(query)).scalars())
    assert backends
    try:
        for backend in backends:
            os.kill(backend, signal.SIGSTOP)
        yield
    finally:
        for backend in backends:
            os.kill(backend, signal.SIGCONT)


def test_scrapes_do_not_wait_for_a_database_that_hangs_and_ask_it_once(api: httpx.Client, engine: Engine) -> None:
    assert lag(api.get("/metrics")) == 0
    with hanging(engine):
        for _ in range(3):
            assert math.isnan(lag(api.get("/metrics")))
        assert [thread.name for thread in threading.enumerate()].count("feed_lag") == 1
    while math.isnan(found := lag(api.get("/metrics"))):
        pass
    assert found == 0


def test_a_scrape_needs_no_thread_of_those_that_requests_may_have_all(environment: pytest.MonkeyPatch) -> None:
    app = create_app()

    async def ask() -> httpx.Response:
        threads = anyio.to_thread.current_default_thread_limiter()
        threads.total_tokens = 1
        await threads.acquire_on_behalf_of("a request that hangs")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
            with anyio.fail_after(30):
                return await client.get("/metrics")

    assert lag(asyncio.run(ask())) == 0
    app.state.engine.dispose()


@pytest.mark.parametrize("told", TOLD)
def test_lag_of_the_feeds_is_how_long_the_oldest_has_waited_that_a_long_write_holds_back(
    api: httpx.Client, engine: Engine, told: str
) -> None:
    with engine.begin() as connection:
        connection.execute(text(TOLD[told]))  # what can be read does not wait, however old
    assert lag(api.get("/metrics")) == 0
    with engine.connect() as slow:
        slow.execute(text("SELECT pg_current_xact_id()"))
        assert lag(api.get("/metrics")) == 0
        with engine.begin() as connection:
            connection.execute(text(TOLD[told]))
        assert lag(api.get("/metrics")) >= 3_600
        slow.rollback()
    assert lag(api.get("/metrics")) == 0
