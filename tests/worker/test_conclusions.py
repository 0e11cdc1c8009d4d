"""What follows where Infobip's logs tell nothing: too late, out of reach, or no longer this credential's."""

from datetime import timedelta

import httpx
import pytest
from sqlmodel import Session

from tests.factories import NOBODY_LISTENS, MadeLane, make_batch
from tests.worker.steps import (
    absent,
    accepted,
    attempt,
    change,
    doubted,
    looks_due,
    message,
    sent,
    state,
    turn_of,
    windows_close,
)
from worker.infobip.client import Infobip
from worker.lookups import Lookups
from worker.sending import Dispatcher
from worker.settings import settings


def test_absent_when_its_time_is_over_is_expired(
    session: Session, sandbox_lane: MadeLane, sandbox: str, lookups: Lookups
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane)
    change(session, "UPDATE message SET expires_at = now()")
    absent(session, lookups)
    assert state(session, message_id) == "expired"
    assert accepted(sandbox) == []


def test_absent_while_its_batch_is_paused_is_asked_about_once_more_and_does_not_go_out(
    session: Session, sandbox_lane: MadeLane, sandbox: str, lookups: Lookups, dispatcher: Dispatcher
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane)
    change(session, "UPDATE batch SET paused_at = now()")
    absent(session, lookups)
    found = attempt(session, message_id)
    assert (found.outcome, found.looks) == ("in doubt", len(settings().doubt_looks) - 1)
    dispatcher.deliver(sandbox_lane.id, 1)
    assert accepted(sandbox) == []
    change(session, "UPDATE batch SET paused_at = NULL")
    looks_due(session)
    lookups.look()
    assert attempt(session, message_id).outcome == "absent"


def test_logs_out_of_reach_settle_nothing_until_they_have_forgotten(
    session: Session, sandbox_lane: MadeLane, lookups: Lookups
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane)
    change(session, "UPDATE credential SET base_url = :url", url=NOBODY_LISTENS)
    for _ in range(3):
        looks_due(session)
        lookups.look()
    assert state(session, message_id) == "sending"
    change(session, "UPDATE attempt SET doubted_at = now() - interval '49 hours'")
    looks_due(session)
    lookups.look()
    assert state(session, message_id) == "unconfirmed"


@pytest.mark.parametrize("landed", [True, False])
def test_an_account_that_is_no_longer_this_credentials_is_not_taken_for_one_that_knows(
    session: Session,
    sandbox_lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    dispatcher: Dispatcher,
    landed: bool,
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane, landed_at=infobip if landed else None)
    httpx.delete(sandbox + "/sandbox/log")  # the new account knows nothing of it
    change(session, "UPDATE credential SET version = 2, account_since = 2")
    for _ in range(4):
        looks_due(session)
        lookups.look()
        dispatcher.deliver(sandbox_lane.id, 1)
    assert state(session, message_id) == "sending"
    assert accepted(sandbox) == []
    change(session, "UPDATE message SET expires_at = now() - interval '61 minutes'")
    looks_due(session)
    lookups.look()
    ended = message(session, message_id)
    assert (ended.state, ended.reason) == ("unconfirmed", "account_changed")


def test_nobody_is_asked_for_a_report_that_only_a_former_account_could_give(
    session: Session, sandbox_lane: MadeLane, infobip: Infobip, lookups: Lookups
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900009010"])
    sent(session, sandbox_lane, infobip)
    change(session, "UPDATE credential SET version = version + 1, account_since = version + 1")
    looks_due(session)
    lookups.look()
    assert state(session, message_id) == "sent"
    assert attempt(session, message_id).look_at is None


def test_absent_when_its_window_has_closed_is_asked_about_once_at_the_opening_and_then_goes_out(
    session: Session, sandbox_lane: MadeLane, sandbox: str, lookups: Lookups, dispatcher: Dispatcher
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"], validity=timedelta(days=1))
    doubted(session, sandbox_lane)
    opens = windows_close(session)
    absent(session, lookups)
    found = attempt(session, message_id)
    assert (found.outcome, found.looks, found.look_at) == ("in doubt", len(settings().doubt_looks) - 1, opens)
    assert turn_of(session, message_id)[0] == opens
    dispatcher.deliver(sandbox_lane.id, 1)
    assert accepted(sandbox) == []
    change(
        session,
        "UPDATE message SET next_attempt_at = now() - interval '1 second', leave_before = now() + interval '1 hour'",
    )
    looks_due(session)
    lookups.look()
    assert attempt(session, message_id).outcome == "absent"
    dispatcher.deliver(sandbox_lane.id, 1)
    assert accepted(sandbox) == [f"{message_id}-1"]


def test_absent_when_its_window_opens_too_late_expires_for_that(
    session: Session, sandbox_lane: MadeLane, sandbox: str, lookups: Lookups
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane)
    windows_close(session)
    absent(session, lookups)
    row = message(session, message_id)
    assert (row.state, row.reason) == ("expired", "window_closed")
    assert accepted(sandbox) == []
