"""The fates: each step from every state, held against the table of states; and what it leaves of an attempt."""

import inspect
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import pytest
from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch, make_window
from tests.worker.steps import (
    assert_tally_is_exact,
    attempt,
    change,
    consent_row,
    consented,
    message,
    took,
    turn_of,
    windows_close,
)
from worker import fates, reasons
from worker.db import database_now
from worker.gate import BARRED, BARRED_ENDS_AS
from worker.infobip.statuses import Verdict, verdict
from worker.locking import LockedMessage, lock
from worker.models import Attempt, Event, Lane, Message
from worker.sentences import SENTENCES
from worker.settings import settings
from worker.states import FINAL, State, may_become
from worker.transitions import Transitions
from worker.words import FAILURES, MOST_WORDS, AttemptOutcome, ConsentSource, ConsentState, Outcome

Step = Callable[[Transitions, LockedMessage], None]

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
FAILED_WITH = {
    Outcome.TRANSIENT: verdict(9, 2, 27, None),  # absent subscriber
    Outcome.PERMANENT: verdict(9, 2, 1, None),  # unknown subscriber
    Outcome.EXPIRED: verdict(15, 4, None, None),
    Outcome.UNKNOWN: verdict(29, 4, None, None),
    Outcome.ACCOUNT: verdict(12, 5, None, None),  # no credit
}


BLOCKED = verdict(14, 5, None, None)  # on a block list
DND = verdict(10, 5, None, None)  # on a do-not-disturb register
RECIPIENT = "919900000000"  # the first of `standing`


def failing(outcome: Outcome) -> Step:
    return lambda transitions, locked: fates.fail(transitions, locked, FAILED_WITH[outcome], settings())


def releasing(next_attempt_at: datetime | None = None) -> Step:
    return lambda transitions, locked: fates.release(transitions, locked, settings(), next_attempt_at=next_attempt_at)


def doubting(transitions: Transitions, locked: LockedMessage) -> None:
    fates.doubt(transitions, locked, settings())


class Fate(NamedTuple):
    step: Step
    becomes: State | None  # None: it stays in its state


FATES = {
    "accept": Fate(lambda t, m: fates.accept(t, m, settings()), State.SENT),
    "await_report": Fate(lambda t, m: fates.await_report(t, m, 1, t.now + MINUTE), None),
    "deliver": Fate(lambda t, m: fates.deliver(t, m, m.number, "DELIVERED_TO_HANDSET"), State.DELIVERED),
    "fail": Fate(failing(Outcome.TRANSIENT), State.RETRYING),
    "refuse": Fate(lambda t, m: fates.refuse(t, m, "bad sender"), State.FAILED),
    "release": Fate(releasing(), State.QUEUED),
    "postpone": Fate(fates.postpone, None),
    "doubt": Fate(doubting, None),
    "stay_in_doubt": Fate(lambda t, m: fates.stay_in_doubt(t, m, 1, MINUTE), None),
    "wait_absent": Fate(lambda t, m: fates.wait_absent(t, m, 1), None),
    "absent": Fate(lambda t, m: fates.absent(t, m, 2), None),
    "end_replay": Fate(fates.end_replay, State.CANCELLED),
    "end_unsent": Fate(fates.end_unsent, State.EXPIRED),
    "expire": Fate(lambda t, m: fates.expire(t, m, reasons.VALIDITY_OVER), State.EXPIRED),
    "leave_unconfirmed": Fate(lambda t, m: fates.leave_unconfirmed(t, m, reasons.NO_REPORT), State.UNCONFIRMED),
    "note_overtaken": Fate(lambda t, m: fates.note_overtaken(t, m, AttemptOutcome.FAILED, "EC_X", "words"), None),
    "note_block": Fate(lambda t, m: fates.note_block(t, m, BLOCKED, t.now), None),
}


