"""Replays over HTTP: what would go is shown, it goes once however often it is asked for, and late news stops it."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from tests.api.conftest import Nudges, check_problem, created
from tests.factories import MadeLane, make_batch, make_lane
from tests.worker.steps import answer, apply, assert_tally_is_exact, at_once, batch_of, change, report, states, took
from worker import endings
from worker.models import Batch, IdempotencyKey, Message
from worker.settings import settings
from worker.tokens import create_token
from worker.words import Scope

NOBODY = "00000000-0000-0000-0000-000000000000"
UNKNOWN = {"status": 9, "group": 2, "error": 1}  # "unknown subscriber": for good
NUMBERS = [f"9199000000{n:02}" for n in range(40)]


@pytest.fixture
def lane(api: httpx.Client, session: Session) -> MadeLane:
    return make_lane(session)


@pytest.fixture
def ids(session: Session, engine: Engine, lane: MadeLane) -> list[UUID]:
    """The messages of a batch: one delivered, three failed, one of which no report ever came."""
    made = ended(session, lane, 5, silent=1)
    change(session, "UPDATE attempt SET look_at = NULL WHERE message_id = :id", id=made[4])
    change(session, "UPDATE message SET expires_at = now() - interval '1 day' WHERE id = :id", id=made[4])
    assert endings.give_up(engine, settings()) == 1
    assert states(session, made) == ["delivered", "failed", "failed", "failed", "unconfirmed"]
    return made


@pytest.fixture
def batch_id(session: Session, ids: list[UUID]) -> str:
    return batch_with(session, ids)


def ended(session: Session, lane: MadeLane, size: int, *, silent: int = 0) -> list[UUID]:
    """A batch of which Infobip says that the first arrived, nothing of so many last ones, and of others that they
    failed."""
    first, *others = made = make_batch(session, lane, NUMBERS[:size])
    answer(session, took(session, lane))
    failed = others[: len(others) - silent]
    apply(session, lane, report(first), *(report(message_id, **UNKNOWN) for message_id in failed))
    return made


def batch_with(session: Session, ids: list[UUID]) -> str:
    found = str(batch_of(session, ids[0]).id)
    session.commit()
    return found


def replay(api: httpx.Client, batch_id: str, key: str | None = None, **body: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else None
    return api.post(f"/v1/batches/{batch_id}/replay", json=body or None, headers=headers)


def replayed(api: httpx.Client, batch_id: str, **body: Any) -> dict[str, Any]:
    return created(replay(api, batch_id, **body))


def nothing_left(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["accepted"] == 0
    return body


def messages(api: httpx.Client, batch_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get("/v1/messages", params={"batch": batch_id}).json()["items"]
    return items


def batches(session: Session) -> int:
    session.expire_all()
    return len(session.exec(select(Batch)).all())


def delivered(message_id: UUID) -> dict[str, Any]:
    """A push in Infobip's words."""
    status = {"id": 5, "groupId": 3, "groupName": "DELIVERED", "name": "DELIVERED_TO_HANDSET"}
    error = {"id": 0, "groupId": 0, "groupName": "OK", "name": "NO_ERROR", "permanent": False}
    at = "2026-11-23T12:09:00.000+0000"
    item = {"messageId": f"{message_id}-1", "to": NUMBERS[1], "status": status, "error": error, "doneAt": at}
    return {"results": [item]}


def test_preview_says_what_would_go_and_why_it_failed_and_writes_nothing(
    api: httpx.Client, session: Session, batch_id: str, nudges: Nudges
) -> None:
    shown = replay(api, batch_id, dry_run=True)
    assert shown.status_code == 200
    found = shown.json()
    (group,) = found.pop("groups")
    assert (group["state"], group["reason"], group["count"]) == ("failed", "EC_UNKNOWN_SUBSCRIBER", 3)
    assert group["sentence"].startswith("The operator does not know this number.")
    assert found == {
        "would_replay": 3,
        "left_out": [{"reason": "unconfirmed", "count": 1}],
        "segments": 3,
        "cost": {"amount": pytest.approx(0.0063), "currency": "EUR"},
    }
    assert batches(session) == 1
    assert nudges.sent == []


def test_preview_of_nothing_is_zeros_without_a_cost(api: httpx.Client, batch_id: str) -> None:
    found = replay(api, batch_id, dry_run=True, error_names=["EC_DLT_ERROR"]).json()
    assert (found["would_replay"], found["groups"], found["segments"], found["cost"]) == (0, [], 0, None)


