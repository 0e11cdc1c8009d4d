"""Messages and batches are found by what callers know of them, each filter as it is documented; how a page is found
among many rows: tests/worker/test_message_search.py."""

from itertools import combinations, product
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from sqlmodel import Session

from api.routes.batches import BATCH_STATES
from tests.api.conftest import Make, check_problem
from worker.closing import close
from worker.ids import new_id
from worker.models import Message, Replayed
from worker.states import State
from worker.tally import Changes

ROWS = [{"to": "+919876543201", "callback_data": "order-9/1"}, {"to": "+919876543202"}]
BATCH = {
    "surface": "otp",
    "text": "hi",
    "callback_data": "order-5",
    "journey": {"id": "spring", "step": 3},
    "messages": ROWS,
}


def sent(api: httpx.Client, **fields: Any) -> UUID:
    answer = api.post("/v1/messages", json={"surface": "otp", "to": "+919876543200", "text": "hi", **fields})
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["id"])


def batch(api: httpx.Client, **fields: Any) -> str:
    answer = api.post("/v1/batches", json={**BATCH, **fields})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def found(api: httpx.Client, path: str = "/v1/messages", **search: Any) -> list[str]:
    answer = api.get(path, params=search)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def became(session: Session, message_id: UUID | str, state: State, reason: str | None = None) -> None:
    """It is in this state, and counted there."""
    message = session.get_one(Message, UUID(str(message_id)))
    changes = Changes()
    changes.moved([message.lane_id, message.batch_id], message.state, message.reason, state, reason)
    message.state, message.reason = state, reason
    changes.write(session)
    session.commit()


@pytest.fixture
def names(api: httpx.Client, make_surface: Make, session: Session) -> dict[str, str]:
    """By what the tests call them: two of a batch with a journey, and singles; each with a state of its own."""
    make_surface()
    make_surface(name="offers")
    made = batch(api)
    second, first = found(api, batch=made)
    ids = {"batch": made, "first": first, "second": second}
    ids |= {"single": str(sent(api, callback_data="order-9/2")), "percent": str(sent(api, callback_data="a%b_c"))}
    ids["offer"] = str(sent(api, surface="offers", callback_data="order-5"))
    became(session, ids["first"], State.FAILED, "EC_UNKNOWN_SUBSCRIBER")
    became(session, ids["second"], State.RETRYING, "EC_ABSENT_SUBSCRIBER")
    became(session, ids["single"], State.DELIVERED, "EC_ABSENT_SUBSCRIBER")  # which an earlier attempt met
    became(session, ids["percent"], State.DELIVERED, "delivered_late")
    return ids


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({}, ["offer", "percent", "single", "second", "first"]),
        ({"error": "EC_UNKNOWN_SUBSCRIBER"}, ["first"]),
        ({"error": "EC_ABSENT_SUBSCRIBER"}, ["second"]),
        ({"error": "delivered_late"}, ["percent"]),
        ({"error": "EC_NONE"}, []),
        ({"journey": "spring"}, ["second", "first"]),
        ({"journey": "autumn"}, []),
        ({"callback_data": "order-5"}, ["offer", "second"]),
        ({"callback_data": "order-"}, []),
        ({"callback_data_prefix": "order-"}, ["offer", "single", "second", "first"]),
        ({"callback_data_prefix": "order-9/"}, ["single", "first"]),
        ({"callback_data_prefix": "a%b_"}, ["percent"]),
        ({"callback_data_prefix": "order_"}, []),
        ({"callback_data_prefix": "%"}, []),
        ({"surface": "otp"}, ["percent", "single", "second", "first"]),
        ({"origin": "api"}, ["offer", "percent", "single", "second", "first"]),
        ({"origin": "replay"}, []),
        ({"state": "queued"}, ["offer"]),
        ({"state": "failed", "journey": "spring"}, ["first"]),
        ({"state": "failed", "surface": "offers"}, []),
        ({"state": "delivered", "callback_data_prefix": "order-"}, ["single"]),
        ({"from": "2026-01-01T00:00:00Z", "state": "retrying"}, ["second"]),
        ({"until": "2026-01-01T00:00:00Z"}, []),
        ({"from": "2999-01-01T00:00:00+05:30"}, []),
    ],
    ids=str,
)
def test_messages_are_found_by_every_filter_and_by_all_together(
    api: httpx.Client, names: dict[str, str], search: dict[str, str], expected: list[str]
) -> None:
    assert found(api, **search) == [names[name] for name in expected]