def standing(session: Session, lane: MadeLane, *given: State) -> list[UUID]:
    """Messages in these states, each with its first attempt: accepted where it is sent, else open."""
    ids = make_batch(session, lane, [f"9199000000{n:02d}" for n in range(len(given))])
    took(session, lane)
    for message_id, state in zip(ids, given, strict=True):
        change(session, "UPDATE message SET state = :state WHERE id = :id", state=state, id=message_id)
        if state is State.SENT:
            change(session, "UPDATE attempt SET outcome = 'accepted' WHERE message_id = :id", id=message_id)
    return ids


@pytest.fixture
def sending(session: Session, lane: MadeLane) -> UUID:
    """A message on its way: attempt 1, an hour to live."""
    (message_id,) = standing(session, lane, State.SENDING)
    return message_id


def take(session: Session, message_id: UUID, *steps: Step) -> datetime:
    """Take these steps one after the other with the message locked; returns the time by which they went."""
    transitions = Transitions(session, database_now(session))
    locked = lock(session, [message_id])[message_id]
    for step in steps:
        step(transitions, locked)
    transitions.write()
    session.commit()
    return transitions.now


def rows(session: Session, message_id: UUID) -> tuple[Message, Attempt]:
    return message(session, message_id), attempt(session, message_id)


# Against the table of states


def test_every_step_stands_in_the_table() -> None:
    steps = {
        name for name, step in vars(fates).items() if inspect.isfunction(step) and step.__module__ == "worker.fates"
    }
    assert {name for name in steps if not name.startswith("_")} == set(FATES)


@pytest.mark.parametrize("name", FATES)
def test_step_leads_where_the_table_of_states_allows_it_and_is_a_bug_elsewhere(
    session: Session, lane: MadeLane, name: str
) -> None:
    step, becomes = FATES[name]
    for before, message_id in zip(State, standing(session, lane, *State), strict=True):
        if becomes is None or may_become(before, becomes):
            take(session, message_id, step)
            assert message(session, message_id).state == (becomes or before)
        else:
            with pytest.raises(ValueError, match=f"from {before} to {becomes}"):
                take(session, message_id, step)
            session.rollback()
            assert message(session, message_id).state == before


@pytest.mark.parametrize(
    ("name", "before", "after", "outcome"),
    [
        ("accept", State.SENDING, State.SENT, AttemptOutcome.ACCEPTED),
        ("await_report", State.SENT, State.SENT, AttemptOutcome.ACCEPTED),
        ("deliver", State.SENDING, State.DELIVERED, AttemptOutcome.DELIVERED),
        ("deliver", State.SENT, State.DELIVERED, AttemptOutcome.DELIVERED),
        ("fail", State.SENDING, State.RETRYING, AttemptOutcome.FAILED),
        ("fail", State.SENT, State.RETRYING, AttemptOutcome.FAILED),
        ("refuse", State.SENDING, State.FAILED, AttemptOutcome.FAILED),
        ("release", State.SENDING, State.QUEUED, AttemptOutcome.RELEASED),
        ("doubt", State.SENDING, State.SENDING, AttemptOutcome.IN_DOUBT),
        ("stay_in_doubt", State.SENDING, State.SENDING, AttemptOutcome.IN_DOUBT),
        ("absent", State.SENDING, State.SENDING, AttemptOutcome.ABSENT),
        ("end_unsent", State.SENDING, State.EXPIRED, AttemptOutcome.RELEASED),
        ("expire", State.QUEUED, State.EXPIRED, None),
        ("expire", State.RETRYING, State.EXPIRED, None),
        ("leave_unconfirmed", State.SENDING, State.UNCONFIRMED, AttemptOutcome.IN_DOUBT),
        ("leave_unconfirmed", State.SENT, State.UNCONFIRMED, AttemptOutcome.ACCEPTED),
        ("note_overtaken", State.DELIVERED, State.DELIVERED, AttemptOutcome.FAILED),
    ],
)
def test_step_takes_a_message_and_its_attempt_together(
    session: Session, lane: MadeLane, name: str, before: State, after: State, outcome: AttemptOutcome | None
) -> None:
    (message_id,) = standing(session, lane, before)
    take(session, message_id, FATES[name].step)
    moved, settled = rows(session, message_id)
    assert (moved.state, settled.outcome) == (after, outcome)
    assert (moved.finished_at is not None) == (after in FINAL and before is not after)


