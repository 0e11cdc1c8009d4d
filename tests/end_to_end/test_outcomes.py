"""From the request to its end, over real processes, for every outcome the sandbox knows."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from infobip_api_client.models import SmsDeliveryResult, SmsRequest

from tests.end_to_end.conftest import System
from tests.end_to_end.observing import recipient_ending

ENDS = {
    "9001": "delivered",
    "9002": "expired",
    "9003": "failed",
    "9004": "delivered",
    "9005": "failed",
    "9006": "delivered",
    "9007": "delivered",
    "9008": "failed",
    "9009": "failed",
    "9010": "unconfirmed",
    "0000": "delivered",
}
ATTEMPTS = {
    "9001": 2,
    "9003": 1,
    "9004": 1,
    "9005": 1,
    "9006": 1,
    "9007": 1,
    "9008": 1,
    "9009": 1,
    "9010": 1,
    "0000": 1,
}
REFUSED = ("9005", "9009")  # in the answer to the send
EACH = 6


@pytest.fixture(scope="module")
def finished(shared_system: System) -> dict[str, dict[str, Any]]:
    """A batch of every outcome, at its end, by recipient."""
    shared_system.faults()
    numbers = [recipient_ending(ending) for ending in ENDS for _ in range(EACH)]
    messages = [{"to": to, "callback_data": f"order-{to}"} for to in numbers]
    batch = shared_system.batch(shared_system.surface(validity_period="PT15S"), [], messages=messages)
    return shared_system.finished(batch)


@pytest.mark.parametrize(("ending", "state"), ENDS.items())
def test_each_number_ends_as_it_should(finished: dict[str, dict[str, Any]], ending: str, state: str) -> None:
    ended = [message["state"] for to, message in finished.items() if to.endswith(ending)]
    assert ended == [state] * EACH


@pytest.mark.parametrize(("ending", "attempts"), ATTEMPTS.items())
def test_no_number_costs_more_attempts_than_it_should(
    finished: dict[str, dict[str, Any]], ending: str, attempts: int
) -> None:
    assert {message["attempts"] for to, message in finished.items() if to.endswith(ending)} == {attempts}


def test_every_end_but_delivery_has_a_reason_in_words(finished: dict[str, dict[str, Any]]) -> None:
    for message in finished.values():
        if message["state"] != "delivered":
            assert message["reason"].endswith((".", "!"))


def test_reports_are_recorded_beside_their_callback_data(system: System, finished: dict[str, dict[str, Any]]) -> None:
    (batch,) = {message["batch_id"] for message in finished.values()}
    by_message = {message["id"]: to for to, message in finished.items()}
    reports = system.all("/v1/reports", batch=batch)
    assert {report["callback_data"] for report in reports} <= {f"order-{to}" for to in finished}
    assert all(report["callback_data"] == f"order-{by_message[report['message_id']]}" for report in reports)
    pulled = {by_message[r["message_id"]][-4:] for r in reports if r["source"] == "pull"}
    assert "9004" in pulled
    twice = [r for r in reports if by_message[r["message_id"]].endswith("9006")]
    assert len(twice) == EACH  # pushed twice, recorded once


def test_every_request_carries_dlt_ids_our_ids_and_the_remaining_validity(
    system: System, finished: dict[str, dict[str, Any]]
) -> None:
    for to, message in finished.items():
        sends = sorted(system.accepted(to=to), key=lambda s: s["accepted_at"])
        assert sends or to.endswith(REFUSED)
        for number, sent in enumerate(sends, 1):
            assert sent["message_id"] == f"{message['id']}-{number}"
            assert sent["principal_entity_id"] == "1201150000000000001"
            assert sent["content_template_id"] == "1207160000000000001"
            assert sent["callback_data"] == f"order-{to}"
            left = datetime.fromisoformat(message["expires_at"]) - datetime.fromisoformat(sent["accepted_at"])
            assert timedelta(0) < left
            assert 0 <= sent["validity_seconds"] - left.total_seconds() + 1 <= 2.5


def test_infobips_sdk_reads_every_request_and_every_push(system: System, finished: dict[str, dict[str, Any]]) -> None:
    requests = [json.loads(line) for line in system.sandbox.get("/sandbox/requests?format=jsonl").text.splitlines()]
    sends = [request for request in requests if request["path"] == "/sms/3/messages"]
    assert sends
    for request in sends:
        assert SmsRequest.from_dict(request["request"]) is not None
    pushes = [json.loads(line) for line in system.sandbox.get("/sandbox/pushes?format=jsonl").text.splitlines()]
    assert pushes
    for push in pushes:
        assert SmsDeliveryResult.from_dict(push["body"]) is not None


def test_a_short_validity_is_tried_again_with_less_and_ends_expired(
    system: System, finished: dict[str, dict[str, Any]]
) -> None:
    for to in [to for to in finished if to.endswith("9002")]:
        message, sent = finished[to], sorted(system.accepted(to=to), key=lambda s: s["accepted_at"])
        assert message["state"] == "expired"
        assert "EC_ABSENT_SUBSCRIBER" in message["reason"]
        assert len(sent) > 1
        validity = [item["validity_seconds"] for item in sent]
        assert validity == sorted(set(validity), reverse=True)
        ends = datetime.fromisoformat(message["expires_at"])
        assert all(datetime.fromisoformat(item["accepted_at"]) < ends for item in sent)


def test_the_timeline_tells_the_whole_story(system: System, finished: dict[str, dict[str, Any]]) -> None:
    to = next(to for to in finished if to.endswith("9001"))
    story = system.get(f"/v1/messages/{finished[to]['id']}")["timeline"]
    kinds = [event["kind"] for event in story]
    assert kinds[0] == "accepted"
    assert kinds.count("attempt") == 2
    assert kinds.count("report") >= 2
    assert [event["at"] for event in story] == sorted(event["at"] for event in story)
