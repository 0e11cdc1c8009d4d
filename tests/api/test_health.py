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


def test_documentation_names_bodies_keys_and_problems(stranger: httpx.Client) -> None:
    document = stranger.get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    operation = document["paths"]["/v1/batches"]["post"]
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = document["components"]["schemas"][reference.rsplit("/", 1)[1]]
    assert set(schema["required"]) == {"surface", "messages"}
    assert schema["properties"]["messages"]["items"]["required"] == ["to"]
    assert "Idempotency-Key" in [parameter["name"] for parameter in operation["parameters"]]
    for path in document["paths"].values():
        for method in path.values():
            assert "Problem" in method["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"]
            assert method.get("description") or method.get("summary")


def test_every_reference_in_the_documentation_leads_somewhere(stranger: httpx.Client) -> None:
    document = stranger.get("/openapi.json").json()
    names = set(document["components"]["schemas"])

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(reference := value.get("$ref"), str):
                assert reference.removeprefix("#/components/schemas/") in names
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(document)