def test_replay_is_a_new_batch_linked_both_ways_whose_lane_is_nudged(
    api: httpx.Client, session: Session, lane: MadeLane, batch_id: str, ids: list[UUID], nudges: Nudges
) -> None:
    new = replayed(api, batch_id)
    assert (new["accepted"], new["total"], new["state"], new["replay_of"]) == (3, 3, "running", batch_id)
    assert new["left_out"] == [{"reason": "unconfirmed", "count": 1}]
    assert new["counts"] == {"queued": 3}
    batch = api.get(f"/v1/batches/{new['id']}").json()
    assert batch == {name: value for name, value in new.items() if name not in ("accepted", "left_out")}
    assert api.get(f"/v1/batches/{batch_id}").json()["replays"] == [new["id"]]
    assert nudges.sent == [(lane.id, "transactional")]
    for item in messages(api, new["id"]):
        one = api.get(f"/v1/messages/{item['id']}").json()
        assert (one["origin"], one["callback_data"]) == ("replay", "order-5512")
        assert api.get(f"/v1/messages/{one['replay_of']}").json()["replayed_by"] == item["id"]
    assert {item["to"] for item in messages(api, new["id"])} == set(NUMBERS[1:4])
    assert_tally_is_exact(session, lane)


def test_without_anything_left_the_newest_replay_is_named_and_nobody_is_nudged(
    api: httpx.Client, session: Session, batch_id: str, nudges: Nudges
) -> None:
    first = replayed(api, batch_id)
    nudges.sent.clear()
    again = nothing_left(replay(api, batch_id))
    assert (again["id"], again["replay_of"]) == (first["id"], batch_id)
    assert {left["reason"]: left["count"] for left in again["left_out"]} == {"already_replayed": 3, "unconfirmed": 1}
    unconfirmed = replayed(api, batch_id, include_unconfirmed=True)
    assert unconfirmed["accepted"] == 1
    assert nothing_left(replay(api, batch_id, include_unconfirmed=True))["id"] == unconfirmed["id"]
    assert batches(session) == 3
    assert len(nudges.sent) == 1


def test_without_anything_to_replay_ever_no_batch_is_named(api: httpx.Client, session: Session, batch_id: str) -> None:
    none = nothing_left(replay(api, batch_id, states=["cancelled"]))
    assert none == {"id": None, "accepted": 0, "left_out": [{"reason": "unconfirmed", "count": 1}]}
    assert batches(session) == 1


@pytest.mark.parametrize("size", [2, 40])
def test_pressed_at_once_by_many_there_is_one_linked_batch_with_each_message_once(
    api: httpx.Client, session: Session, lane: MadeLane, size: int
) -> None:
    source = batch_with(session, ended(session, lane, size))
    answers: list[httpx.Response] = []
    at_once(*[lambda: answers.append(replay(api, source))] * 4)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    (new,) = api.get(f"/v1/batches/{source}").json()["replays"]
    assert {answer.json()["id"] for answer in answers} == {new}
    assert sum(answer.json()["accepted"] for answer in answers) == size - 1
    session.expire_all()
    assert (
        sorted(row.recipient for row in session.exec(select(Message).where(Message.batch_id == UUID(new))))
        == (NUMBERS[1:size])
    )
    assert_tally_is_exact(session, lane)


def test_an_idempotency_key_gives_the_first_answer_again_and_says_nothing_of_another_batch(
    api: httpx.Client, session: Session, lane: MadeLane, batch_id: str
) -> None:
    other = batch_with(session, ended(session, lane, 3))
    first, of_other = replay(api, batch_id, key="today"), replay(api, other, key="today")
    assert (created(first)["replay_of"], created(of_other)["replay_of"]) == (batch_id, other)
    for source, kept in ((batch_id, first), (other, of_other)):
        again = replay(api, source, key="today")
        assert (again.status_code, again.content) == (201, kept.content)
    check_problem(replay(api, batch_id, key="today", include_unconfirmed=True), 409)
    assert batches(session) == 4
    assert len(session.exec(select(IdempotencyKey)).all()) == 2


def test_a_preview_is_made_anew_under_the_same_key(api: httpx.Client, session: Session, batch_id: str) -> None:
    shown = [replay(api, batch_id, key="today", dry_run=True).json()["would_replay"]]
    replayed(api, batch_id, key="today")
    shown.append(replay(api, batch_id, key="today", dry_run=True).json()["would_replay"])
    assert shown == [3, 0]


