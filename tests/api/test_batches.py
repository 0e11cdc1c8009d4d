import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from tests.api.conftest import check_problem
from worker.audience import Audience
from worker.enqueue_batch import MOST_ROWS
from worker.models import Batch, Consent, IdempotencyKey, Message, Tally
from worker.orders import BatchOrder
from worker.states import State
from worker.tally import Changes

GOOD = {"to": "+919876543210"}
BAD = {"to": "call me"}


def batch(**fields: object) -> dict:
    return {"surface": "otp", "text": "Hello", "messages": [GOOD], **fields}


def test_accepted_batch_is_stored_counted_and_its_lane_nudged(
    api: httpx.Client, session: Session, make_surface, nudges
) -> None:
    surface = make_surface()
    rows = [{"to": f"+9198765432{n:02}"} for n in range(30)]
    answer = api.post("/v1/batches", json=batch(messages=rows, journey={"id": 7}, callback_data="c"))
    assert answer.status_code == 202
    assert answer.json() == {
        **answer.json(),
        "state": "running",
        "total": 30,
        "accepted": 30,
        "suppressed": 0,
        "rejected": [],
    }
    read = api.get(f"/v1/batches/{answer.json()['id']}").json()
    assert read == {
        **read,
        "surface": surface["name"],
        "state": "running",
        "total": 30,
        "counts": {"queued": 30},
        "reasons": [],
        "journey": {"id": 7},
        "callback_data": "c",
        "replay_of": None,
        "replays": [],
        "send_at": None,
    }
    recipients = session.exec(select(Message.recipient).order_by(Message.id)).all()
    assert recipients == [row["to"][1:] for row in rows]
    lane = session.exec(select(Batch.lane_id)).one()
    assert nudges.sent == [(lane, "transactional")]
    assert session.exec(select(Tally.n).where(Tally.subject_id == lane)).all() == [30]


def opt_out(session: Session, number: str, credential_id: str) -> None:
    consent = Consent(recipient=number, credential_id=UUID(credential_id), state="opted_out", source="keyword")
    session.add(consent)
    session.commit()


def test_rows_that_consent_forbids_are_counted_as_suppressed_and_the_batch_goes_on(
    api: httpx.Client, session: Session, make_surface, nudges
) -> None:
    surface = make_surface(message_type="marketing")
    opt_out(session, "919876543210", surface["credential_id"])
    rows = [GOOD, {"to": "+919876543211"}, BAD, GOOD]
    answer = api.post("/v1/batches", json=batch(messages=rows, on_invalid="skip"))
    assert answer.status_code == 202
    given = {name: answer.json()[name] for name in ("state", "total", "accepted", "suppressed")}
    assert given == {"state": "running", "total": 3, "accepted": 1, "suppressed": 2}
    assert [row["index"] for row in answer.json()["rejected"]] == [2]
    read = api.get(f"/v1/batches/{answer.json()['id']}").json()
    assert (read["total"], read["counts"]) == (3, {"queued": 1, "suppressed": 2})
    assert read["reasons"] == [{"reason": "opted_out", "count": 2}]
    assert len(nudges.sent) == 1


@pytest.mark.parametrize("send_in", [None, timedelta(hours=1)])
def test_batch_of_which_consent_forbids_every_row_is_done_and_nobody_is_nudged(
    api: httpx.Client, session: Session, make_surface, nudges, send_in: timedelta | None
) -> None:
    surface = make_surface(message_type="marketing")
    opt_out(session, "919876543210", surface["credential_id"])
    send_at = {"send_at": (datetime.now(UTC) + send_in).isoformat()} if send_in else {}
    answer = api.post("/v1/batches", json=batch(**send_at)).json()
    assert (answer["state"], answer["total"], answer["accepted"], answer["suppressed"]) == ("done", 1, 0, 1)
    assert api.get(f"/v1/batches/{answer['id']}").json()["state"] == "done"
    assert nudges.sent == []


def test_same_recipient_may_stand_in_a_batch_twice(api: httpx.Client, make_surface) -> None:
    make_surface()
    assert api.post("/v1/batches", json=batch(messages=[GOOD, GOOD])).json()["accepted"] == 2


