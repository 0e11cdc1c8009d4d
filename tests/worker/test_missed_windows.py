"""Missed windows: what is due while its window is closed waits for the next opening, or ends; its neighbours go."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch, make_window, route_of
from tests.worker.steps import (
    accepted,
    assert_tally_is_exact,
    at_once,
    batch_of,
    change,
    consented,
    lane_row,
    message,
    states,
    steered,
    swept,
    turn_of,
    windows_close,
)
from worker import missed_windows, reasons, steering
from worker.claims import Claimed, claim
from worker.db import database_now
from worker.models import Event, Message, Submission
from worker.rates import Grant
from worker.sending import Dispatcher
from worker.settings import settings
from worker.words import ConsentState

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
THREE = ["919900000001", "919900000002", "919900000003"]


def claimed(session: Session, lane: MadeLane, limit: int = 500, reach: int | None = None) -> Claimed:
    found = claim(session, route_of(session, lane), limit, 60, time.monotonic(), reach=reach)
    session.commit()
    return found


# What the claim says.


def test_the_claim_names_what_missed_its_window_and_leaves_it_as_it_was(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, THREE)
    windows_close(session)
    before = turn_of(session, ids[0])
    for _ in range(2):  # whoever was to postpone them has died
        found = claimed(session, lane)
        assert (found.submission, found.ended, sorted(found.missed)) == (None, 0, ids)
    assert states(session, ids) == ["queued"] * 3
    assert turn_of(session, ids[0]) == before
    assert session.exec(select(Submission)).all() == []


def test_what_is_open_leaves_beside_what_missed_its_window(session: Session, lane: MadeLane) -> None:
    missed = make_batch(session, lane, THREE)
    windows_close(session)
    window = make_window(database_now(session), -HOUR, HOUR)
    going = make_batch(session, lane, THREE, window=window) + make_batch(session, lane, THREE)
    found = claimed(session, lane)
    assert found.submission is not None
    assert sorted(sent.message_id for sent in found.submission.messages) == sorted(going)
    assert sorted(found.missed) == missed
    assert_tally_is_exact(session, lane)


def test_a_claim_of_few_reaches_past_many_that_missed_their_windows(session: Session, lane: MadeLane) -> None:
    missed = make_batch(session, lane, [f"9199{n:08d}" for n in range(9)])
    windows_close(session)
    (well,) = make_batch(session, lane, ["919900000001"])
    found = claimed(session, lane, 1, reach=10)
    assert sorted(found.missed) == missed
    assert found.submission is not None
    assert [sent.message_id for sent in found.submission.messages] == [well]


def test_what_is_barred_ends_though_it_missed_its_window(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, THREE[:1])
    windows_close(session)
    change(session, "UPDATE batch SET cancelled_at = now(), is_cleared = true")
    assert claimed(session, lane) == Claimed(None, 1)
    row = message(session, ids[0])
    assert (row.state, row.next_attempt_at, row.leave_before) == ("cancelled", None, None)


# What becomes of it.


def test_what_missed_its_window_waits_for_the_next_opening_and_its_neighbours_go(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher, sandbox: str
) -> None:
    missed = make_batch(session, sandbox_lane, THREE, validity=DAY)
    opens = windows_close(session)
    free = make_batch(session, sandbox_lane, THREE)
    dispatcher.deliver(sandbox_lane.id, 20)
    assert states(session, missed + free) == ["queued"] * 3 + ["sent"] * 3
    assert {turn_of(session, message_id) for message_id in missed} == {(opens, opens + 21 * HOUR)}
    assert sorted(accepted(sandbox)) == sorted(f"{message_id}-1" for message_id in free)
    assert_tally_is_exact(session, sandbox_lane)


def test_what_would_have_no_opening_in_time_ends_at_once(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher
) -> None:
    window = make_window(database_now(session), 2 * HOUR, 4 * HOUR)
    (message_id,) = make_batch(session, sandbox_lane, THREE[:1], validity=HOUR, window=window)
    dispatcher.deliver(sandbox_lane.id, 20)
    row = message(session, message_id)
    assert (row.state, row.reason, row.attempt_count) == ("expired", reasons.WINDOW_CLOSED, 0)
    assert (row.next_attempt_at, row.leave_before) == (None, None)
    told = session.exec(select(Event)).one()
    assert (told.type, told.reason, told.subject_id) == ("message.expired", reasons.WINDOW_CLOSED, message_id)
    assert_tally_is_exact(session, sandbox_lane)


def test_what_is_scheduled_for_hours_without_an_opening_ends_and_does_not_leave_before_them(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher, sandbox: str
) -> None:
    """Its window is open now, and its validity has not begun."""
    window = make_window(database_now(session), -HOUR, HOUR)
    (message_id,) = make_batch(
        session, sandbox_lane, THREE[:1], due_in=10 * HOUR, validity=HOUR, left=11 * HOUR, window=window
    )
    dispatcher.deliver(sandbox_lane.id, 20)
    row = message(session, message_id)
    assert (row.state, row.reason) == ("expired", reasons.WINDOW_CLOSED)
    assert accepted(sandbox) == []


def test_what_was_stored_with_its_window_yet_to_be_asked_goes_where_that_is_open(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher
) -> None:
    ids = make_batch(session, sandbox_lane, THREE, window=make_window(database_now(session), -HOUR, HOUR))
    change(session, "UPDATE message SET leave_before = next_attempt_at")
    dispatcher.deliver(sandbox_lane.id, 20)
    assert states(session, ids) == ["sent"] * 3


def test_what_has_too_little_time_left_ends_for_its_validity(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, THREE)
    windows_close(session)
    change(session, "UPDATE message SET expires_at = now() + interval '0.5 seconds'")
    missed_windows.postpone(session, ids)
    session.commit()
    assert {message(session, message_id).reason for message_id in ids} == {reasons.VALIDITY_OVER}


def test_many_that_missed_their_windows_are_seen_to_though_the_lane_lets_one_through_at_a_time(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = 0

    def one_token(_: object) -> Grant:
        nonlocal claims
        claims += 1
        return Grant(1)

    monkeypatch.setattr(dispatcher, "_take_tokens", one_token)
    monkeypatch.setattr(dispatcher, "_settings", settings().model_copy(update={"submission_size": 100}))
    ids = make_batch(session, sandbox_lane, [f"9199{n:08d}" for n in range(350)], validity=DAY)
    opens = windows_close(session)
    (well,) = make_batch(session, sandbox_lane, THREE[:1])
    dispatcher.deliver(sandbox_lane.id, 20)
    assert states(session, [well]) == ["sent"]
    assert {turn_of(session, message_id)[0] for message_id in ids} == {opens}
    assert claims == 1 + 4 + 1  # the first one names one, the next ones a hundred each, and the last finds nothing


def test_two_workers_that_name_the_same_postpone_it_once(session: Session, lane: MadeLane, engine: Engine) -> None:
    ids = make_batch(session, lane, THREE, validity=DAY)
    opens = windows_close(session)

    def postpone() -> None:
        with Session(engine) as own, own.begin():
            missed_windows.postpone(own, ids)

    at_once(postpone, postpone)
    assert {turn_of(session, message_id)[0] for message_id in ids} == {opens}
    assert_tally_is_exact(session, lane)


def test_what_another_holds_is_not_waited_for(session: Session, lane: MadeLane, engine: Engine) -> None:
    first, *others = make_batch(session, lane, THREE, validity=DAY)
    opens = windows_close(session)
    with Session(engine) as other:
        other.get(Message, first, with_for_update=True)
        missed_windows.postpone(session, [first, *others])
        session.commit()
    assert turn_of(session, first)[0] != opens
    assert {turn_of(session, message_id)[0] for message_id in others} == {opens}


@pytest.mark.parametrize(
    "meanwhile",
    [
        "UPDATE message SET next_attempt_at = now() + interval '1 hour', leave_before = now() + interval '2 hours'",
        "UPDATE message SET leave_before = NULL",
        "UPDATE message SET state = 'sending'",
        "UPDATE batch SET move_to = now() + interval '1 hour'",
        "UPDATE batch SET paused_at = now()",
        "UPDATE batch SET cancelled_at = now()",
    ],
    ids=["another turn", "no window", "taken", "moved", "paused", "cancelled"],
)
def test_what_the_claim_would_not_name_any_more_is_left_as_it_is(
    session: Session, lane: MadeLane, meanwhile: str
) -> None:
    (message_id,) = make_batch(session, lane, THREE[:1])
    windows_close(session)
    change(session, meanwhile)
    before = message(session, message_id).model_dump()
    missed_windows.postpone(session, [message_id])
    session.commit()
    assert message(session, message_id).model_dump() == before


def test_at_a_pace_what_missed_its_window_goes_on_at_that_pace(
    session: Session, lane: MadeLane, engine: Engine
) -> None:
    ids = make_batch(session, lane, [f"9199{n:08d}" for n in range(9)], validity=DAY, pace=3)
    opens = windows_close(session)
    for _ in range(2):  # a second claim finds that it stands still
        missed_windows.postpone(session, claimed(session, lane, 4).missed)
        session.commit()
    swept(engine)
    assert [turn_of(session, message_id)[0] for message_id in ids] == [
        opens + timedelta(seconds=place / 3) for place in range(9)
    ]
    assert batch_of(session, ids[0]).move_to is None
    assert_tally_is_exact(session, lane)


def test_at_a_pace_what_failed_before_waits_for_the_opening_and_moves_nobody(
    session: Session, lane: MadeLane, engine: Engine
) -> None:
    failed, waiting = make_batch(session, lane, THREE[:2], validity=DAY, pace=3)
    opens = windows_close(session)
    change(session, "UPDATE message SET state = 'retrying' WHERE id = :id", id=failed)
    change(session, "UPDATE message SET next_attempt_at = now() + interval '5 hours' WHERE id = :id", id=waiting)
    before = turn_of(session, waiting)
    missed_windows.postpone(session, [failed])
    session.commit()
    assert swept(engine) == 0
    assert (turn_of(session, failed)[0], turn_of(session, waiting)) == (opens, before)


def test_what_has_no_turn_at_its_pace_ends_though_its_window_is_open(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher
) -> None:
    """An hour of three is open, at one a second; what comes after it would have its turns tomorrow."""
    window = make_window(database_now(session), -HOUR, HOUR)
    recipients = [f"9199{n:08d}" for n in range(3_700)]
    ids = make_batch(session, sandbox_lane, recipients, validity=3 * HOUR, pace=1, window=window)
    dispatcher.deliver(sandbox_lane.id, 20)
    ended = [row for row in (message(session, message_id) for message_id in ids[3_600:]) if row.state == "expired"]
    assert {row.reason for row in ended} == {reasons.WINDOW_CLOSED}
    assert len(ended) == 100
    assert set(states(session, ids[10:3_500])) == {"queued"}


# How it comes to it.


def test_a_batch_that_goes_on_after_its_window_has_closed_waits_for_the_next(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher, engine: Engine, sandbox: str
) -> None:
    ids = make_batch(session, sandbox_lane, THREE, validity=DAY, window=make_window(database_now(session), -HOUR, HOUR))
    steered(session, steering.pause, ids[0])
    swept(engine)
    opens = windows_close(session)
    dispatcher.deliver(sandbox_lane.id, 20)
    assert turn_of(session, ids[0])[0] != opens  # nobody asks while it stands still
    steered(session, steering.resume, ids[0])
    swept(engine)
    dispatcher.deliver(sandbox_lane.id, 20)
    assert {turn_of(session, message_id)[0] for message_id in ids} == {opens}
    assert not any(message(session, message_id).held for message_id in ids)
    assert accepted(sandbox) == []


def test_a_held_lane_spends_no_probe_on_what_missed_its_window(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher
) -> None:
    ids = make_batch(session, sandbox_lane, THREE, validity=DAY)
    opens = windows_close(session)
    change(session, "UPDATE lane SET kind = 'account', probe_at = now()")
    dispatcher.deliver(sandbox_lane.id, 20)
    assert {turn_of(session, message_id)[0] for message_id in ids} == {opens}
    assert lane_row(session, sandbox_lane).probes == 0
    (well,) = make_batch(session, sandbox_lane, THREE[:1])
    dispatcher.deliver(sandbox_lane.id, 20)
    assert states(session, [well]) == ["sent"]


def test_a_held_lane_lets_its_messages_wait_for_it_past_their_window(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, THREE)
    windows_close(session)
    change(session, "UPDATE lane SET kind = 'account', probe_at = now() + interval '1 hour'")
    assert claimed(session, lane) == Claimed(None)


def test_one_who_opted_out_while_it_waited_is_suppressed_at_the_opening(session: Session, lane: MadeLane) -> None:
    change(session, "UPDATE lane SET message_type = 'marketing'")
    ids = make_batch(session, lane, THREE[:1], validity=DAY)
    windows_close(session)
    consented(session, lane, THREE[0], ConsentState.OPTED_OUT)
    missed_windows.postpone(session, ids)
    session.commit()
    assert states(session, ids) == ["queued"]  # the claim says why
    assert claimed(session, lane) == Claimed(None, 1)
    assert states(session, ids) == ["suppressed"]
