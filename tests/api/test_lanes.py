"""Lanes as they are watched: what is in them, what is due, and what holds them."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlmodel import Session

from tests.api.conftest import Make
from worker import lane_overview

SEND = {"surface": "otp", "text": "hi"}


def lanes(api: httpx.Client) -> dict[tuple[str, str, str], dict[str, Any]]:
    answer = api.get("/v1/lanes").json()
    assert answer["next_cursor"] is None
    return {(item["credential"], item["channel"], item["message_type"]): item for item in answer["items"]}


@pytest.fixture
def transactional(make_surface: Make) -> tuple[str, str, str]:
    make_surface()
    return "main", "sms", "transactional"


def send(api: httpx.Client, **fields: Any) -> None:
    assert api.post("/v1/messages", json={**SEND, "to": "+919876543210", **fields}).status_code == 202


def test_lanes_of_every_credential_are_listed_by_its_name(api: httpx.Client, make_credential: Make) -> None:
    make_credential(name="zebra")
    make_credential(name="ant")
    make_credential(name="gone")
    assert api.delete("/v1/credentials/gone").status_code == 204
    listed = list(lanes(api))
    assert listed == sorted(listed)
    assert {credential for credential, _, _ in listed} == {"ant", "zebra"}
    assert len(listed) == 8


def test_an_empty_lane_is_open_and_has_nothing_due(api: httpx.Client, transactional: tuple[str, str, str]) -> None:
    lane = lanes(api)[transactional]
    assert lane == {
        **{"id": lane["id"], "credential": "main", "channel": "sms", "message_type": "transactional"},
        **{"counts": {}, "reasons": [], "due": 0, "due_is_capped": False, "oldest_due_seconds": None},
        **{"kind": None, "reason": None, "held_until": None},
    }


def test_what_is_due_is_counted_and_what_is_scheduled_is_not(
    api: httpx.Client, session: Session, transactional: tuple[str, str, str]
) -> None:
    send(api)
    send(api)
    send(api, send_at="2027-01-31T09:00:00Z")
    session.execute(text("UPDATE message SET next_attempt_at = next_attempt_at - interval '1 minute'"))
    session.commit()
    lane = lanes(api)[transactional]
    assert (lane["counts"], lane["due"], lane["due_is_capped"]) == ({"queued": 3}, 2, False)
    assert 60 <= lane["oldest_due_seconds"] < 120


def test_what_is_set_aside_with_its_batch_is_not_due(
    api: httpx.Client, session: Session, transactional: tuple[str, str, str]
) -> None:
    send(api)
    session.execute(text("UPDATE message SET held = true"))
    session.commit()
    lane = lanes(api)[transactional]
    assert (lane["counts"], lane["due"], lane["oldest_due_seconds"]) == ({"queued": 1}, 0, None)


def test_beyond_the_most_counted_the_count_says_so(
    api: httpx.Client, transactional: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.lane_overview.MOST_COUNTED", 2)
    monkeypatch.setattr("api.routes.lanes.MOST_COUNTED", lane_overview.MOST_COUNTED)
    for due, is_capped in ((1, False), (2, False), (2, True)):
        send(api)
        lane = lanes(api)[transactional]
        assert (lane["due"], lane["due_is_capped"]) == (due, is_capped)


def test_a_held_lane_says_why_and_until_when(
    api: httpx.Client, session: Session, transactional: tuple[str, str, str]
) -> None:
    session.execute(
        text("UPDATE lane SET kind = 'account', reason = 'No credit.', held_until = '2027-01-31T09:00:00Z'")
    )
    session.commit()
    lane = lanes(api)[transactional]
    assert (lane["kind"], lane["reason"], lane["held_until"]) == ("account", "No credit.", "2027-01-31T09:00:00Z")


def test_reasons_are_counted_with_the_most_frequent_first(
    api: httpx.Client, make_surface: Make, session: Session
) -> None:
    make_surface(message_type="marketing", require_opt_in=True)
    send(api)
    lane = lanes(api)["main", "sms", "marketing"]
    assert (lane["counts"], lane["reasons"]) == ({"suppressed": 1}, [{"reason": "not_opted_in", "count": 1}])
