"""The feed of events over HTTP."""

from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from api.routes import events as routes
from api.schemas.events import EventFeed
from tests.api.conftest import check_problem
from tests.paging import items
from worker.events import Told, tell
from worker.feeds import ReportPlace, write_cursor, write_place
from worker.ids import new_id
from worker.words import EventType


def store(session: Session, *types: EventType) -> None:
    """Events of these types, in one transaction."""
    tell(session, [Told(word, new_id(), 1, "opted_out") for word in types])
    session.commit()


def types_of(page: dict[str, Any]) -> list[str]:
    return [item["type"] for item in page["items"]]


def get(api: httpx.Client, **query: Any) -> dict[str, Any]:
    answer = api.get("/v1/events", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_an_empty_feed_has_a_cursor_to_go_on_from(api: httpx.Client, session: Session) -> None:
    page = get(api)
    assert (page["items"], page["next_cursor"]) == ([], None)
    store(session, EventType.LANE_OPENED)
    assert types_of(get(api, after=page["cursor"])) == ["lane.opened"]


def test_every_type_is_given_as_the_documentation_describes_it(api: httpx.Client, session: Session) -> None:
    store(session, *EventType)
    page = get(api)
    assert types_of(page) == list(EventType)
    feed = EventFeed.model_validate(page)
    assert feed.model_dump(mode="json", by_alias=True) == page


@pytest.mark.parametrize("name", ["after", "cursor"])
def test_pages_join_without_gap(api: httpx.Client, session: Session, name: str) -> None:
    store(session, *EventType)
    seen: list[str] = []
    page = get(api, limit=4)
    while True:
        seen += types_of(page)
        assert page["next_cursor"] in (page["cursor"], None)
        if page["next_cursor"] is None:
            break
        page = get(api, limit=4, **{name: page["next_cursor"]})
    assert seen == list(EventType)


def test_the_cursor_of_an_item_and_that_of_its_page_lead_to_what_came_since(
    api: httpx.Client, session: Session
) -> None:
    store(session, EventType.LANE_HELD)
    page = get(api)
    store(session, EventType.LANE_OPENED)
    for cursor in (page["cursor"], page["items"][-1]["cursor"]):
        assert types_of(get(api, after=cursor)) == ["lane.opened"]


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ("lane", ["lane.held", "lane.opened"]),
        ("lane.opened", ["lane.opened"]),
        ("lane.opened,lane", ["lane.held", "lane.opened"]),
        ("message.failed,inbound.opt_out", ["message.failed", "inbound.opt_out"]),
    ],
)
def test_types_are_whole_ones_or_what_stands_before_the_dot(
    api: httpx.Client, session: Session, types: str, expected: list[str]
) -> None:
    store(session, *EventType)
    assert types_of(get(api, types=types)) == expected


@pytest.mark.parametrize("types", ["", "message.lost", "lane,", "Lane", "lane;inbound", "opt_out"])
def test_a_type_that_there_is_not_is_422_and_names_those_there_are(api: httpx.Client, types: str) -> None:
    problem = check_problem(api.get("/v1/events", params={"types": types}), 422)
    (error,) = problem["errors"]
    assert error["field"] == "types"
    for word in (*EventType, "message", "attempt", "inbound", "lane", "endpoint"):
        assert word in error["message"]


def test_a_filter_reads_on_over_pages_that_hold_nothing(
    api: httpx.Client, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "_SCAN", 3)
    store(session, *[EventType.ATTEMPT_FAILED] * 10, EventType.LANE_HELD, EventType.ATTEMPT_FAILED)
    first = get(api, types="lane")
    assert first["items"] == []
    assert first["next_cursor"] == first["cursor"]
    assert [item["type"] for item in items(api, "/v1/events", types="lane")] == ["lane.held"]


def test_a_cursor_of_another_cluster_or_from_ahead_of_it_is_410(api: httpx.Client, session: Session) -> None:
    ours = session.execute(text("SELECT system_identifier FROM pg_control_system()")).scalar_one()
    for place in ([ours + 1, 5, 5], [ours, 2**62, 5]):
        problem = check_problem(api.get("/v1/events", params={"after": write_cursor(place)}), 410)
        assert "Start again without a cursor" in problem["detail"]


def test_what_is_no_cursor_of_events_is_422(api: httpx.Client, session: Session) -> None:
    of_reports = write_place(session, ReportPlace(1, new_id()))
    for cursor in (of_reports, "x", "é", write_cursor([1, 2])):
        check_problem(api.get("/v1/events", params={"after": cursor}), 422)


def test_after_and_cursor_together_are_422(api: httpx.Client) -> None:
    check_problem(api.get("/v1/events", params={"after": "a", "cursor": "b"}), 422)


def test_a_slow_transaction_holds_the_feed_back(api: httpx.Client, engine: Engine, session: Session) -> None:
    with Session(engine) as slow:
        tell(slow, [Told(EventType.LANE_HELD, new_id())])
        store(session, EventType.LANE_OPENED)
        page = get(api)
        assert page["items"] == []
        slow.commit()
    assert types_of(get(api, after=page["cursor"])) == ["lane.held", "lane.opened"]


def test_the_documentation_describes_the_data_of_each_type(api: httpx.Client) -> None:
    schemas = api.get("/openapi.json").json()["components"]["schemas"]
    options = [one["$ref"].rsplit("/", 1)[1] for one in schemas["EventOut"]["properties"]["data"]["anyOf"]]
    described = " ".join(schemas[name]["description"] for name in options)
    for word in EventType:
        assert f"`{word}`" in described or f"`{word.kind}.*`" in described


def test_end_is_a_place_behind_all_that_is_told_by_now(api: httpx.Client, session: Session) -> None:
    tell(session, [Told(EventType.LANE_OPENED, new_id())])
    session.commit()
    end = api.get("/v1/events", params={"after": "end"}).json()
    assert (end["items"], end["next_cursor"]) == ([], None)
    later = new_id()
    tell(session, [Told(EventType.LANE_OPENED, later)])
    session.commit()
    found = api.get("/v1/events", params={"after": end["cursor"]}).json()["items"]
    assert [event["data"]["lane_id"] for event in found] == [str(later)]