# Infobip has it


def test_accepted_message_is_asked_about_when_its_report_does_not_come(session: Session, sending: UUID) -> None:
    now = take(session, sending, FATES["accept"].step)
    _, settled = rows(session, sending)
    assert (settled.look_at, settled.looks) == (now + settings().missing_report_after[0], 0)


def test_report_still_missing_is_asked_for_at_its_next_look(session: Session, lane: MadeLane) -> None:
    (message_id,) = standing(session, lane, State.SENT)
    now = take(session, message_id, FATES["await_report"].step)
    _, settled = rows(session, message_id)
    assert (settled.look_at, settled.looks) == (now + MINUTE, 1)


@pytest.mark.parametrize("current", [*AttemptOutcome, None])
def test_delivery_by_an_earlier_attempt_leaves_the_current_one_as_it_stands_and_unasked(
    session: Session, sending: UUID, current: AttemptOutcome | None
) -> None:
    change(
        session,
        "INSERT INTO attempt (message_id, number, submission_id, started_at, looks, outcome, look_at) "
        "SELECT message_id, 2, submission_id, now(), 1, :outcome, CASE WHEN :is_asked THEN now() END FROM attempt",
        outcome=current,
        is_asked=current in (AttemptOutcome.ACCEPTED, AttemptOutcome.IN_DOUBT, AttemptOutcome.ABSENT),
    )
    change(session, "UPDATE message SET attempt_count = 2")
    take(session, sending, lambda t, m: fates.deliver(t, m, 1, "DELIVERED_TO_HANDSET"))
    delivered, first = rows(session, sending)
    second = attempt(session, sending, 2)
    assert (delivered.state, delivered.attempt_count) == (State.DELIVERED, 2)
    assert (first.outcome, first.code) == (AttemptOutcome.DELIVERED, "DELIVERED_TO_HANDSET")
    assert (second.outcome, second.look_at) == (current, None)


def test_answer_that_was_overtaken_is_noted_with_its_words_and_nobody_asks(session: Session, lane: MadeLane) -> None:
    (message_id,) = standing(session, lane, State.DELIVERED)
    take(session, message_id, FATES["note_overtaken"].step)
    _, settled = rows(session, message_id)
    assert (settled.code, settled.detail, settled.look_at) == ("EC_X", "words", None)


@pytest.mark.parametrize("before", FINAL)
def test_what_was_given_up_and_is_delivered_remembers_that(session: Session, lane: MadeLane, before: State) -> None:
    (message_id,) = standing(session, lane, before)
    if before is not State.DELIVERED:
        take(session, message_id, FATES["deliver"].step)
        assert message(session, message_id).reason == reasons.DELIVERED_LATE


# It failed


@pytest.mark.parametrize(
    ("outcome", "state", "slots"),
    [
        (Outcome.TRANSIENT, State.RETRYING, 1),
        (Outcome.EXPIRED, State.RETRYING, 1),  # before our own time is over
        (Outcome.ACCOUNT, State.RETRYING, 0),
        (Outcome.PERMANENT, State.FAILED, 0),
        (Outcome.UNKNOWN, State.UNCONFIRMED, 0),
    ],
)
def test_failure_is_scheduled_or_ends_the_message_as_the_retry_rule_says(
    session: Session, sending: UUID, outcome: Outcome, state: State, slots: int
) -> None:
    now = take(session, sending, failing(outcome))
    moved, settled = rows(session, sending)
    assert (moved.state, moved.reason, moved.retry_count) == (state, FAILED_WITH[outcome].code, slots)
    assert (settled.code, settled.look_at) == (FAILED_WITH[outcome].code, None)
    if slots:
        assert moved.next_attempt_at is not None
        assert now + MINUTE <= moved.next_attempt_at < now + MINUTE * 1.1
    else:
        assert moved.next_attempt_at == (now if state is State.RETRYING else None)


def test_every_failure_stands_in_the_table() -> None:
    assert set(FAILED_WITH) == FAILURES
    assert all(verdict.outcome is outcome for outcome, verdict in FAILED_WITH.items())