def test_nothing_of_a_rejected_batch_is_stored(
    api: httpx.Client, engine: Engine, session: Session, make_surface, nudges
) -> None:
    make_surface()
    rows = [GOOD, BAD, {}, "row", {**GOOD, "colour": "red"}, {**GOOD, "text": ""}, GOOD]
    answer = api.post("/v1/batches", json=batch(messages=rows), headers={"Idempotency-Key": "k"})
    assert answer.status_code == 422
    assert [(error["index"], error["field"]) for error in answer.json()["errors"]] == [
        (1, "to"),
        (2, "to"),
        (3, "messages"),
        (4, "colour"),
        (5, "text"),
    ]
    assert "5 rows" in answer.json()["detail"]
    for table in (Batch, Message, Tally, IdempotencyKey):
        assert session.exec(select(table)).all() == []
    assert nudges.sent == []


def test_reading_ends_where_more_rows_are_wrong_than_are_listed(api: httpx.Client, make_surface) -> None:
    """Unless they may be left out."""
    make_surface()
    rows = [GOOD, *[BAD] * 4_000, {}, GOOD]
    problem = check_problem(api.post("/v1/batches", json=batch(messages=rows)), 422)
    assert problem["detail"].startswith("at least 1,199 rows are wrong (the first 1,000 are listed, 199 more are not)")
    assert [error["index"] for error in problem["errors"]] == list(range(1, 1_001))
    accepted = api.post("/v1/batches", json=batch(messages=rows, on_invalid="skip")).json()
    assert (accepted["accepted"], accepted["rejected_count"]) == (2, 4_001)


def during_reading(monkeypatch: pytest.MonkeyPatch, work: Callable[[int], None]) -> None:
    """Do the work, given how often it was done, whenever the rows of a batch are read."""
    add_all = Audience.add_all
    done: list[int] = []

    def add_all_and_work(self: Audience, order: BatchOrder) -> None:
        add_all(self, order)
        work(len(done))
        done.append(1)

    monkeypatch.setattr(Audience, "add_all", add_all_and_work)


