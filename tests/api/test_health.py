import asyncio
import re
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import Engine, text

from api.app import create_app
from tests.api.conftest import BOOTSTRAP, check_problem
from worker.settings import settings


@pytest.fixture
def away_from_home(engine: Engine) -> Iterator[None]:
    """The database was restored into this cluster."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE cluster SET system_identifier = system_identifier + 1"))
    yield
    with engine.begin() as connection:
        connection.execute(text("UPDATE cluster SET system_identifier = system_identifier - 1"))


def lag(answer: httpx.Response) -> float | None:
    """None: a gap."""
    found = re.findall(r"^delivery_feed_lag_seconds (\S+)$", answer.text, re.MULTILINE)
    return float(found[0]) if found else None


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
    assert lag(metrics) is None
    app.state.engine.dispose()