def test_failure_close_to_the_end_expires_with_what_it_met(session: Session, sending: UUID) -> None:
    change(session, "UPDATE message SET expires_at = now() + interval '10 seconds'")
    take(session, sending, failing(Outcome.TRANSIENT))
    moved, _ = rows(session, sending)
    assert (moved.state, moved.reason) == (State.EXPIRED, FAILED_WITH[Outcome.TRANSIENT].code)


def test_refused_message_keeps_infobips_words_as_far_as_there_is_room(session: Session, sending: UUID) -> None:
    take(session, sending, lambda t, m: fates.refuse(t, m, "w" * (MOST_WORDS + 1)))
    moved, settled = rows(session, sending)
    assert (moved.state, moved.reason) == (State.FAILED, reasons.REFUSED)
    assert (settled.code, settled.detail) == (reasons.REFUSED, "w" * MOST_WORDS)


# It was not sent


def test_released_first_attempt_has_its_turn_and_its_number_again(session: Session, sending: UUID) -> None:
    before = message(session, sending).next_attempt_at
    take(session, sending, releasing())
    moved, _ = rows(session, sending)
    assert (moved.state, moved.attempt_count, moved.next_attempt_at) == (State.QUEUED, 0, before)


def test_released_retry_is_retrying_for_the_reason_it_had(session: Session, sending: UUID) -> None:
    change(session, "UPDATE attempt SET number = 3")
    change(session, "UPDATE message SET attempt_count = 3, retry_count = 2, reason = 'EC_ABSENT_SUBSCRIBER'")
    take(session, sending, releasing())
    moved = message(session, sending)
    assert (moved.state, moved.reason) == (State.RETRYING, "EC_ABSENT_SUBSCRIBER")
    assert (moved.attempt_count, moved.retry_count) == (2, 2)


def test_released_message_takes_the_turn_that_it_is_given(session: Session, sending: UUID) -> None:
    turn = database_now(session) + HOUR / 2
    take(session, sending, releasing(turn))
    assert message(session, sending).next_attempt_at == turn


def test_released_attempt_that_was_in_doubt_stays_in_doubt(session: Session, sending: UUID) -> None:
    doubted_at = take(session, sending, doubting)
    change(session, "UPDATE attempt SET outcome = NULL, look_at = NULL, looks = 1")  # it went out again
    now = take(session, sending, releasing())
    moved, settled = rows(session, sending)
    assert (moved.state, moved.attempt_count) == (State.SENDING, 1)
    assert (settled.outcome, settled.doubted_at) == (AttemptOutcome.IN_DOUBT, doubted_at)
    assert (settled.look_at, settled.looks) == (now + settings().doubt_looks[0], 0)


# Nobody knows


def test_doubt_has_a_beginning_that_stays_and_looks_that_begin_anew(session: Session, sending: UUID) -> None:
    began = take(session, sending, doubting)
    change(session, "UPDATE attempt SET looks = 2")
    again = take(session, sending, lambda t, m: fates.doubt(t, m, settings(), "time-out"))
    _, settled = rows(session, sending)
    assert (settled.doubted_at, settled.code, settled.detail) == (began, reasons.UNKNOWN_FATE, "time-out")
    assert (settled.look_at, settled.looks) == (again + settings().doubt_looks[0], 0)


@pytest.mark.parametrize(
    ("left", "wait", "looks_in"),
    [
        (HOUR, MINUTE, MINUTE),
        (HOUR, timedelta(0), SECOND),  # not at once, however short the wait
        (MINUTE, HOUR, None),  # when its validity ends, which may settle it
        (-MINUTE, HOUR, HOUR),
    ],
)
def test_next_look_comes_after_its_wait_or_when_the_validity_ends(
    session: Session, sending: UUID, left: timedelta, wait: timedelta, looks_in: timedelta | None
) -> None:
    change(session, "UPDATE message SET expires_at = now() + :left", left=left)
    now = take(session, sending, lambda t, m: fates.stay_in_doubt(t, m, 2, wait))
    moved, settled = rows(session, sending)
    assert settled.look_at == (moved.expires_at if looks_in is None else now + looks_in)
    assert settled.looks == 2


