import threading
import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select
from starlette.routing import Match

from api.routes import webhooks
from worker.models import Credential, DeliveryReport, Message, UnmatchedReport
from worker.secrets import encrypt
from worker.settings import settings
from worker.states import State

DELIVERED = {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET"}
NO_ERROR = {"groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR", "permanent": False}


def path_of(credential: dict[str, Any]) -> str:
    return httpx.URL(credential["webhook_urls"]["reports"]).path


def result(message_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "bulkId": "b",
        "messageId": f"{message_id}-1",
        "to": "919876543210",
        "sentAt": "2026-11-23T05:30:00.000+0000",
        "doneAt": "2026-11-23T05:30:01.000+0000",
        "messageCount": 1,
        "price": {"pricePerMessage": 0.01, "currency": "EUR"},
        "status": DELIVERED,
        "error": NO_ERROR,
        **fields,
    }


def in_flight(engine: Engine) -> None:
    """Every message as if its first attempt had been accepted."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE message SET state = 'sent', attempt_count = 1"))
        connection.execute(
            text(
                "INSERT INTO attempt (message_id, number, submission_id, started_at, outcome, looks) "
                "SELECT id, 1, gen_random_uuid(), now(), 'accepted', 0 FROM message"
            )
        )


def send(api: httpx.Client, n: int = 1) -> list[str]:
    rows = [{"to": f"+9198{number:08}"} for number in range(n)]
    body = {"surface": "otp", "text": "hi", "callback_data": "order-1", "messages": rows}
    batch = api.post("/v1/batches", json=body).json()["id"]
    items = api.get("/v1/messages", params={"batch": batch, "limit": n}).json()["items"]
    return [item["id"] for item in items]


def test_report_is_stored_and_moves_its_message_before_the_200(
    api: httpx.Client, stranger: httpx.Client, engine: Engine, session: Session, make_credential, make_surface
) -> None:
    credential = make_credential()
    make_surface()
    (message,) = send(api)
    in_flight(engine)
    answer = stranger.post(path_of(credential), json={"results": [result(message)]})
    assert answer.status_code == 200
    assert session.get_one(Message, uuid.UUID(message)).state == State.DELIVERED
    (item,) = api.get("/v1/reports").json()["items"]
    assert (item["message_id"], item["callback_data"], item["source"]) == (message, "order-1", "push")


def test_repeated_push_is_stored_once(
    api: httpx.Client, stranger: httpx.Client, engine: Engine, session: Session, make_credential, make_surface
) -> None:
    credential = make_credential()
    make_surface()
    (message,) = send(api)
    in_flight(engine)
    for _ in range(3):
        assert stranger.post(path_of(credential), json={"results": [result(message)] * 2}).status_code == 200
    assert len(session.exec(select(DeliveryReport)).all()) == 1


def test_pushes_that_arrive_together_are_all_stored(
    api: httpx.Client, address: str, engine: Engine, session: Session, make_credential, make_surface
) -> None:
    path = path_of(make_credential())
    make_surface()
    messages = send(api, 200)
    in_flight(engine)
    statuses: list[int] = []

    def push(part: list[str]) -> None:
        with httpx.Client(base_url=address, timeout=30) as client:
            statuses.extend(client.post(path, json={"results": [result(message)]}).status_code for message in part)

    threads = [threading.Thread(target=push, args=(messages[start::10],)) for start in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 200
    assert session.exec(select(Message.state).distinct()).all() == ["delivered"]
    batch = api.get("/v1/batches").json()["items"][0]
    assert batch["counts"]["delivered"] == 200


@pytest.mark.usefixtures("environment")
def test_address_given_to_infobip_is_the_one_that_is_served() -> None:
    credential_id = uuid.uuid4()
    url = httpx.URL(settings().webhook_url(credential_id, "a-token", "reports"))
    scope = {"type": "http", "method": "POST", "path": url.path}
    matches = [route.matches(scope) for route in webhooks.router.routes]
    assert [(found["endpoint"], found["path_params"]) for match, found in matches if match is Match.FULL] == [
        (webhooks.take_reports, {"credential_id": str(credential_id), "token": "a-token"})
    ]


@pytest.mark.parametrize("change", ["token", "credential", "not an id", "short token"])
def test_wrong_address_is_404_whatever_is_wrong_with_it(
    stranger: httpx.Client, session: Session, make_credential, change: str
) -> None:
    parts = path_of(make_credential()).split("/")
    match change:
        case "token":
            parts[4] = "x" * len(parts[4])
        case "short token":
            parts[4] = parts[4][:-1]
        case "credential":
            parts[3] = str(uuid.uuid4())
        case _:
            parts[3] = "main"
    answer = stranger.post("/".join(parts), json={"results": [{"messageId": "x"}]})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert session.exec(select(UnmatchedReport)).all() == []


def test_previous_token_still_opens(stranger: httpx.Client, session: Session, make_credential) -> None:
    path = path_of(make_credential())
    row = session.exec(select(Credential)).one()
    row.previous_webhook_token, row.webhook_token = row.webhook_token, encrypt("new-token")
    session.commit()
    assert stranger.post(path, json={"results": []}).status_code == 200
    assert stranger.post(path.replace(path.split("/")[4], "new-token"), json={"results": []}).status_code == 200


def test_reports_of_a_deleted_credential_still_come_in(
    api: httpx.Client, stranger: httpx.Client, make_credential
) -> None:
    path = path_of(make_credential())
    assert api.delete("/v1/credentials/main").status_code == 204
    assert stranger.post(path, json={"results": []}).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{oops", b"[]", b'{"results": 7}', b"\xff\x00\xfe", b"a" * 200_000])
def test_body_that_cannot_be_read_is_kept_and_answered_200(
    stranger: httpx.Client, session: Session, make_credential, body: bytes
) -> None:
    path = path_of(make_credential())
    assert stranger.post(path, content=body).status_code == 200
    kept = session.exec(select(UnmatchedReport)).one()
    assert kept.reason == "unreadable body"
    assert len(kept.body) == min(len(body), 64 * 1024)


def test_bad_item_does_not_lose_its_neighbours(
    api: httpx.Client, stranger: httpx.Client, engine: Engine, session: Session, make_credential, make_surface
) -> None:
    credential = make_credential()
    make_surface()
    (message,) = send(api)
    in_flight(engine)
    strange = [None, 7, {}, {"messageId": "theirs"}, result(str(uuid.uuid4())), result(message)]
    assert stranger.post(path_of(credential), json={"results": strange}).status_code == 200
    assert session.get_one(Message, uuid.UUID(message)).state == State.DELIVERED
    assert len(session.exec(select(UnmatchedReport)).all()) == 5


def test_report_counts_only_for_messages_of_its_credential(
    api: httpx.Client, stranger: httpx.Client, engine: Engine, session: Session, make_credential, make_surface
) -> None:
    make_surface()
    other = make_credential(name="other")
    (message,) = send(api)
    in_flight(engine)
    assert stranger.post(path_of(other), json={"results": [result(message)]}).status_code == 200
    assert session.get_one(Message, uuid.UUID(message)).state == State.SENT
    assert len(session.exec(select(UnmatchedReport)).all()) == 1


def test_body_over_sixteen_mebibytes_is_413(stranger: httpx.Client, make_credential) -> None:
    path = path_of(make_credential())
    assert stranger.post(path, content=b" " * (16 * 1024 * 1024 + 1)).status_code == 413


def test_answers_are_counted_by_kind_and_status(stranger: httpx.Client, make_credential) -> None:
    path = path_of(make_credential())
    stranger.post(path, json={"results": []})
    stranger.post(path + "x", json={"results": []})
    measured = stranger.get("/metrics").text
    assert 'delivery_webhook_requests_total{kind="reports",status="200"}' in measured