def test_times_bound_when_messages_were_created(api: httpx.Client, names: dict[str, str]) -> None:
    at = api.get(f"/v1/messages/{names['single']}").json()["created_at"]
    assert found(api, **{"from": at}) == [names["offer"], names["percent"], names["single"]]
    assert found(api, until=at) == [names["second"], names["first"]]


def test_pages_stay_whole_while_messages_change_their_state(
    api: httpx.Client, session: Session, names: dict[str, str]
) -> None:
    page = api.get("/v1/messages", params={"limit": 2, "surface": "otp"}).json()
    became(session, names["percent"], State.FAILED, "EC_UNKNOWN_SUBSCRIBER")
    became(session, names["first"], State.DELIVERED)
    rest = found(api, surface="otp", cursor=page["next_cursor"], limit=2)
    assert [item["id"] for item in page["items"]] + rest == [
        names[name] for name in ("percent", "single", "second", "first")
    ]


def test_a_deleted_surface_is_searched_by_its_name_beside_the_one_that_has_it_now(
    api: httpx.Client, make_surface: Make, session: Session
) -> None:
    make_surface()
    old = sent(api)
    became(session, old, State.DELIVERED)
    assert api.delete("/v1/surfaces/otp").status_code == 204
    assert found(api, surface="otp") == [str(old)]
    made = make_surface()
    new = sent(api)
    assert found(api, surface="otp") == [str(new), str(old)]
    assert found(api, surface=made["id"]) == [str(new)]


@pytest.mark.parametrize(
    ("path", "search", "word"),
    [
        ("messages", {"callback_data_prefix": ""}, "at least 1"),
        ("messages", {"callback_data_prefix": "x" * 65}, "at most 64"),
        ("messages", {"surface": "nothing"}, "no surface of this name or id"),
        ("messages", {"origin": "heaven"}, "api"),
        ("messages", {"from": "yesterday"}, "ISO 8601"),
        ("messages", {"until": "2026-11-23T12:00:00"}, "offset"),
        ("messages", {"journeys": "spring"}, "journeys"),
        ("messages", {"cursor": "x"}, "cursor"),
        ("batches", {"surface": "nothing"}, "no surface of this name or id"),
        ("batches", {"replay_of": "7"}, "replay_of"),
        ("batches", {"from": "12:00"}, "ISO 8601"),
        ("batches", {"state": "late"}, "take of scheduled, running, paused, cancelled, done"),
        ("batches", {"state": "running,"}, "no state of a batch"),
    ],
    ids=str,
)
def test_a_search_that_means_nothing_says_what_to_change(
    api: httpx.Client, path: str, search: dict[str, str], word: str
) -> None:
    assert word in str(check_problem(api.get(f"/v1/{path}", params=search), 422))