# It ends


def test_message_that_never_arrived_and_whose_time_is_over_expires(session: Session, sending: UUID) -> None:
    take(session, sending, doubting)
    take(session, sending, fates.end_unsent)
    moved, settled = rows(session, sending)
    assert (moved.state, moved.reason) == (State.EXPIRED, reasons.UNKNOWN_FATE)
    assert settled.look_at is None


def test_expired_message_tells_of_its_last_failure(session: Session, sending: UUID) -> None:
    take(session, sending, failing(Outcome.TRANSIENT))
    take(session, sending, FATES["expire"].step)
    assert message(session, sending).reason == FAILED_WITH[Outcome.TRANSIENT].code


def test_message_that_was_never_tried_expires_for_its_validity(session: Session, lane: MadeLane) -> None:
    (message_id,) = standing(session, lane, State.QUEUED)
    take(session, message_id, FATES["expire"].step)
    assert message(session, message_id).reason == reasons.VALIDITY_OVER


def test_unconfirmed_message_is_never_asked_about_again(session: Session, sending: UUID) -> None:
    take(session, sending, doubting)
    take(session, sending, FATES["leave_unconfirmed"].step)
    moved, settled = rows(session, sending)
    assert (moved.reason, settled.code, settled.look_at) == (reasons.NO_REPORT, reasons.NO_REPORT, None)


# Its window is closed


@pytest.fixture
def long_sending(session: Session, sending: UUID) -> UUID:
    """A message on its way, with a day to live."""
    change(session, "UPDATE message SET expires_at = now() + interval '1 day', validity_seconds = 86400")
    return sending


@pytest.mark.parametrize("outcome", [Outcome.TRANSIENT, Outcome.EXPIRED, Outcome.ACCOUNT])
def test_next_attempt_waits_for_the_opening_where_its_slot_lies_outside(
    session: Session, long_sending: UUID, outcome: Outcome
) -> None:
    opens = windows_close(session)
    take(session, long_sending, failing(outcome))
    moved = message(session, long_sending)
    assert (moved.state, moved.reason) == (State.RETRYING, FAILED_WITH[outcome].code)
    assert turn_of(session, long_sending) == (opens, opens + 21 * HOUR)


def test_failure_that_has_no_opening_in_time_ends_by_the_window_and_is_told_as_a_failure(
    session: Session, lane: MadeLane, sending: UUID
) -> None:
    windows_close(session)
    take(session, sending, failing(Outcome.TRANSIENT))
    moved, settled = rows(session, sending)
    assert (moved.state, moved.reason) == (State.EXPIRED, reasons.WINDOW_CLOSED)
    assert (settled.outcome, settled.code) == (AttemptOutcome.FAILED, FAILED_WITH[Outcome.TRANSIENT].code)
    told = session.exec(select(Event).order_by(Event.id)).all()  # type: ignore[arg-type]
    assert [(event.type, event.reason) for event in told] == [
        ("attempt.failed", FAILED_WITH[Outcome.TRANSIENT].code),
        ("message.expired", reasons.WINDOW_CLOSED),
    ]
    assert_tally_is_exact(session, lane)


def test_failure_that_the_same_message_would_meet_again_ends_for_it_whatever_the_window(
    session: Session, sending: UUID
) -> None:
    windows_close(session)
    take(session, sending, failing(Outcome.PERMANENT))
    moved = message(session, sending)
    assert (moved.state, moved.reason) == (State.FAILED, FAILED_WITH[Outcome.PERMANENT].code)


def test_released_message_keeps_the_opening_it_left_in(session: Session, sending: UUID) -> None:
    windows_close(session)
    before = turn_of(session, sending)
    take(session, sending, releasing())
    assert (message(session, sending).state, turn_of(session, sending)) == (State.QUEUED, before)


@pytest.mark.parametrize("has_window", [True, False])
def test_released_to_another_turn_its_window_is_asked_then(session: Session, sending: UUID, has_window: bool) -> None:
    if has_window:
        windows_close(session)
    at = database_now(session) + MINUTE
    take(session, sending, releasing(at))
    assert turn_of(session, sending) == (at, at if has_window else None)


