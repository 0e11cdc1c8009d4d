import base64
import threading
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import orjson
import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from worker.ids import new_id
from worker.models import DeliveryReport

DONE = datetime(2026, 11, 23, 5, 30, tzinfo=UTC)


def report(message_id: uuid.UUID | str | None = None, **fields: object) -> DeliveryReport:
    given = {"attempt": 1, "status_id": 5, "status_name": "DELIVERED_TO_HANDSET", "source": "push", "result": "applied"}
    message = uuid.UUID(str(message_id)) if message_id else new_id()
    return DeliveryReport(message_id=message, id=new_id(), **{**given, **fields})


def store(session: Session, *reports: DeliveryReport) -> None:
    session.add_all(reports)
    session.commit()


def test_report_is_given_with_every_field_of_the_contract(api: httpx.Client, session: Session) -> None:
    stored = report(
        status_group="DELIVERED",
        error_id=0,
        error_name="NO_ERROR",
        error_permanent=False,
        callback_data="c",
        price=Decimal("0.0079"),
        currency="EUR",
        mcc_mnc="40445",
        sent_at=DONE,
        done_at=DONE,
    )
    store(session, stored)
    (item,) = api.get("/v1/reports").json()["items"]
    assert item == {
        **item,
        "id": str(stored.id),
        "message_id": str(stored.message_id),
        "attempt": 1,
        "status": {"id": 5, "name": "DELIVERED_TO_HANDSET", "group": "DELIVERED"},
        "error": {"id": 0, "name": "NO_ERROR", "permanent": False},
        "callback_data": "c",
        "price": 0.0079,
        "mcc_mnc": "40445",
        "source": "push",
        "sent_at": "2026-11-23T05:30:00Z",
        "done_at": "2026-11-23T05:30:00Z",
    }
    assert item["received_at"]
    assert item["cursor"]


def follow(api: httpx.Client, name: str, limit: int = 2) -> list[str]:
    seen: list[str] = []
    place: dict[str, str] = {}
    while True:
        page = api.get("/v1/reports", params={"limit": limit, **place}).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return seen
        place = {name: page["next_cursor"] if name == "cursor" else page["items"][-1]["cursor"]}


@pytest.mark.parametrize("name", ["after", "cursor"])
def test_feed_is_oldest_first_and_its_pages_join_without_gap(api: httpx.Client, session: Session, name: str) -> None:
    reports = [report() for _ in range(5)]
    store(session, *reports[:3])
    store(session, *reports[3:])
    assert follow(api, name) == [str(item.id) for item in reports]


def test_reading_after_the_last_item_gives_what_came_since(api: httpx.Client, session: Session) -> None:
    store(session, report())
    last = api.get("/v1/reports").json()["items"][-1]["cursor"]
    assert api.get("/v1/reports", params={"after": last}).json() == {"items": [], "next_cursor": None}
    new = report()
    store(session, new)
    assert [item["id"] for item in api.get("/v1/reports", params={"after": last}).json()["items"]] == [str(new.id)]


def test_slow_transaction_holds_the_feed_back_instead_of_slipping_behind_it(
    api: httpx.Client, engine: Engine, session: Session
) -> None:
    with Session(engine) as slow:
        early = report()
        early_id = str(early.id)
        slow.add(early)
        slow.flush()
        late = report()
        store(session, late)
        assert api.get("/v1/reports").json()["items"] == []
        slow.commit()
    assert [item["id"] for item in api.get("/v1/reports").json()["items"]] == [early_id, str(late.id)]


def test_reader_among_many_writers_misses_no_report(api: httpx.Client, engine: Engine) -> None:
    written: list[str] = []
    is_over = threading.Event()

    def write(pause: float) -> None:
        for _ in range(25):
            with Session(engine) as session:
                row = report()
                session.add(row)
                session.flush()
                is_over.wait(pause)
                written.append(str(row.id))
                session.commit()

    writers = [threading.Thread(target=write, args=(pause,)) for pause in (0, 0.001, 0.01, 0.03)]
    for writer in writers:
        writer.start()
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        is_last = not any(writer.is_alive() for writer in writers)
        items = api.get("/v1/reports", params={"limit": 7, **after}).json()["items"]
        seen += [item["id"] for item in items]
        if items:
            after = {"after": items[-1]["cursor"]}
        elif is_last:
            break
    assert sorted(seen) == sorted(written)


def test_cursor_of_another_cluster_is_410_and_says_how_to_start_again(api: httpx.Client, session: Session) -> None:
    store(session, report())
    cursor = api.get("/v1/reports").json()["items"][0]["cursor"]
    place = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    place[0] += 1
    other = base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")
    answer = api.get("/v1/reports", params={"after": other})
    assert answer.status_code == 410
    assert "without a cursor" in answer.json()["detail"]


@pytest.mark.parametrize("place", [[], [1], {}, ["a", 1, "b"], [1, -1, "x"], [1, 2**70, "x"], [1, 1, 1]])
def test_cursor_that_is_none_of_ours_is_422(api: httpx.Client, place: object) -> None:
    cursor = base64.urlsafe_b64encode(orjson.dumps(place) if place != [1, 2**70, "x"] else b"[1,1e30,1]").decode()
    assert api.get("/v1/reports", params={"after": cursor}).status_code == 422


def test_after_and_cursor_together_are_422(api: httpx.Client) -> None:
    assert api.get("/v1/reports", params={"after": "a", "cursor": "b"}).status_code == 422


def test_feed_of_one_batch_or_message_leaves_others_out(api: httpx.Client, session: Session, make_surface) -> None:
    make_surface()
    rows = [{"to": "+919876543210"}, {"to": "+919876543211"}]
    batch = api.post("/v1/batches", json={"surface": "otp", "text": "hi", "messages": rows}).json()["id"]
    messages = [item["id"] for item in api.get("/v1/messages", params={"batch": batch}).json()["items"]]
    store(session, report(messages[0]), report(messages[1]), report())
    of_batch = api.get("/v1/reports", params={"batch": batch}).json()["items"]
    of_message = api.get("/v1/reports", params={"message": messages[1]}).json()["items"]
    assert [item["message_id"] for item in of_batch] == messages
    assert [item["message_id"] for item in of_message] == [messages[1]]