def test_batches_are_found_by_every_filter(api: httpx.Client, session: Session, make_surface: Make) -> None:
    make_surface()
    make_surface(name="offers")
    long = "x" * 64
    spring, autumn = batch(api), batch(api, journey="autumn", surface="offers", callback_data=f"{long}a")
    bare = batch(api, journey=None, callback_data=f"{long}b")
    session.execute(text("UPDATE batch SET replay_of = :spring WHERE id = :bare"), {"spring": spring, "bare": bare})
    session.commit()

    def batches(**search: Any) -> list[str]:
        return found(api, "/v1/batches", **search)

    assert batches() == [bare, autumn, spring]
    assert batches(journey="spring") == [spring]
    assert batches(journey="autumn") == [autumn]
    assert batches(callback_data="order-5") == [spring]
    assert batches(callback_data=f"{long}a") == [autumn]
    assert batches(callback_data=long) == []
    assert batches(replay_of=spring) == [bare]
    assert batches(surface="offers") == [autumn]
    assert batches(surface="otp", journey="autumn") == []
    at = api.get(f"/v1/batches/{autumn}").json()["created_at"]
    assert batches(**{"from": at}) == [bare, autumn]
    assert batches(until=at) == [spring]
    assert batches(surface="otp", limit=1) == [bare]
    cursor = api.get("/v1/batches", params={"surface": "otp", "limit": 1}).json()["next_cursor"]
    assert batches(surface="otp", limit=1, cursor=cursor) == [spring]


@pytest.mark.parametrize("is_closed", [False, True])
def test_batches_are_found_by_the_states_that_they_show(
    api: httpx.Client, session: Session, make_surface: Make, is_closed: bool
) -> None:
    make_surface()
    shown: dict[str, str] = {}
    for live, is_paused, is_cancelled, is_ahead in product(
        [(), ("queued",), ("queued", "sent"), ("retrying",)], *[[False, True]] * 3
    ):
        made = batch(api)
        sets = {"paused_at": is_paused, "cancelled_at": is_cancelled, "send_at": is_ahead}
        columns = ", ".join(f"{name} = now() + interval '1 h'" for name, is_set in sets.items() if is_set)
        if columns:
            session.execute(text(f"UPDATE batch SET {columns} WHERE id = :id"), {"id": made})
        rows = found(api, batch=made)
        for message_id, state in zip(rows, [*live, State.DELIVERED, State.DELIVERED][:2], strict=True):
            became(session, message_id, State(state))
        shown[made] = api.get(f"/v1/batches/{made}").json()["state"]
    assert set(shown.values()) == set(BATCH_STATES)
    if is_closed:
        assert close(session) == 8
        session.commit()
    for count in range(1, len(BATCH_STATES) + 1):
        for states in combinations(BATCH_STATES, count):
            expected = [made for made, state in reversed(shown.items()) if state in states]
            assert found(api, "/v1/batches", state=",".join(states), journey="spring", limit=1_000) == expected


def test_a_replayed_message_and_its_replay_name_each_other(
    api: httpx.Client, session: Session, make_surface: Make
) -> None:
    make_surface()
    source, replay = sent(api), sent(api)
    became(session, source, State.FAILED, "EC_UNKNOWN_SUBSCRIBER")
    session.add(Replayed(source_message_id=source, message_id=replay, root_id=source))
    session.commit()
    told = api.get(f"/v1/messages/{source}").json()
    assert (told["replay_of"], told["replayed_by"]) == (None, str(replay))
    assert [event["message_id"] for event in told["timeline"] if event["kind"] == "replayed"] == [str(replay)]
    told = api.get(f"/v1/messages/{replay}").json()
    assert (told["replay_of"], told["replayed_by"]) == (str(source), None)
    assert told["timeline"][0]["kind"] == "replays"


def test_a_list_explains_each_message_as_it_does_alone(
    api: httpx.Client, session: Session, names: dict[str, str]
) -> None:
    session.execute(
        text("UPDATE lane SET kind = 'account', reason = 'No credit.', held_until = now() + interval '1 h'")
    )
    session.commit()
    items = api.get("/v1/messages").json()["items"]
    assert len(items) == 5
    for item in items:
        alone = api.get(f"/v1/messages/{item['id']}").json()
        assert {name: alone[name] for name in item} == item
    waiting = {item["id"]: item["reason"] for item in items if item["state"] in ("queued", "retrying")}
    assert set(waiting) == {names["offer"], names["second"]}
    assert all("No credit." in sentence for sentence in waiting.values())


def test_a_message_that_is_not_there_is_not_found(api: httpx.Client) -> None:
    check_problem(api.get(f"/v1/messages/{new_id()}"), 404)