def test_absent_message_is_asked_about_again_at_the_opening(session: Session, long_sending: UUID) -> None:
    opens = windows_close(session)
    take(session, long_sending, doubting, FATES["wait_absent"].step)
    assert turn_of(session, long_sending) == (opens, opens + 21 * HOUR)
    settled = attempt(session, long_sending)
    assert (settled.outcome, settled.looks, settled.look_at) == (AttemptOutcome.IN_DOUBT, 1, opens)


def test_absent_message_that_has_no_opening_in_time_ends_by_the_window(
    session: Session, lane: MadeLane, sending: UUID
) -> None:
    windows_close(session)
    take(session, sending, doubting)
    take(session, sending, FATES["wait_absent"].step)
    moved, settled = rows(session, sending)
    assert (moved.state, moved.reason) == (State.EXPIRED, reasons.WINDOW_CLOSED)
    assert (settled.outcome, settled.look_at) == (AttemptOutcome.RELEASED, None)
    assert_tally_is_exact(session, lane)


def test_absent_message_whose_next_opening_has_begun_is_asked_about_at_once(
    session: Session, long_sending: UUID
) -> None:
    windows_close(session)
    window = json.dumps(make_window(database_now(session), -HOUR, HOUR))
    change(session, "UPDATE batch SET sending_window = CAST(:window AS jsonb)", window=window)
    now = take(session, long_sending, doubting, FATES["wait_absent"].step)
    assert turn_of(session, long_sending)[0] == now
    assert attempt(session, long_sending).look_at == now + SECOND


# It is barred


def cancel(session: Session, _: MadeLane) -> None:
    change(session, "UPDATE batch SET cancelled_at = now()")


def opt_out(session: Session, lane: MadeLane) -> None:
    change(session, "UPDATE lane SET message_type = 'marketing'")
    consented(session, lane, RECIPIENT, ConsentState.OPTED_OUT)


def require_opt_in(session: Session, _: MadeLane) -> None:
    change(session, "UPDATE lane SET message_type = 'marketing'")
    change(session, "UPDATE surface SET require_opt_in = true")


def block(session: Session, lane: MadeLane) -> None:
    consented(session, lane, RECIPIENT, ConsentState.OPTED_OUT, is_blocked=True)


def deliver_its_source(session: Session, lane: MadeLane) -> None:
    (source,) = standing(session, lane, State.SENDING)
    take(session, source, FATES["deliver"].step)
    change(session, "UPDATE message SET origin = 'replay' WHERE state = 'sending'")
    change(
        session,
        "INSERT INTO replayed (source_message_id, message_id, root_id) "
        "SELECT :source, id, :source FROM message WHERE origin = 'replay'",
        source=source,
    )


def reach_no_mms(session: Session, lane: MadeLane) -> None:
    """It is an MMS to India, and its text goes in its place."""
    change(session, "UPDATE lane SET channel = 'mms'")
    session.add(Lane(credential_id=lane.credential_id, channel="sms", message_type="transactional"))
    mms = '{"parts": [{"text": "a picture"}], "fallback_text": "in words"}'
    change(session, "UPDATE batch SET text = NULL, mms = CAST(:mms AS jsonb)", mms=mms)


BARS = {
    reasons.BATCH_CANCELLED: cancel,
    reasons.SOURCE_DELIVERED: deliver_its_source,
    reasons.OPTED_OUT: opt_out,
    reasons.NOT_OPTED_IN: require_opt_in,
    reasons.NUMBER_BLOCKED: block,
    reasons.FALLBACK: reach_no_mms,
}


@pytest.fixture(params=BARS)
def reason(session: Session, lane: MadeLane, sending: UUID, request: pytest.FixtureRequest) -> str:
    """Why the message on its way was barred in the meantime."""
    BARS[request.param](session, lane)
    return str(request.param)


@pytest.fixture
def barred(reason: str, sending: UUID) -> UUID:
    """A message on its way that was barred in the meantime."""
    return sending


def test_whatever_bars_a_message_is_played() -> None:
    assert set(BARS) == set(BARRED_ENDS_AS)