def test_nobody_waits_for_rows_that_are_read_and_they_are_read_again_where_the_surface_was_changed(
    api: httpx.Client, engine: Engine, session: Session, make_surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_surface(callback_data="old")
    times: list[int] = []

    def change(time: int) -> None:
        times.append(time)
        with engine.begin() as connection:
            connection.execute(text("SELECT FROM surface, credential FOR UPDATE NOWAIT"))
            connection.execute(text("UPDATE surface SET callback_data = 'new'"))

    during_reading(monkeypatch, change)
    assert api.post("/v1/batches", json=batch(), headers={"Idempotency-Key": "k"}).status_code == 202
    assert (times, session.exec(select(Batch.callback_data)).all()) == ([0, 1], ["new"])


def test_surface_that_changes_each_time_refuses_the_batch(
    api: httpx.Client, engine: Engine, session: Session, make_surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_surface()

    def change(time: int) -> None:
        with engine.begin() as connection:
            connection.execute(text("UPDATE surface SET callback_data = :time"), {"time": str(time)})

    during_reading(monkeypatch, change)
    assert "send it again" in check_problem(api.post("/v1/batches", json=batch()), 409)["detail"]
    assert session.exec(select(Batch)).all() == []


def test_rows_that_were_answered_are_not_read_again(
    api: httpx.Client, make_surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_surface()
    key = {"Idempotency-Key": "k"}
    first = api.post("/v1/batches", json=batch(), headers=key)

    def read(_: int) -> None:
        raise AssertionError("it has its answer")

    during_reading(monkeypatch, read)
    assert api.post("/v1/batches", json=batch(), headers=key).content == first.content
    assert "another body" in check_problem(api.post("/v1/batches", json=batch(text="Ho"), headers=key), 409)["detail"]


def test_skip_leaves_bad_rows_out_and_lists_them(api: httpx.Client, make_surface) -> None:
    make_surface()
    answer = api.post("/v1/batches", json=batch(on_invalid="skip", messages=[BAD, GOOD, {"text": "x"}, GOOD]))
    assert answer.status_code == 202
    assert answer.json()["accepted"] == answer.json()["total"] == 2
    rejected = answer.json()["rejected"]
    assert [(row["index"], row["to"], row["field"]) for row in rejected] == [(0, "call me", "to"), (2, None, "to")]
    assert all(row["reason"] for row in rejected)


def test_skip_with_no_row_left_is_422(api: httpx.Client, session: Session, make_surface) -> None:
    make_surface()
    answer = api.post("/v1/batches", json=batch(on_invalid="skip", messages=[BAD]))
    assert answer.status_code == 422
    assert session.exec(select(Batch)).all() == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": [GOOD] * (MOST_ROWS + 1)}, "messages"),
        ({"text": ""}, "text"),
        ({"text": "x" * 4001}, "text"),
        ({"on_invalid": "ignore"}, "on_invalid"),
        ({"journey": {"a": "\0"}}, "journey"),
        ({"journey": {"\0": 1}}, "journey"),
        ({"journey": 2**63}, "journey"),
        ({"journey": "x" * 70_000}, "journey"),
        ({"surface": "nobody"}, "surface"),
        ({"deduplicate": "yes"}, "deduplicate"),
        ({"messages_per_second": 0}, "messages_per_second"),
        ({"messages_per_second": 10_001}, "messages_per_second"),
        ({"send_at": "2099-01-01T00:00:00Z"}, "send_at"),
        ({"validity_period": "P3D"}, "validity_period"),
    ],
)
def test_fault_of_the_batch_itself_is_422_naming_it(api: httpx.Client, make_surface, change: dict, field: str) -> None:
    make_surface()
    answer = api.post("/v1/batches", json=batch(**change))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "index" not in answer.json()["errors"][0]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_number_that_json_does_not_have_is_refused_in_journey(api: httpx.Client, make_surface, number: str) -> None:
    make_surface()
    body = f'{{"surface": "otp", "text": "x", "messages": [{{"to": "+919876543210"}}], "journey": [{number}]}}'
    answer = api.post("/v1/batches", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_ten_thousand_rows_fit_in_one_request(api: httpx.Client, make_surface) -> None:
    make_surface()
    rows = [{"to": f"+9198{n:08}", "variables": {"n": n}, "callback_data": f"c{n}"} for n in range(MOST_ROWS)]
    answer = api.post("/v1/batches", json=batch(text="Number {{n}}", messages=rows))
    assert answer.json()["accepted"] == MOST_ROWS
    assert api.get(f"/v1/batches/{answer.json()['id']}").json()["counts"] == {"queued": MOST_ROWS}


def test_rows_that_the_disk_does_not_take_are_503(
    api: httpx.Client, session: Session, make_surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filled, they are longer than what is kept in memory."""
    make_surface()
    body = batch(text="x" * 1_000 + "{{n}}", messages=[{**GOOD, "variables": {"n": "1"}}] * MOST_ROWS)
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    answer = api.post("/v1/batches", json=body)
    assert "The disk" in check_problem(answer, 503)["detail"]
    assert session.exec(select(Batch)).all() == []


def test_scheduled_batch_waits_and_its_validity_counts_from_send_at(
    api: httpx.Client, session: Session, make_surface
) -> None:
    make_surface()
    send_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
    answer = api.post("/v1/batches", json=batch(send_at=send_at.isoformat(), validity_period="PT1H"))
    assert answer.json()["state"] == "scheduled"
    read = api.get(f"/v1/batches/{answer.json()['id']}").json()
    assert read["state"] == "scheduled"
    assert datetime.fromisoformat(read["send_at"]) == send_at
    assert datetime.fromisoformat(read["expires_at"]) == send_at + timedelta(hours=1)
    message = session.exec(select(Message)).one()
    assert message.next_attempt_at == send_at
    assert message.expires_at == send_at + timedelta(hours=1)
    assert message.validity_seconds == 3600


def test_send_at_in_the_past_means_now(api: httpx.Client, make_surface) -> None:
    make_surface()
    answer = api.post("/v1/batches", json=batch(send_at="2020-01-01T00:00:00Z", validity_period="PT1H"))
    assert answer.json()["state"] == "running"
    read = api.get(f"/v1/batches/{answer.json()['id']}").json()
    assert read["send_at"] is None
    lasts = datetime.fromisoformat(read["expires_at"]) - datetime.fromisoformat(read["created_at"])
    assert lasts == timedelta(hours=1)


def count(session: Session, batch_id: str, *changes: tuple[State, str | None, int]) -> None:
    from uuid import UUID

    tally = Changes()
    for state, reason, n in changes:
        tally.entered([UUID(batch_id)], state, reason, n)
    tally.write(session)
    session.commit()


@pytest.mark.parametrize(
    ("changes", "column", "state"),
    [
        ([(State.QUEUED, None, -3), (State.DELIVERED, None, 2), (State.FAILED, "EC_X", 1)], None, "done"),
        ([(State.QUEUED, None, -1), (State.SENT, None, 1)], None, "running"),
        ([], "paused_at", "paused"),
        ([], "cancelled_at", "cancelled"),
        ([(State.QUEUED, None, -3), (State.CANCELLED, "x", 3)], "cancelled_at", "cancelled"),
        ([(State.QUEUED, None, -3), (State.DELIVERED, None, 3)], "paused_at", "done"),
    ],
)
def test_state_of_a_batch_follows_its_counts_and_flags(
    api: httpx.Client, engine: Engine, session: Session, make_surface, changes: list, column: str | None, state: str
) -> None:
    make_surface()
    batch_id = api.post("/v1/batches", json=batch(messages=[GOOD] * 3)).json()["id"]
    count(session, batch_id, *changes)
    if column:
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE batch SET {column} = now()"))
    assert api.get(f"/v1/batches/{batch_id}").json()["state"] == state


def test_scheduled_batch_runs_once_something_left(api: httpx.Client, session: Session, make_surface) -> None:
    make_surface()
    send_at = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    batch_id = api.post("/v1/batches", json=batch(send_at=send_at, messages=[GOOD] * 2)).json()["id"]
    count(session, batch_id, (State.QUEUED, None, -1), (State.SENDING, None, 1))
    assert api.get(f"/v1/batches/{batch_id}").json()["state"] == "running"


def test_reasons_are_counted_over_states_and_the_biggest_comes_first(
    api: httpx.Client, session: Session, make_surface
) -> None:
    make_surface()
    batch_id = api.post("/v1/batches", json=batch(messages=[GOOD] * 9)).json()["id"]
    count(
        session,
        batch_id,
        (State.QUEUED, None, -9),
        (State.FAILED, "A", 2),
        (State.EXPIRED, "B", 3),
        (State.RETRYING, "A", 2),
        (State.DELIVERED, None, 2),
    )
    read = api.get(f"/v1/batches/{batch_id}").json()
    assert read["reasons"] == [{"reason": "A", "count": 4}, {"reason": "B", "count": 3}]
    assert read["counts"] == {"retrying": 2, "delivered": 2, "failed": 2, "expired": 3}


def test_list_of_batches_is_newest_first_with_counts(api: httpx.Client, make_surface) -> None:
    make_surface()
    ids = [api.post("/v1/batches", json=batch(messages=[GOOD] * n)).json()["id"] for n in (1, 2, 3)]
    page = api.get("/v1/batches", params={"limit": 2}).json()
    assert [(item["id"], item["counts"]) for item in page["items"]] == [
        (ids[2], {"queued": 3}),
        (ids[1], {"queued": 2}),
    ]
    rest = api.get("/v1/batches", params={"cursor": page["next_cursor"]}).json()
    assert [item["id"] for item in rest["items"]] == ids[:1]
    assert rest["next_cursor"] is None


def test_a_batch_that_was_paused_by_itself_says_why(api: httpx.Client, session: Session, make_surface) -> None:
    make_surface()
    batch_id = api.post("/v1/batches", json=batch()).json()["id"]
    session.execute(text("UPDATE batch SET paused_at = now(), pause_reason = 'Infobip refused 20 in a row.'"))
    session.commit()
    assert api.get(f"/v1/batches/{batch_id}").json()["pause_reason"] == "Infobip refused 20 in a row."
    message = api.get("/v1/messages", params={"batch": batch_id}).json()["items"][0]
    assert message["reason"].startswith("Waits for its batch, which is paused")
    assert message["reason"].endswith("Infobip refused 20 in a row.")
