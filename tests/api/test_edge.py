"""The access log: whose request it was, and what it made."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.conftest import Make

UUID = "0195d3a1-7b1c-7cc2-9f0e-1d2c3b4a5968"
HEX = "0195D3A17B1C7CC29F0E1D2C3B4A5968"
SEND = {"surface": "otp", "to": "+919876543210", "text": "Your code is 1234"}
BATCH = {"surface": "otp", "text": "hi", "messages": [{"to": "+919876543210"}]}
Logged = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def logged(api: httpx.Client, make_surface: Make, monkeypatch: pytest.MonkeyPatch) -> Logged:
    """The `request` lines so far, once there is a surface."""
    make_surface()
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr("api.edge._log.info", lambda event, **ids: lines.append({"event": event, **ids}), raising=False)
    return lambda: [line for line in lines if line["event"] == "request"]


@pytest.mark.parametrize("given", [UUID, UUID.upper(), HEX], ids=["uuid", "upper", "hex"])
def test_a_caller_s_id_of_the_request_is_kept(api: httpx.Client, given: str) -> None:
    assert api.get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", ["", "+919876543210", UUID + "0", HEX[1:], "g" * 32, f"{UUID} {UUID}", "\u0661" * 32], ids=range(7)
)
def test_what_is_no_id_is_not_taken_from_a_caller(api: httpx.Client, given: str) -> None:
    made = api.get("/healthz", headers={"X-Request-ID": given.encode()}).headers["x-request-id"]
    assert made != given
    assert len(made) == 32


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k-1"}], ids=["group", "key"])
def test_the_line_of_a_send_names_its_message(api: httpx.Client, logged: Logged, key: dict[str, str]) -> None:
    answers = [api.post("/v1/messages", json=SEND, headers=key).json()["id"] for _ in range(2)]
    assert [line.get("message_id") for line in logged()] == answers
    assert (len(set(answers)) == 1) is bool(key)


def test_the_line_of_a_batch_names_it_in_either_form(api: httpx.Client, logged: Logged) -> None:
    lines = "\n".join(map(json.dumps, [{"surface": "otp", "text": "hi"}, {"to": "+919876543210"}]))
    by_json = api.post("/v1/batches", json=BATCH)
    by_lines = api.post("/v1/batches", content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert [line.get("batch_id") for line in logged()] == [by_json.json()["id"], by_lines.json()["id"]]


def test_the_line_of_what_makes_nothing_names_nothing(api: httpx.Client, logged: Logged) -> None:
    message = api.post("/v1/messages", json=SEND).json()["id"]
    api.post("/v1/messages", json={**SEND, "to": "no number"})
    api.get(f"/v1/messages/{message}")
    _, *others = logged()
    assert len(others) == 2
    assert [key for line in others for key in line if key.endswith("_id")] == []


@pytest.mark.parametrize(
    "bulk_ids", [["+919876543210", "a text", None, 7, {"a": 1}, ["b"]], []], ids=["strange", "none"]
)
def test_the_line_of_a_webhook_names_submissions_by_id_and_no_other_word(
    api: httpx.Client, logged: Logged, bulk_ids: list[Any]
) -> None:
    urls = api.get("/v1/credentials/main").json()["webhook_urls"]
    ours = [f"0195d3a1-7b1c-7cc2-9f0e-{number:012}" for number in range(7)]
    results = [{"bulkId": bulk_id, "messageId": f"{UUID}-1"} for bulk_id in [*bulk_ids, *ours, *ours]]
    assert api.post(httpx.URL(urls["reports"]).path, json={"results": results}).status_code == 200
    (line,) = [line for line in logged() if line["route"].endswith("/reports")]
    assert (line["reports"], line["submissions"]) == (len(results), 7)
    assert line["submission_ids"] == ours[:5]