@pytest.mark.parametrize(
    "step",
    [failing(Outcome.TRANSIENT), failing(Outcome.ACCOUNT), releasing(), fates.end_unsent],
    ids=["fail", "fail for the account's trouble", "release", "end_unsent"],
)
@pytest.mark.parametrize("is_window_open", [True, False])
def test_barred_message_ends_where_another_would_go_on(
    session: Session, lane: MadeLane, barred: UUID, reason: str, step: Step, is_window_open: bool
) -> None:
    if not is_window_open:
        windows_close(session)
    take(session, barred, step)
    moved, settled = rows(session, barred)
    is_cancelled = reason in (reasons.BATCH_CANCELLED, reasons.SOURCE_DELIVERED, reasons.FALLBACK)
    ends_as = State.CANCELLED if is_cancelled else State.SUPPRESSED
    assert (moved.state, moved.reason) == (ends_as, reason)
    assert (moved.finished_at is None, moved.next_attempt_at) == (False, None)
    assert_tally_is_exact(session, lane)
    assert settled.outcome in (AttemptOutcome.FAILED, AttemptOutcome.RELEASED)


@pytest.mark.parametrize(
    ("outcome", "state"), [(Outcome.PERMANENT, State.FAILED), (Outcome.UNKNOWN, State.UNCONFIRMED)]
)
def test_decided_end_wins_over_the_bar(session: Session, barred: UUID, outcome: Outcome, state: State) -> None:
    take(session, barred, failing(outcome))
    moved, _ = rows(session, barred)
    assert (moved.state, moved.reason) == (state, FAILED_WITH[outcome].code)


def test_barred_message_close_to_its_end_expires_with_what_it_met(session: Session, barred: UUID) -> None:
    change(session, "UPDATE message SET expires_at = now() + interval '10 seconds'")
    take(session, barred, failing(Outcome.TRANSIENT))
    assert message(session, barred).state == State.EXPIRED


@pytest.mark.parametrize("state", [State.QUEUED, State.RETRYING])
def test_barred_message_whose_time_is_over_ends_as_barred(
    session: Session, barred: UUID, reason: str, state: State
) -> None:
    change(session, "UPDATE message SET state = :state WHERE id = :id", state=state, id=barred)
    take(session, barred, FATES["expire"].step)
    moved = message(session, barred)
    assert (moved.state, moved.reason) == (BARRED_ENDS_AS[reason], reason)


def test_barred_message_in_doubt_waits_for_what_the_logs_say(session: Session, barred: UUID) -> None:
    take(session, barred, doubting)
    take(session, barred, releasing())
    assert message(session, barred).state == State.SENDING


# Its recipient is blocked


def test_block_that_is_told_opts_its_recipient_out_whatever_becomes_of_the_message(
    session: Session, lane: MadeLane, sending: UUID
) -> None:
    take(session, sending, FATES["note_block"].step)
    person = consent_row(session, lane, RECIPIENT)
    assert (person.state, person.source, person.blocked) == (ConsentState.OPTED_OUT, ConsentSource.PROVIDER, True)
    assert message(session, sending).state == State.SENDING


def test_of_what_is_told_of_a_person_in_one_transaction_the_widest_block_counts(
    session: Session, lane: MadeLane, sending: UUID
) -> None:
    def told(*verdicts: Verdict) -> None:
        take(session, sending, *((lambda t, m, one=one: fates.note_block(t, m, one, t.now)) for one in verdicts))

    told(DND)
    assert not consent_row(session, lane, RECIPIENT).blocked
    told(DND, BLOCKED, DND)
    assert consent_row(session, lane, RECIPIENT).blocked


def test_whatever_bars_a_message_has_an_end_that_it_may_come_to_and_a_sentence() -> None:
    assert set(re.findall(r"(?:THEN|ELSE) '(\w+)'", BARRED)) == set(BARRED_ENDS_AS)
    for reason, end in BARRED_ENDS_AS.items():
        assert may_become(State.SENDING, end)
        assert may_become(State.SENT, end)
        assert reason in SENTENCES
