"""Event endpoints over HTTP: made, read, changed, disabled and enabled, set elsewhere; what was pushed to each."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlmodel import Session
from standardwebhooks import Webhook

from tests.api.conftest import check_problem, created
from worker import event_deliveries, events
from worker.events import Told
from worker.ids import new_id
from worker.push_client import Answer, PushOutcome
from worker.settings import settings
from worker.words import EventType

URL = "https://journeys.example.com/events"
HOUR = timedelta(hours=1)
Make = Callable[..., dict[str, Any]]


@pytest.fixture
def make(api: httpx.Client) -> Make:
    return lambda **fields: created(api.post("/v1/event-endpoints", json={"name": "journeys", "url": URL, **fields}))


def happened(session: Session, count: int = 1, at: datetime | None = None) -> None:
    events.tell(session, [Told(EventType.LANE_OPENED, new_id()) for _ in range(count)])
    if at is not None:
        session.execute(
            text("UPDATE event SET at = :at WHERE transaction_id >= pg_current_xact_id()::text::bigint"), {"at": at}
        )
    session.commit()


def pushed(session: Session, status: int) -> None:
    """A push to whoever is due was answered with that."""
    endpoint = event_deliveries.next_endpoint(session)
    assert endpoint is not None
    taken = event_deliveries.take(session, endpoint)
    assert taken is not None
    session.commit()
    answer = (
        Answer(PushOutcome.ARRIVED, 0.25, status)
        if status == 200
        else Answer(PushOutcome.REFUSED, 0.25, status, f"HTTP {status}: not arrived")
    )
    event_deliveries.record(session, taken, answer, settings(), 0.0)
    session.commit()


def shown(api: httpx.Client, name: str = "journeys") -> dict[str, Any]:
    answer = api.get(f"/v1/event-endpoints/{name}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def did(api: httpx.Client, step: str, **body: Any) -> dict[str, Any]:
    answer = api.post(f"/v1/event-endpoints/journeys/{step}", json=body or None)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


# Made and read


def test_an_endpoint_is_made_with_a_secret_that_is_shown_once(api: httpx.Client, make: Make, session: Session) -> None:
    made = make(types=["message", "inbound.opt_out", "message"])
    secret = made.pop("secret")
    assert Webhook(secret).sign("1", datetime.now(UTC), "{}").startswith("v1,")
    assert made["types"] == ["message", "inbound.opt_out"]
    assert (made["state"], made["failures"], made["failing_since"], made["backlog"]) == ("enabled", 0, None, 0)
    for reference in ("journeys", made["id"]):
        assert shown(api, reference) == made
    assert api.get("/v1/event-endpoints").json() == {"items": [made], "next_cursor": None}
    stored = bytes(session.execute(text("SELECT secret FROM event_endpoint")).scalar_one())
    assert secret.removeprefix("whsec_").encode() not in stored


def test_the_same_request_twice_makes_one_and_gives_its_secret_again(api: httpx.Client, session: Session) -> None:
    body, key = {"name": "journeys", "url": URL}, {"Idempotency-Key": "make-1"}
    first, again = (api.post("/v1/event-endpoints", json=body, headers=key) for _ in range(2))
    assert first.json() == again.json()
    kept = bytes(session.execute(text("SELECT answer FROM idempotency_key")).scalar_one())
    assert first.json()["secret"].encode() not in kept


def test_a_name_is_given_once_and_free_again_after_a_deletion(api: httpx.Client, make: Make) -> None:
    make()
    problem = check_problem(api.post("/v1/event-endpoints", json={"name": "journeys", "url": URL}), 409)
    assert "event endpoint" in problem["detail"]
    assert api.delete("/v1/event-endpoints/journeys").status_code == 204
    check_problem(api.get("/v1/event-endpoints/journeys"), 404)
    assert api.get("/v1/event-endpoints").json()["items"] == []
    make()


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": None}, "name"),
    "a name that is an ID": ({"name": str(uuid4())}, "name"),
    "http": ({"url": "http://journeys.example.com/"}, "DELIVERY_ALLOWED_EVENT_HOSTS"),
    "an inner address": ({"url": "https://10.0.0.1/"}, "DELIVERY_ALLOWED_EVENT_HOSTS"),
    "a login": ({"url": "https://user:word@journeys.example.com/"}, "signature"),
    "no type": ({"types": ["message.lost"]}, "message, attempt, inbound, lane, endpoint"),
    "types as text": ({"types": "message"}, "types"),
    "two places": ({"after": "x", "from": "2026-11-24T09:00:00Z"}, "not both"),
    "no cursor": ({"after": "x"}, "cursor"),
    "no time": ({"from": "yesterday"}, "ISO 8601"),
    "a field of nobody's": ({"secret": "whsec_own"}, "secret"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_with_an_endpoint_is_told(api: httpx.Client, case: str) -> None:
    fields, told = BAD[case]
    answer = api.post("/v1/event-endpoints", json={"name": "journeys", "url": URL, **fields})
    problem = check_problem(answer, 422)
    assert told in str(problem)
    assert api.get("/v1/event-endpoints").json()["items"] == []


def test_a_host_that_the_installation_names_may_be_private(api: httpx.Client, make: Make) -> None:
    settings().allowed_event_hosts.append("127.0.0.1:9999")
    try:
        assert make(url="http://127.0.0.1:9999/events")["url"] == "http://127.0.0.1:9999/events"
    finally:
        settings().allowed_event_hosts.clear()


# Where it begins


def test_it_begins_with_what_happens_from_now_on(api: httpx.Client, make: Make, session: Session) -> None:
    happened(session, 3)
    make()
    happened(session, 2)
    assert shown(api)["backlog"] == 2


def test_it_begins_with_a_time_or_behind_a_cursor(api: httpx.Client, make: Make, session: Session) -> None:
    now = datetime.now(UTC)
    for hours in (5, 4, 3, 2, 1):
        happened(session, at=now - hours * HOUR)
    since = (now - 3 * HOUR).isoformat()
    by_time = make(name="by-time", **{"from": since})
    by_cursor = make(name="by-cursor", after=by_time["cursor"])
    assert (by_time["backlog"], by_cursor["backlog"]) == (3, 3)
    assert by_cursor["cursor"] == by_time["cursor"]


def test_its_cursor_is_one_of_the_feed(api: httpx.Client, make: Make, session: Session) -> None:
    cursor = make()["cursor"]
    happened(session, 2)
    feed = api.get("/v1/events", params={"after": cursor}).json()["items"]
    assert len(feed) == 2
    assert did(api, "redeliver", after=feed[0]["cursor"])["backlog"] == 1


# Changed


def test_only_what_is_given_changes(api: httpx.Client, make: Make) -> None:
    before = make(types=["lane"])
    changed = api.patch("/v1/event-endpoints/journeys", json={"name": "renamed"}).json()
    assert changed == {
        **{name: value for name, value in before.items() if name != "secret"},
        "name": "renamed",
        "updated_at": changed["updated_at"],
    }
    assert changed["updated_at"] > before["updated_at"]
    assert api.patch("/v1/event-endpoints/renamed", json={"types": []}).json()["types"] == []


@pytest.mark.parametrize("change", [{"url": URL + "/other"}, {"types": ["lane"]}])
def test_a_change_of_what_is_pushed_or_where_drops_the_open_delivery(
    api: httpx.Client, make: Make, session: Session, change: dict[str, Any]
) -> None:
    cursor = make()["cursor"]
    happened(session, 2)
    pushed(session, 500)
    changed = api.patch("/v1/event-endpoints/journeys", json=change).json()
    assert changed["cursor"] == cursor
    assert (changed["failures"] == 0) == ("url" in change)
    (delivery,) = api.get("/v1/event-endpoints/journeys/deliveries").json()["items"]
    assert (delivery["state"], len(delivery["tries"])) == ("dropped", 1)


def test_a_change_to_the_same_drops_nothing(api: httpx.Client, make: Make, session: Session) -> None:
    make()
    happened(session)
    pushed(session, 500)
    api.patch("/v1/event-endpoints/journeys", json={"name": "journeys", "url": URL, "types": []})
    (delivery,) = api.get("/v1/event-endpoints/journeys/deliveries").json()["items"]
    assert delivery["state"] == "open"


def test_a_name_of_another_is_a_conflict(api: httpx.Client, make: Make) -> None:
    make()
    make(name="other")
    taken = {"name": "journeys", "url": URL + "/other"}
    check_problem(api.patch("/v1/event-endpoints/other", json=taken), 409)
    assert shown(api, "other")["url"] == URL


def test_a_rotation_shows_another_secret_once_and_says_how_long_both_count(api: httpx.Client, make: Make) -> None:
    before = make()
    rotated = did(api, "rotate-secret")
    assert rotated["secret"] != before["secret"]
    until = datetime.fromisoformat(shown(api)["previous_secret_until"])
    assert timedelta(hours=23) < until - datetime.now(UTC) < timedelta(hours=25)
    assert "secret" not in shown(api)


# Disabled, enabled, set elsewhere


def test_it_is_disabled_and_enabled_by_hand_and_goes_on_where_it_stopped(
    api: httpx.Client, make: Make, session: Session
) -> None:
    make()
    happened(session, 2)
    disabled = did(api, "disable")
    assert (disabled["state"], disabled["disabled_reason"], disabled["backlog"]) == ("disabled", None, 2)
    assert event_deliveries.next_endpoint(session) is None
    session.rollback()
    assert did(api, "disable")["disabled_at"] == disabled["disabled_at"]
    enabled = did(api, "enable")
    assert (enabled["state"], enabled["disabled_at"], enabled["backlog"]) == ("enabled", None, 2)
    pushed(session, 200)
    assert shown(api)["backlog"] == 0


def test_what_failed_shows_since_when_and_when_it_is_tried_again(
    api: httpx.Client, make: Make, session: Session
) -> None:
    make()
    happened(session)
    pushed(session, 500)
    failing = shown(api)
    assert failing["failures"] == 1
    assert failing["next_try_at"] > failing["failing_since"]
    redelivered = did(api, "redeliver", after=failing["cursor"])
    assert (redelivered["next_try_at"], redelivered["failures"]) == (None, 1)
    pushed(session, 200)
    well = shown(api)
    assert (well["failures"], well["failing_since"], well["next_try_at"]) == (0, None, None)


def test_an_endpoint_that_is_gone_says_so(api: httpx.Client, make: Make, session: Session) -> None:
    make()
    happened(session)
    pushed(session, 410)
    gone = shown(api)
    assert gone["state"] == "disabled"
    assert "410" in gone["disabled_reason"]


def test_it_goes_on_from_any_place_back_or_forth(api: httpx.Client, make: Make, session: Session) -> None:
    start = make()["cursor"]
    happened(session, 3)
    pushed(session, 200)
    end = shown(api)["cursor"]
    assert did(api, "redeliver", after=start)["backlog"] == 3
    assert did(api, "redeliver", after=end)["backlog"] == 0
    assert did(api, "redeliver", **{"from": "2020-01-01T00:00:00Z"})["backlog"] == 3


@pytest.mark.parametrize("body", [{}, {"after": "x", "from": "2020-01-01T00:00:00Z"}, {"after": "x"}, {"from": "now"}])
def test_a_place_is_one_cursor_or_one_time(api: httpx.Client, make: Make, body: dict[str, Any]) -> None:
    before = make()
    check_problem(api.post("/v1/event-endpoints/journeys/redeliver", json=body), 422)
    assert shown(api)["cursor"] == before["cursor"]


# What was pushed


def test_deliveries_are_listed_newest_first_with_their_tries(api: httpx.Client, make: Make, session: Session) -> None:
    start = make()["cursor"]
    happened(session, 2)
    pushed(session, 200)
    happened(session)
    pushed(session, 500)
    newest, oldest = api.get("/v1/event-endpoints/journeys/deliveries").json()["items"]
    assert (newest["state"], newest["event_count"], newest["delivered_at"]) == ("open", 1, None)
    assert (oldest["state"], oldest["event_count"], oldest["after"]) == ("delivered", 2, start)
    assert newest["after"] == oldest["through"]
    (failed,) = newest["tries"]
    assert (failed["number"], failed["status_code"], failed["error"]) == (1, 500, "HTTP 500: not arrived")
    (arrived,) = oldest["tries"]
    assert (arrived["status_code"], arrived["error"], arrived["seconds"]) == (200, None, 0.25)
    page = api.get("/v1/event-endpoints/journeys/deliveries", params={"limit": 1}).json()
    rest = api.get("/v1/event-endpoints/journeys/deliveries", params={"cursor": page["next_cursor"]}).json()
    assert [UUID(item["id"]) for item in (*page["items"], *rest["items"])] == [
        UUID(item["id"]) for item in (newest, oldest)
    ]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/enable"),
        ("POST", "/disable"),
        ("POST", "/redeliver"),
        ("POST", "/rotate-secret"),
        ("GET", "/deliveries"),
    ],
)
def test_one_that_is_not_there_is_not_found(api: httpx.Client, method: str, path: str) -> None:
    body = {"from": "2020-01-01T00:00:00Z"} if path == "/redeliver" else {}
    answer = api.request(method, f"/v1/event-endpoints/nobody{path}", json=None if method == "GET" else body)
    check_problem(answer, 404)
