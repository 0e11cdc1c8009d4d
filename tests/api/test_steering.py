"""Steering over HTTP: what each verb answers, what a batch then looks like, and what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from tests.api.conftest import Make, check_problem
from tests.worker.steps import swept

VERBS = ("pause", "resume", "cancel", "reschedule")
GOOD = [{"to": f"+9198765432{n:02}"} for n in range(3)]
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def batch_id(api: httpx.Client, make_surface: Make) -> str:
    """A batch of three, none of which has left."""
    make_surface()
    return send(api)


def send(api: httpx.Client, **fields: Any) -> str:
    answer = api.post("/v1/batches", json={"surface": "otp", "text": "Hello", "messages": GOOD, **fields})
    assert answer.status_code == 202, answer.text
    batch_id: str = answer.json()["id"]
    return batch_id


def steer(api: httpx.Client, batch_id: str, verb: str, **body: Any) -> httpx.Response:
    if verb == "reschedule" and not body:
        body = {"send_at": ahead(hours=3)}
    return api.post(f"/v1/batches/{batch_id}/{verb}", json=body or None)


def steered(api: httpx.Client, batch_id: str, verb: str, **body: Any) -> dict[str, Any]:
    """The batch as the verb answers it, which is how it then reads."""
    answer = steer(api, batch_id, verb, **body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found == api.get(f"/v1/batches/{batch_id}").json()
    return found


def ahead(**span: float) -> str:
    return (datetime.now(UTC) + timedelta(**span)).isoformat()


def instant(value: str) -> datetime:
    return datetime.fromisoformat(value)


def messages(api: httpx.Client, batch_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get("/v1/messages", params={"batch": batch_id}).json()["items"]
    return items


def test_a_paused_batch_says_so_and_resumed_it_goes_on(api: httpx.Client, batch_id: str, nudges: Any) -> None:
    for _ in range(2):  # again, nothing more happens
        paused = steered(api, batch_id, "pause")
        assert (paused["state"], paused["pause_reason"]) == ("paused", None)
    assert messages(api, batch_id)[0]["reason"].startswith("Waits for its batch, which is paused")
    nudges.sent.clear()
    assert steered(api, batch_id, "resume")["state"] == "running"
    assert len(nudges.sent) == 1


def test_a_cancelled_batch_says_so_at_once_and_counts_what_its_sweep_ends(
    api: httpx.Client, engine: Engine, batch_id: str
) -> None:
    for _ in range(2):  # again, nothing more happens
        cancelled = steered(api, batch_id, "cancel")
        assert (cancelled["state"], cancelled["counts"]) == ("cancelled", {"queued": 3})
    assert messages(api, batch_id)[0]["reason"].startswith("Its batch is cancelled")
    swept(engine)
    cancelled = steered(api, batch_id, "cancel")
    assert (cancelled["state"], cancelled["counts"]) == ("cancelled", {"cancelled": 3})
    assert cancelled["reasons"] == [{"reason": "batch_cancelled", "count": 3}]
    assert {item["state"] for item in messages(api, batch_id)} == {"cancelled"}


def test_a_batch_in_which_all_has_ended_stays_done_when_it_is_cancelled(
    api: httpx.Client, session: Session, batch_id: str
) -> None:
    session.execute(text("UPDATE tally SET state = 'delivered'"))
    session.commit()
    assert steered(api, batch_id, "cancel")["state"] == "done"


def test_a_rescheduled_batch_waits_for_its_new_start_with_its_whole_validity(
    api: httpx.Client, engine: Engine, batch_id: str
) -> None:
    start = ahead(days=2)
    moved = steered(api, batch_id, "reschedule", send_at=start, validity_period="PT6H")
    assert moved["state"] == "scheduled"
    assert instant(moved["send_at"]) == instant(start)
    assert instant(moved["expires_at"]) == instant(start) + timedelta(hours=6)
    swept(engine)
    for item in messages(api, batch_id):
        assert instant(item["next_attempt_at"]) == instant(start)
        assert instant(item["expires_at"]) == instant(start) + timedelta(hours=6)


def test_rescheduled_into_the_past_a_batch_runs(api: httpx.Client, make_surface: Make) -> None:
    make_surface()
    batch_id = send(api, send_at=ahead(hours=3), validity_period="PT1H")
    assert api.get(f"/v1/batches/{batch_id}").json()["state"] == "scheduled"
    moved = steered(api, batch_id, "reschedule", send_at=ahead(hours=-3))
    assert moved["state"] == "running"
    assert instant(moved["expires_at"]) == instant(moved["send_at"]) + timedelta(hours=1)
    assert abs(instant(moved["send_at"]) - datetime.now(UTC)) < timedelta(minutes=5)


def test_half_sent_and_rescheduled_a_batch_is_scheduled_for_what_is_left(
    api: httpx.Client, session: Session, batch_id: str
) -> None:
    for state in ("delivered", "sent"):
        session.execute(
            text("""
                INSERT INTO tally (subject_id, state, shard, n, reason)
                VALUES (:batch, 'queued', 7, -1, ''), (:batch, :state, 0, 1, '')
                ON CONFLICT (subject_id, state, reason, shard) DO UPDATE SET n = tally.n + excluded.n
            """),
            {"batch": batch_id, "state": state},
        )
        session.commit()
        # While one is on its way the batch is running.
        expected = "scheduled" if state == "delivered" else "running"
        assert steered(api, batch_id, "reschedule", send_at=ahead(days=1))["state"] == expected


def test_a_scheduled_batch_is_paused_and_rescheduled_and_stays_paused(api: httpx.Client, make_surface: Make) -> None:
    make_surface()
    batch_id = send(api, send_at=ahead(hours=3))
    assert steered(api, batch_id, "pause")["state"] == "paused"
    start = ahead(days=3)
    moved = steered(api, batch_id, "reschedule", send_at=start)
    assert (moved["state"], instant(moved["send_at"])) == ("paused", instant(start))
    assert steered(api, batch_id, "resume")["state"] == "scheduled"


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "cancel"])
def test_nothing_un_cancels_a_batch(api: httpx.Client, batch_id: str, verb: str) -> None:
    steered(api, batch_id, "cancel")
    problem = check_problem(steer(api, batch_id, verb), 409)
    assert problem["detail"] == "The batch is cancelled, and that is final: send its messages in a new one"
    assert api.get(f"/v1/batches/{batch_id}").json()["state"] == "cancelled"


@pytest.mark.parametrize("verb", VERBS)
def test_steering_needs_a_batch_that_is_there(api: httpx.Client, verb: str) -> None:
    check_problem(steer(api, NOBODY, verb), 404)


def test_a_batch_in_which_all_has_ended_is_not_rescheduled(api: httpx.Client, session: Session, batch_id: str) -> None:
    session.execute(text("UPDATE tally SET state = 'failed'"))
    session.commit()
    assert "replay it" in check_problem(steer(api, batch_id, "reschedule"), 409)["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"validity_period": "PT1H"}, "send_at"),
        ({"send_at": None}, "send_at"),
        ({"send_at": "tomorrow"}, "send_at"),
        ({"send_at": "2027-01-31T09:00:00"}, "send_at"),
        ({"send_at": ahead(days=181)}, "send_at"),
        ({"send_at": ahead(days=1), "validity_period": "PT49H"}, "validity_period"),
        ({"send_at": ahead(days=1), "validity_period": 60}, "validity_period"),
        ({"send_at": ahead(days=1), "surface": "otp"}, "surface"),
    ],
)
def test_a_start_that_cannot_be_is_named_and_nothing_changes(
    api: httpx.Client, batch_id: str, body: dict[str, Any], field: str
) -> None:
    before = api.get(f"/v1/batches/{batch_id}").json()
    problem = check_problem(steer(api, batch_id, "reschedule", **body), 422)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert api.get(f"/v1/batches/{batch_id}").json() == before


def test_an_idempotency_key_of_one_batch_says_nothing_of_another(
    api: httpx.Client, session: Session, batch_id: str
) -> None:
    other, body = send(api), {"send_at": ahead(days=1)}
    for one in (batch_id, other, batch_id):
        answer = api.post(f"/v1/batches/{one}/reschedule", json=body, headers={"Idempotency-Key": "later"})
        assert (answer.status_code, answer.json()["id"]) == (200, one)
    keys = session.execute(text("SELECT count(*) FROM idempotency_key")).scalar_one()
    assert keys == 2
