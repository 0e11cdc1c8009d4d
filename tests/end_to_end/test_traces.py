"""Logs and traces of a running stack: a call is followed through all processes by IDs alone, and nothing that is
planted in calls, credentials and webhooks comes out, neither in the logs nor to the collector."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from cli.stack import Stack
from tests.end_to_end.collector import Collector, Span, collecting
from tests.end_to_end.conftest import TOKEN, System, reachable_folder, running, short_options
from tests.end_to_end.observing import log_of
from tests.processes import wait_for

REQUEST_ID = "0195d3a1-7b1c-7cc2-9f0e-1d2c3b4a5968"
NUMBERS = [f"91987650543{n}" for n in range(6)]
KEY, TEXT, REPLY = "planted-api-key", "planted text for Asha", "STOP planted reply"
EXPORTED = {"GET /v1/consents/{to}", "POST /webhooks/infobip/{credential_id}/{token}/inbound", "unknown"}
OURS = {"api", "beat", "migrate", "worker-transactional", "worker-marketing", "worker-upkeep"}


@pytest.fixture(scope="module")
def traced(request: pytest.FixtureRequest) -> Iterator[tuple[System, Collector]]:
    with collecting() as collector, reachable_folder(request.session) as folder:
        options = short_options(folder, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="50")
        with running(Stack(options)) as system:
            system.stack.wait_ready()
            yield system, collector


def lines(system: System, name: str) -> list[dict[str, Any]]:
    """A process's events. What Celery prints about itself before the first is left out."""
    return [json.loads(line) for line in log_of(system, name) if line.startswith("{")]


def events(system: System, event: str, **ids: Any) -> list[dict[str, Any]]:
    found = (line for name in sorted(OURS) for line in lines(system, name) if line["event"] == event)
    return [line for line in found if ids.items() <= line.items()]


def planted_surface(system: System) -> tuple[str, str]:
    """A surface, and its credential's webhook for inbound messages."""
    name = system.surface(callback_data="planted-callback-default")
    account = system.get(f"/v1/surfaces/{name}")["credential"]
    credential = system.http.patch(f"/v1/credentials/{account}", json={"api_key": KEY, "inbound_number": NUMBERS[5]})
    assert credential.status_code == 200, credential.text
    return name, credential.json()["webhook_urls"]["inbound"]


def send(system: System, surface: str, to: str, **headers: str) -> str:
    body = {"surface": surface, "to": f"+{to}", "text": TEXT, "callback_data": "planted-callback"}
    return str(system.post("/v1/messages", body, 202, **headers)["id"])


def delivered(system: System, message_id: str) -> None:
    wait_for(lambda: system.get(f"/v1/messages/{message_id}")["state"] == "delivered", 30, every=0.1)


def followed(collector: Collector, name: str) -> list[list[Span]]:
    """Traces in which the call of that name led to a task and that to a request to Infobip."""
    spans = collector.spans
    found = []
    for call in (span for span in spans if span.name == name):
        for task in (span for span in spans if span.parent_id == call.span_id):
            found += [[call, task, post] for post in spans if post.parent_id == task.span_id and post.name == "POST"]
    return found


def test_one_trace_leads_from_the_call_through_its_nudge_to_the_submission(traced: tuple[System, Collector]) -> None:
    system, collector = traced
    surface = system.surface()
    for to in NUMBERS[:3]:
        delivered(system, send(system, surface, to))
    call, task, post = wait_for(lambda: followed(collector, "POST /v1/messages"))[0]
    assert {call.trace_id} == {task.trace_id, post.trace_id}
    assert [span.service for span in (call, task, post)] == ["delivery-api", "delivery-worker", "delivery-worker"]
    assert call.attributes["http.response.status_code"] == 202
    assert task.name == "run/worker.tasks.deliver_lane"
    assert task.attributes["messaging.destination"] == "transactional"
    assert post.attributes["http.response.status_code"] == 200
    assert [line["message_id"] for line in events(system, "request", trace_id=call.trace_id)]


def test_ticks_and_looks_of_machines_begin_no_trace(traced: tuple[System, Collector]) -> None:
    system, collector = traced
    for path in ("/healthz", "/readyz", "/metrics"):
        assert system.http.get(path).status_code == 200
    delivered(system, send(system, system.surface(), NUMBERS[0]))
    wait_for(lambda: [span for span in collector.spans if span.name.endswith("/reports")])
    roots = {span.name for span in collector.spans if not span.parent_id}
    assert [
        name for name in roots if not name.startswith(("POST /v1/", "GET /v1/", "PATCH /v1/", "POST /webhooks/"))
    ] == []


