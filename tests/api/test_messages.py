import uuid

import httpx
import pytest
from sqlmodel import Session, select

from worker.ids import new_id
from worker.models import Attempt, Consent, DeliveryReport, Message, Submission
from worker.reasons import NOT_OPTED_IN
from worker.sentences import SENTENCES
from worker.states import State

SEND = {"surface": "otp", "to": "+91 98765-43210", "text": "Your code is 123456"}


def send(api: httpx.Client, **fields: object) -> str:
    answer = api.post("/v1/messages", json={**SEND, **fields})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_single_send_holds_all_its_values_itself(api: httpx.Client, session: Session, make_surface, nudges) -> None:
    make_surface(sender="ACME", callback_data="s", principal_entity_id="1" * 19)
    answer = api.post("/v1/messages", json=SEND)
    assert answer.status_code == 202
    assert answer.json()["state"] == "queued"
    message = session.exec(select(Message)).one()
    assert str(message.id) == answer.json()["id"]
    assert (message.batch_id, message.sender, message.text) == (None, "ACME", SEND["text"])
    assert (message.callback_data, message.principal_entity_id) == ("s", "1" * 19)
    assert message.next_attempt_at == message.created_at
    assert nudges.sent == [(message.lane_id, "transactional")]


def test_message_is_read_with_every_field_of_the_contract(api: httpx.Client, make_surface) -> None:
    make_surface(principal_entity_id="1" * 19)
    message = api.get(f"/v1/messages/{send(api, callback_data='c', content_template_id='2' * 19)}").json()
    assert message == {
        **message,
        "batch_id": None,
        "to": "919876543210",
        "state": "queued",
        "attempts": 0,
        "callback_data": "c",
        "content_template_id": "2" * 19,
        "principal_entity_id": "1" * 19,
        "origin": "api",
        "replay_of": None,
        "replayed_by": None,
    }
    assert message["reason"].startswith("Its turn has come: its first attempt leaves as soon as its lane's rate allows")
    assert [event["kind"] for event in message["timeline"]] == ["accepted"]


def test_suppressed_message_says_why_and_when_it_ended(api: httpx.Client, session: Session, make_surface) -> None:
    surface = make_surface(message_type="marketing", require_opt_in=True)
    message = api.get(f"/v1/messages/{send(api)}").json()
    assert (message["state"], message["attempts"], message["next_attempt_at"]) == ("suppressed", 0, None)
    assert message["reason"] == f"Not sent: {SENTENCES[NOT_OPTED_IN]}"
    consent = {"recipient": "919876543210", "credential_id": uuid.UUID(surface["credential_id"]), "source": "api"}
    session.add(Consent(state="opted_in", **consent))
    session.commit()
    assert api.get(f"/v1/messages/{send(api)}").json()["state"] == "queued"


def test_message_of_a_batch_shows_what_it_inherits(api: httpx.Client, make_surface) -> None:
    make_surface(principal_entity_id="1" * 19)
    rows = [{"to": "+919876543210"}, {"to": "+919876543211", "callback_data": "own"}]
    body = {"surface": "otp", "text": "hi", "callback_data": "shared", "messages": rows}
    batch = api.post("/v1/batches", json=body).json()["id"]
    own, shared = api.get("/v1/messages", params={"batch": batch}).json()["items"]
    assert (own["callback_data"], shared["callback_data"]) == ("own", "shared")
    assert own["principal_entity_id"] == "1" * 19
    assert "timeline" not in own


def test_attempts_and_reports_stand_in_the_timeline(api: httpx.Client, session: Session, make_surface) -> None:
    make_surface()
    message_id = uuid.UUID(send(api))
    message = session.get_one(Message, message_id)
    at = message.created_at
    submission = Submission(
        bulk_ids=[], lane_id=message.lane_id, credential_version=1, message_count=1, opened_at=at, lease_until=at
    )
    session.add(submission)
    session.add(
        Attempt(
            message_id=message_id,
            number=1,
            submission_id=submission.id,
            started_at=at,
            answered_at=at,
            outcome="delivered",
        )
    )
    session.add(
        DeliveryReport(
            message_id=message_id,
            id=new_id(),
            attempt=1,
            status_name="DELIVERED_TO_HANDSET",
            source="push",
            result="applied",
        )
    )
    message.state, message.finished_at, message.attempt_count = State.DELIVERED, at, 1
    session.commit()
    read = api.get(f"/v1/messages/{message_id}").json()
    kinds = [event["kind"] for event in read["timeline"]]
    assert set(kinds) == {"accepted", "attempt", "accepted_by_infobip", "report", "finished"}
    assert read["reason"] is None
    assert read["next_attempt_at"] is None


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"to": "919876543210"}, ["a"]),
        ({"to": "+91 98765 43210"}, ["a"]),
        ({"callback_data": "order-1"}, ["c", "b"]),
        ({"callback_data": "long" + "x" * 100}, ["d"]),
        ({"callback_data": "long" + "x" * 99}, []),
        ({"state": "queued"}, ["d", "c", "b", "a"]),
        ({"state": "failed"}, []),
        ({"callback_data": "order-1", "to": "919876543212"}, ["c"]),
    ],
)
def test_search_finds_by_recipient_state_and_callback_data_newest_first(
    api: httpx.Client, make_surface, search: dict, expected: list[str]
) -> None:
    make_surface()
    rows = [{"to": "+919876543211"}]
    batch = {"surface": "otp", "text": "hi", "callback_data": "order-1", "messages": rows}
    ids = {"a": send(api)}
    made = api.post("/v1/batches", json=batch).json()["id"]
    ids["b"] = api.get("/v1/messages", params={"batch": made}).json()["items"][0]["id"]
    ids["c"] = send(api, to="+919876543212", callback_data="order-1")
    ids["d"] = send(api, to="+919876543213", callback_data="long" + "x" * 100)
    found = api.get("/v1/messages", params=search).json()
    assert [item["id"] for item in found["items"]] == [ids[name] for name in expected]


def test_pages_of_a_search_join_without_gap(api: httpx.Client, make_surface) -> None:
    make_surface()
    rows = [{"to": f"+9198765432{n:02}"} for n in range(7)]
    batch = api.post("/v1/batches", json={"surface": "otp", "text": "hi", "messages": rows}).json()["id"]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"batch": batch, "limit": 3} | ({"cursor": cursor} if cursor else {})
        page = api.get("/v1/messages", params=params).json()
        seen += [item["to"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [row["to"][1:] for row in rows][::-1]