@pytest.mark.parametrize(("scope", "status"), [(Scope.SEND, 403), (Scope.READ, 403), (Scope.REPLAY, 201)])
def test_replaying_takes_its_own_scope(
    api: httpx.Client, session: Session, batch_id: str, scope: Scope, status: int
) -> None:
    token = create_token(session, scope, [scope])
    answer = api.post(f"/v1/batches/{batch_id}/replay", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status
    assert batches(session) == (2 if status == 201 else 1)


BAD = {
    "no field of it": ({"state": ["failed"]}, "state"),
    "what was delivered": ({"states": ["delivered"]}, "states.0"),
    "what has not ended": ({"states": ["failed", "queued"]}, "states.1"),
    "no state at all": ({"states": []}, "states"),
    "one state without a list": ({"states": "failed"}, "states"),
    "unconfirmed ones without permission": ({"states": ["unconfirmed"]}, "states"),
    "no reason at all": ({"error_names": []}, "error_names"),
    "a reason that cannot be": ({"error_names": ["EC\0"]}, "error_names.0"),
    "too many reasons": ({"error_names": ["EC"] * 1_001}, "error_names"),
    "a day for a time": ({"from": "2027-01-31"}, "from"),
    "a time without offset": ({"until": "2027-01-31T09:00:00"}, "until"),
    "times that enclose nothing": ({"from": "2027-01-31T09:00:00Z", "until": "2027-01-31T09:00:00Z"}, "until"),
    "permission in words": ({"include_unconfirmed": "yes"}, "include_unconfirmed"),
    "seconds for a validity": ({"validity_period": 60}, "validity_period"),
    "too short a validity": ({"validity_period": "PT9S"}, "validity_period"),
    "too long a validity": ({"validity_period": "PT49H"}, "validity_period"),
    "no DLT ID": ({"content_template_id": ""}, "content_template_id"),
    "another text": ({"text": "Hello"}, "text"),
}


@pytest.mark.parametrize("is_preview", [False, True], ids=["replay", "preview"])
@pytest.mark.parametrize(("body", "field"), BAD.values(), ids=BAD)
def test_what_cannot_be_asked_for_is_named_and_nothing_goes(
    api: httpx.Client, session: Session, batch_id: str, body: dict[str, Any], field: str, is_preview: bool
) -> None:
    problem = check_problem(replay(api, batch_id, dry_run=is_preview, **body), 422)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert batches(session) == 1


@pytest.mark.parametrize("raw", [b"{", b"[]", b"null", b'"failed"'])
def test_a_body_that_is_no_object_is_422(api: httpx.Client, batch_id: str, raw: bytes) -> None:
    check_problem(
        api.post(f"/v1/batches/{batch_id}/replay", content=raw, headers={"Content-Type": "application/json"}), 422
    )


@pytest.mark.parametrize("is_preview", [False, True], ids=["replay", "preview"])
def test_what_is_no_batch_is_not_found(api: httpx.Client, is_preview: bool) -> None:
    check_problem(replay(api, NOBODY, dry_run=is_preview), 404)


@pytest.mark.parametrize("is_preview", [False, True], ids=["replay", "preview"])
def test_a_batch_whose_surface_is_deleted_is_a_conflict_that_says_what_to_do(
    api: httpx.Client, session: Session, batch_id: str, is_preview: bool
) -> None:
    assert api.delete("/v1/surfaces/account").status_code == 204
    problem = check_problem(replay(api, batch_id, dry_run=is_preview), 409)
    assert "send its messages in a new batch, through another surface" in problem["detail"]
    assert batches(session) == 1


def test_unconfirmed_messages_go_where_that_is_said(
    api: httpx.Client, session: Session, batch_id: str, ids: list[UUID]
) -> None:
    new = replayed(api, batch_id, states=["unconfirmed"], include_unconfirmed=True)
    assert (new["accepted"], new["left_out"]) == (1, [])
    (item,) = messages(api, new["id"])
    assert api.get(f"/v1/messages/{item['id']}").json()["replay_of"] == str(ids[4])


def test_other_dlt_ids_and_validity_are_those_of_the_replay(api: httpx.Client, batch_id: str) -> None:
    given = {"principal_entity_id": "1201150000000000077", "content_template_id": "1207160000000000088"}
    new = replayed(api, batch_id, validity_period="PT30M", **given)
    for item in messages(api, new["id"]):
        assert {name: item[name] for name in given} == given
        assert item["expires_at"] == new["expires_at"]


def test_a_late_delivery_cancels_the_replay_that_waits_and_the_others_go(
    api: httpx.Client, stranger: httpx.Client, session: Session, lane: MadeLane, batch_id: str, ids: list[UUID]
) -> None:
    new = replayed(api, batch_id)
    push = stranger.post(f"/webhooks/infobip/{lane.credential_id}/hook-token/reports", json=delivered(ids[1]))
    assert push.status_code == 200
    assert states(session, ids[:3]) == ["delivered", "delivered", "failed"]
    assert api.get(f"/v1/batches/{new['id']}").json()["counts"] == {"queued": 2, "cancelled": 1}
    (cancelled,) = [item for item in messages(api, new["id"]) if item["state"] == "cancelled"]
    assert cancelled["to"] == NUMBERS[1]
    assert "The message that this one replays was delivered after all" in cancelled["reason"]
    assert {message.recipient for message in took(session, lane).messages} == set(NUMBERS[2:4])
    again = nothing_left(replay(api, new["id"], states=["cancelled"]))
    assert again["left_out"] == [{"reason": "delivered_late", "count": 1}]
    assert_tally_is_exact(session, lane)


def test_replays_are_counted(api: httpx.Client, batch_id: str) -> None:
    def counted() -> float:
        (line,) = [line for line in api.get("/metrics").text.splitlines() if line.startswith("delivery_replays_total ")]
        return float(line.split()[1])

    before = counted()
    replay(api, batch_id, dry_run=True)
    replayed(api, batch_id)
    nothing_left(replay(api, batch_id))
    assert counted() == before + 1
