import httpx
import pytest

from worker.settings import settings


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