def test_a_request_s_id_goes_into_the_lines_of_its_task(traced: tuple[System, Collector]) -> None:
    system, _ = traced
    surface = system.surface()
    system.faults(server_error=1.0)
    try:
        message_id = send(system, surface, NUMBERS[1], **{"X-Request-ID": REQUEST_ID})
        (failed,) = wait_for(lambda: events(system, "submission_failed", request_id=REQUEST_ID), 20)
    finally:
        system.faults()
    (request,) = events(system, "request", request_id=REQUEST_ID)
    assert request["message_id"] == message_id
    assert (failed["queue"], failed["trace_id"]) == ("transactional", request["trace_id"])
    assert failed["turn"] in (1, 2, 3)
    assert failed["task_id"]
    timeline = system.get(f"/v1/messages/{message_id}")["timeline"]
    assert failed["submission_id"] in json.dumps(timeline)


def test_a_webhook_s_line_names_the_submissions_that_it_told_of(traced: tuple[System, Collector]) -> None:
    system, _ = traced
    batch = system.batch(system.surface(), NUMBERS[:3])
    system.finished(batch)
    (request,) = events(system, "request", batch_id=batch)
    assert request["route"] == "/v1/batches"
    (item, *_) = system.all("/v1/messages", batch=batch)
    timeline = system.get(f"/v1/messages/{item['id']}")["timeline"]
    (submission,) = {event["submission_id"] for event in timeline if event.get("submission_id")}
    told = [line for line in events(system, "request") if submission in line.get("submission_ids", ())]
    assert sum(line["reports"] for line in told) == 3
    assert {line["submissions"] for line in told} == {1}


def test_nothing_planted_comes_out(traced: tuple[System, Collector]) -> None:
    system, collector = traced
    surface, inbound = planted_surface(system)
    play(system, surface, inbound)
    wait_for(lambda: {span.name for span in collector.spans} >= EXPORTED)
    wait_for(lambda: "error.type" in {key for span in collector.spans for key in span.attributes})
    token = urlsplit(inbound).path.split("/")[-2]
    secrets = [*NUMBERS, "planted", KEY, TOKEN, token, "Asha", system.stack.environment["DELIVERY_SECRET_KEYS"]]
    exported = b"".join(collector.bodies)
    assert [secret for secret in secrets if secret.encode() in exported] == []
    for name in OURS:
        said = "\n".join(log_of(system, name))
        assert [secret for secret in secrets if secret in said] == [], name


def play(system: System, surface: str, inbound: str) -> None:
    """Calls that are accepted, refused and unknown, a reply, and requests to Infobip that fail, each with something
    planted."""
    headers = {
        "User-Agent": "planted-agent",
        "X-Request-ID": f"planted-{NUMBERS[0]}",
        "Idempotency-Key": "planted-idempotency-key",
        "tracestate": "a=planted",
        "baggage": f"to={NUMBERS[0]}",
        "traceparent": f"00-{'0af7651916cd43dd8448eb211c80319c'}-b7ad6b7169203331-01",
        "Cookie": "planted=cookie",
        "Host": "planted.example",
    }
    delivered(system, send(system, surface, NUMBERS[0], **headers))
    lines = [{"surface": surface, "text": "{{name}}: " + TEXT}, {"to": NUMBERS[1], "variables": {"name": "planted"}}]
    body = "\n".join(map(json.dumps, lines))
    answer = system.http.post("/v1/batches", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 202, answer.text
    system.finished(answer.json()["id"])
    assert system.http.get(f"/v1/consents/+{NUMBERS[2]}").status_code == 200
    assert system.http.get("/v1/messages", params={"to": NUMBERS[2], "callback_data": "planted"}).status_code == 200
    assert system.http.get(f"/planted/{NUMBERS[3]}", params={"planted": "query"}).status_code == 404
    assert system.http.post("/v1/messages", json={"surface": "planted", "to": NUMBERS[4]}).status_code == 422
    assert (
        httpx.get(f"{system.stack.api_url}/v1/batches", auth=("planted", "planted"), trust_env=False).status_code == 401
    )
    written = {"from": NUMBERS[2], "to": NUMBERS[5], "text": REPLY, "url": inbound}
    assert system.sandbox.post("/sandbox/inbound", json=written).is_success
    wait_for(lambda: system.all("/v1/inbound"))
    system.faults(reset_before=1.0)
    try:
        message_id = send(system, surface, NUMBERS[4])
        wait_for(lambda: events(system, "submission_failed"))
    finally:
        system.faults()
    delivered(system, message_id)
