"""Fallbacks: the SMS that goes in an MMS's place, once, where an MMS cannot; and when none goes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, col, select

from tests.factories import ENTITY, TEMPLATE, make_window
from tests.worker.pictures import (
    BRITON,
    INDIAN,
    NO_MMS,
    OTHER,
    PICTURE,
    WORDS,
    Lanes,
    assert_tallies_are_exact,
    enqueued,
    fallbacks_of,
    handed_over,
    stands,
    the_fallback,
)
from tests.worker.steps import (
    LEASE_SECONDS,
    answer,
    apply,
    at_once,
    batch_of,
    change,
    consented,
    message,
    next_opening,
    report,
    state,
    steered,
    swept,
    take,
    took,
)
from worker import endings, fallbacks, missed_windows, steering
from worker.claims import claim
from worker.db import database_now
from worker.enqueue import enqueue_message
from worker.hours import format_hours, parse_hours
from worker.infobip.payloads import send_request
from worker.infobip.statuses import verdict
from worker.lanes import read_route
from worker.locking import lock
from worker.mms import Mms
from worker.models import Event
from worker.orders import Manner, MessageOrder, Row, Values
from worker.replay import replay
from worker.replay_choice import ALREADY_REPLAYED, ReplayOrder
from worker.reports import apply_reports
from worker.segments import count
from worker.settings import settings
from worker.states import State
from worker.tally import Changes
from worker.transitions import Transitions
from worker.words import Channel, ConsentState, MessageType

OUT, IN = ConsentState.OPTED_OUT, ConsentState.OPTED_IN


@pytest.fixture
def lanes(session: Session) -> Lanes:
    return Lanes(session)


@pytest.fixture
def marketing(session: Session) -> Lanes:
    return Lanes(session, MessageType.MARKETING)


# What goes


def test_an_mms_to_india_ends_in_its_claim_and_its_text_waits_as_an_sms(session: Session, lanes: Lanes) -> None:
    (mms_id,) = enqueued(session, INDIAN)
    assert take(session, lanes.mms) is None
    mms = message(session, mms_id)
    assert (mms.state, mms.reason, mms.attempt_count, mms.next_attempt_at) == ("cancelled", "fallback", 0, None)
    assert mms.finished_at is not None
    sms = the_fallback(session)
    assert (sms.state, sms.reason, sms.text, sms.mms, sms.recipient) == ("queued", None, WORDS, None, INDIAN)
    assert (sms.lane_id, sms.surface_id, sms.batch_id) == (lanes.sms.id, lanes.mms.surface_id, mms.batch_id)
    assert sms.sender == "KITEBK"
    assert (sms.expires_at, sms.validity_seconds) == (mms.expires_at, mms.validity_seconds)
    assert (sms.encoding, sms.segment_count, sms.forcing) == ("UCS-2", 1, "✓")
    assert sms.next_attempt_at is not None
    assert sms.next_attempt_at <= database_now(session)
    assert_tallies_are_exact(session, lanes)


def test_what_leaves_in_its_place_is_an_sms_with_its_dlt_ids(session: Session, lanes: Lanes) -> None:
    enqueued(session, INDIAN)
    take(session, lanes.mms)
    submission = took(session, lanes.sms)
    request = send_request(
        Channel.SMS, submission.id, submission.messages, 0.0, "https://hook", datetime.fromisoformat("2026-11-24T00Z")
    )
    assert b"KITEBK" in request.body
    assert b"order-5512" in request.body
    assert ENTITY.encode() in request.body
    assert TEMPLATE.encode() in request.body
    assert b"See your photo at kite.in/p" in request.body


def test_neighbours_of_an_mms_to_india_leave_as_mms(session: Session, lanes: Lanes) -> None:
    ids = enqueued(session, BRITON, INDIAN, OTHER)
    submission = took(session, lanes.mms)
    assert [sent.recipient for sent in submission.messages] == [BRITON, OTHER]
    assert [state(session, message_id) for message_id in ids] == ["sending", "cancelled", "sending"]
    assert the_fallback(session).recipient == INDIAN
    assert_tallies_are_exact(session, lanes)


def test_an_mms_to_india_without_a_text_for_it_leaves_as_an_mms(session: Session, lanes: Lanes) -> None:
    enqueued(session, INDIAN, mms=Mms(parts=PICTURE.parts))
    assert [sent.recipient for sent in took(session, lanes.mms).messages] == [INDIAN]
    assert fallbacks_of(session) == []


def test_a_single_mms_keeps_what_its_sms_needs(session: Session, lanes: Lanes) -> None:
    values = Values(callback_data="own", principal_entity_id=ENTITY)
    order = MessageOrder(surface="pictures", to=f"+{INDIAN}", mms=PICTURE, values=values)
    mms_id = enqueue_message(session, order).id
    session.commit()
    take(session, lanes.mms)
    sms = the_fallback(session)
    assert stands(session, mms_id) == ("cancelled", "fallback")
    assert (sms.text, sms.sender, sms.callback_data) == (WORDS, "KITEBK", "own")
    assert (sms.principal_entity_id, sms.content_template_id) == (ENTITY, None)
    assert_tallies_are_exact(session, lanes)


def test_without_a_sender_of_its_own_it_goes_from_the_surfaces(session: Session) -> None:
    lanes = Lanes(session, fallback_sender=None)
    enqueued(session, INDIAN)
    take(session, lanes.mms)
    assert the_fallback(session).sender == "PICS"


def test_each_recipients_own_text_is_what_goes(session: Session, lanes: Lanes) -> None:
    mms = Mms(parts=PICTURE.parts, fallback_text="Hi {{name}}")
    given = [Row(0, f"+{INDIAN}", variables={"name": "Asha"}), Row(1, f"+{INDIAN[:-1]}2", variables={"name": "Ben"})]
    enqueued(session, mms=mms, rows=given)
    take(session, lanes.mms)
    assert {(sms.recipient[-1], sms.text) for sms in fallbacks_of(session)} == {("1", "Hi Asha"), ("2", "Hi Ben")}


def test_it_is_counted_as_the_batch_would_have_it_written(session: Session, lanes: Lanes) -> None:
    manner = Manner(transliteration="CYRILLIC", language=None)
    enqueued(session, INDIAN, mms=Mms(parts=PICTURE.parts, fallback_text="привет " * 12), manner=manner)
    take(session, lanes.mms)
    sms = the_fallback(session)
    takes = count(sms.text or "", None, "CYRILLIC")
    assert took(session, lanes.sms).messages[0].content.transliteration == "CYRILLIC"
    assert (sms.encoding, sms.segment_count, sms.characters_left) == (takes.encoding, takes.parts, takes.left)
    assert takes.encoding == "GSM-7"


def test_its_end_is_told_as_cancelled(session: Session, lanes: Lanes) -> None:
    (mms_id,) = enqueued(session, INDIAN)
    take(session, lanes.mms)
    told = session.exec(select(Event).where(Event.subject_id == mms_id)).all()
    assert [(event.type, event.reason) for event in told] == [("message.cancelled", "fallback")]


# What the network refuses


def test_a_report_that_the_phone_takes_no_mms_sends_its_text(session: Session, lanes: Lanes) -> None:
    mms_id = handed_over(session, lanes)
    apply(session, lanes.mms, report(mms_id, **NO_MMS))
    assert stands(session, mms_id) == ("cancelled", "fallback")
    assert (the_fallback(session).text, the_fallback(session).lane_id) == (WORDS, lanes.sms.id)
    told = session.exec(select(Event).where(Event.subject_id == mms_id).order_by(col(Event.id))).all()
    assert [event.type for event in told] == ["attempt.failed", "message.cancelled"]
    assert_tallies_are_exact(session, lanes)


def test_an_answer_that_the_network_takes_no_mms_sends_its_text(session: Session, lanes: Lanes) -> None:
    (mms_id,) = enqueued(session, BRITON)
    refused = verdict(6, 5, None, None)
    assert refused.refuses_mms
    answer(session, took(session, lanes.mms), {mms_id: refused})
    assert stands(session, mms_id) == ("cancelled", "fallback")
    assert the_fallback(session).recipient == BRITON
    assert_tallies_are_exact(session, lanes)


def test_without_a_text_for_it_a_refused_mms_fails(session: Session, lanes: Lanes) -> None:
    mms_id = handed_over(session, lanes, mms=Mms(parts=PICTURE.parts))
    apply(session, lanes.mms, report(mms_id, **NO_MMS))
    assert stands(session, mms_id) == ("failed", "EC_HANDSET_DOES_NOT_SUPPORT_MMS")
    assert fallbacks_of(session) == []


def test_an_mms_that_fails_for_another_reason_sends_no_text(session: Session, lanes: Lanes) -> None:
    mms_id = handed_over(session, lanes)
    apply(session, lanes.mms, report(mms_id, status=9, group=2, error=15003))
    assert state(session, mms_id) == "failed"
    assert fallbacks_of(session) == []


def test_an_sms_that_is_refused_has_no_fallback(session: Session, lanes: Lanes) -> None:
    mms_id = handed_over(session, lanes)
    apply(session, lanes.mms, report(mms_id, **NO_MMS))
    answer(session, took(session, lanes.sms))
    sms_id = the_fallback(session).id
    apply(session, lanes.sms, report(sms_id, **NO_MMS))
    assert state(session, sms_id) == "failed"
    assert len(fallbacks_of(session)) == 1


# Once


def test_the_same_report_twice_sends_its_text_once(session: Session, lanes: Lanes) -> None:
    mms_id = handed_over(session, lanes)
    refusal = report(mms_id, **NO_MMS)
    apply(session, lanes.mms, refusal, refusal)
    apply(session, lanes.mms, refusal)
    apply(session, lanes.mms, report(mms_id, **NO_MMS, done="12:00:02.000"))
    assert len(fallbacks_of(session)) == 1
    assert_tallies_are_exact(session, lanes)


def test_two_pushes_at_once_send_its_text_once(session: Session, engine: Engine, lanes: Lanes) -> None:
    mms_id = handed_over(session, lanes)

    def push(done: str) -> Callable[[], None]:
        def work() -> None:
            with Session(engine) as own:
                pushes = [(lanes.mms.credential_id, [report(mms_id, **NO_MMS, done=done)])]
                apply_reports(own, pushes, settings())
                own.commit()

        return work

    at_once(*(push(f"12:00:0{n}.000") for n in range(4)))
    assert len(fallbacks_of(session)) == 1
    assert_tallies_are_exact(session, lanes)


def test_claims_at_once_send_each_text_once(session: Session, engine: Engine, lanes: Lanes) -> None:
    ids = enqueued(session, *(f"9199000{n:05}" for n in range(60)))

    def work() -> None:
        with Session(engine) as own:
            route = read_route(own, lanes.mms.id)
            assert route is not None
            for _ in range(4):
                claim(own, route, 10, LEASE_SECONDS, 0.0)
                own.commit()

    at_once(work, work, work)
    assert {state(session, message_id) for message_id in ids} == {"cancelled"}
    assert len(fallbacks_of(session)) == len(ids)
    assert_tallies_are_exact(session, lanes)


def test_a_claim_that_is_not_committed_leaves_nothing_and_the_next_does_it(
    session: Session, engine: Engine, lanes: Lanes
) -> None:
    (mms_id,) = enqueued(session, INDIAN)
    with Session(engine) as dying:
        route = read_route(dying, lanes.mms.id)
        assert route is not None
        assert claim(dying, route, 10, LEASE_SECONDS, 0.0).ended == 1
        dying.rollback()
    assert state(session, mms_id) == "queued"
    assert fallbacks_of(session) == []
    take(session, lanes.mms)
    assert len(fallbacks_of(session)) == 1
    assert_tallies_are_exact(session, lanes)


def test_an_mms_that_has_its_sms_gets_no_second_one(session: Session, lanes: Lanes) -> None:
    (mms_id,) = enqueued(session, INDIAN)
    take(session, lanes.mms)
    changes = Changes()
    fallbacks.send([mms_id], session, changes)
    changes.write(session)
    session.commit()
    assert len(fallbacks_of(session)) == 1
    assert_tallies_are_exact(session, lanes)


# What is not needed any more


def test_an_mms_that_arrives_after_all_ends_its_sms_while_that_waits(session: Session, lanes: Lanes) -> None:
    mms_id = handed_over(session, lanes)
    apply(session, lanes.mms, report(mms_id, **NO_MMS))
    apply(session, lanes.mms, report(mms_id, done="12:00:05.000"))
    assert stands(session, mms_id) == ("delivered", "delivered_late")
    sms = the_fallback(session)
    assert (sms.state, sms.reason) == ("cancelled", "source_delivered")
    assert take(session, lanes.sms) is None
    assert_tallies_are_exact(session, lanes)


def test_an_sms_that_has_left_stays_with_an_mms_that_arrives_after_all(session: Session, lanes: Lanes) -> None:
    mms_id = handed_over(session, lanes)
    apply(session, lanes.mms, report(mms_id, **NO_MMS))
    answer(session, took(session, lanes.sms))
    apply(session, lanes.mms, report(mms_id, done="12:00:05.000"))
    assert state(session, mms_id) == "delivered"
    assert the_fallback(session).state == "sent"
    assert_tallies_are_exact(session, lanes)


def test_the_claim_looks_whether_the_mms_has_arrived(session: Session, lanes: Lanes) -> None:
    """Where the report's own step was missed: its transaction did not see the SMS yet."""
    mms_id = handed_over(session, lanes)
    apply(session, lanes.mms, report(mms_id, **NO_MMS))
    transitions = Transitions(session, database_now(session))
    transitions.move(lock(session, [mms_id])[mms_id], State.DELIVERED)
    transitions.write()
    session.commit()
    assert take(session, lanes.sms) is None
    assert (the_fallback(session).state, the_fallback(session).reason) == ("cancelled", "source_delivered")
    assert_tallies_are_exact(session, lanes)


# What bars it


def test_a_cancelled_batch_sends_no_texts(session: Session, engine: Engine, lanes: Lanes) -> None:
    ids = enqueued(session, INDIAN, BRITON)
    steered(session, steering.cancel, ids[0])
    swept(engine)
    assert take(session, lanes.mms) is None
    assert [stands(session, message_id) for message_id in ids] == [("cancelled", "batch_cancelled")] * 2
    assert fallbacks_of(session) == []


def test_a_refused_mms_of_a_batch_cancelled_meanwhile_sends_no_text(session: Session, lanes: Lanes) -> None:
    mms_id = handed_over(session, lanes)
    steered(session, steering.cancel, mms_id)
    apply(session, lanes.mms, report(mms_id, **NO_MMS))
    assert stands(session, mms_id) == ("failed", "EC_HANDSET_DOES_NOT_SUPPORT_MMS")
    assert fallbacks_of(session) == []


def test_a_paused_batch_sends_its_texts_once_it_goes_on(session: Session, engine: Engine, lanes: Lanes) -> None:
    (mms_id,) = enqueued(session, INDIAN)
    steered(session, steering.pause, mms_id)
    swept(engine)
    assert take(session, lanes.mms) is None
    assert fallbacks_of(session) == []
    steered(session, steering.resume, mms_id)
    swept(engine)
    take(session, lanes.mms)
    assert len(fallbacks_of(session)) == 1


def test_a_replay_of_its_batch_leaves_it_out(session: Session, lanes: Lanes) -> None:
    (mms_id,) = enqueued(session, INDIAN)
    take(session, lanes.mms)
    order = ReplayOrder(batch_id=batch_of(session, mms_id).id, states=[State.CANCELLED])
    made = replay(session, order)
    session.commit()
    assert (made.accepted, made.left_out) == (0, {ALREADY_REPLAYED: 1})


def test_a_replay_of_an_mms_has_a_fallback_of_its_own(session: Session, lanes: Lanes) -> None:
    """And an arrival anywhere in that chain ends it."""
    mms_id = handed_over(session, lanes)
    apply(session, lanes.mms, report(mms_id, status=9, group=2, error=15003))
    replay(session, ReplayOrder(batch_id=batch_of(session, mms_id).id))
    session.commit()
    submission = took(session, lanes.mms)
    answer(session, submission)
    again = submission.messages[0].message_id
    apply(session, lanes.mms, report(again, **NO_MMS))
    assert the_fallback(session).state == "queued"
    apply(session, lanes.mms, report(mms_id, done="12:00:05.000"))
    assert (the_fallback(session).state, the_fallback(session).reason) == ("cancelled", "source_delivered")
    assert_tallies_are_exact(session, lanes)


def test_an_opt_out_before_its_turn_sends_no_text(session: Session, marketing: Lanes) -> None:
    (mms_id,) = enqueued(session, INDIAN)
    consented(session, marketing.mms, INDIAN, OUT)
    assert take(session, marketing.mms) is None
    assert stands(session, mms_id) == ("suppressed", "opted_out")
    assert fallbacks_of(session) == []


def test_an_opt_out_before_the_refusal_sends_no_text(session: Session, marketing: Lanes) -> None:
    mms_id = handed_over(session, marketing)
    consented(session, marketing.mms, BRITON, OUT)
    apply(session, marketing.mms, report(mms_id, **NO_MMS))
    assert stands(session, mms_id) == ("failed", "EC_HANDSET_DOES_NOT_SUPPORT_MMS")
    assert fallbacks_of(session) == []


def test_an_opt_out_between_the_mms_and_its_sms_stops_the_sms(session: Session, marketing: Lanes) -> None:
    enqueued(session, INDIAN)
    take(session, marketing.mms)
    consented(session, marketing.mms, INDIAN, OUT)
    assert take(session, marketing.sms) is None
    assert (the_fallback(session).state, the_fallback(session).reason) == ("suppressed", "opted_out")
    assert_tallies_are_exact(session, marketing)


def test_the_surface_that_asks_for_an_opt_in_asks_it_for_the_sms_too(session: Session) -> None:
    lanes = Lanes(session, MessageType.MARKETING, require_opt_in=True)
    consented(session, lanes.mms, INDIAN, IN)
    enqueued(session, INDIAN)
    take(session, lanes.mms)
    consented(session, lanes.mms, INDIAN, ConsentState.NONE)
    assert take(session, lanes.sms) is None
    assert (the_fallback(session).state, the_fallback(session).reason) == ("suppressed", "not_opted_in")


# When


OPEN = make_window(datetime.now(UTC), timedelta(hours=-2), timedelta(hours=5))
CLOSED = make_window(datetime.now(UTC), timedelta(hours=2), timedelta(hours=5))
WINDOWED = Manner(sending_window=parse_hours(OPEN))


def ended_in_claim(session: Session, lanes: Lanes, **order: Any) -> None:
    enqueued(session, INDIAN, **order)
    take(session, lanes.mms)


def refused_by_report(session: Session, lanes: Lanes, **order: Any) -> None:
    apply(session, lanes.mms, report(handed_over(session, lanes, **order), **NO_MMS))


ENDINGS = pytest.mark.parametrize("end", [ended_in_claim, refused_by_report])


@ENDINGS
def test_the_window_of_the_mms_is_asked_when_the_sms_is_about_to_leave(
    session: Session, lanes: Lanes, end: Callable[..., None]
) -> None:
    end(session, lanes, manner=WINDOWED)
    sms = the_fallback(session)
    assert batch_of(session, sms.id).sending_window == format_hours(parse_hours(OPEN))
    assert sms.leave_before == sms.next_attempt_at
    change(session, "UPDATE batch SET sending_window = CAST(:closed AS jsonb)", closed=json.dumps(CLOSED))
    assert take(session, lanes.sms) is None
    missed_windows.postpone(session, [sms.id])
    session.commit()
    later = the_fallback(session)
    assert (later.state, later.next_attempt_at) == ("queued", next_opening(session, CLOSED))
    assert_tallies_are_exact(session, lanes)


@ENDINGS
def test_in_its_window_the_sms_leaves(session: Session, lanes: Lanes, end: Callable[..., None]) -> None:
    end(session, lanes, manner=WINDOWED)
    missed_windows.postpone(session, [the_fallback(session).id])
    session.commit()
    assert [sent.message_id for sent in took(session, lanes.sms).messages] == [the_fallback(session).id]


@ENDINGS
def test_without_a_window_the_sms_leaves_at_any_time(session: Session, lanes: Lanes, end: Callable[..., None]) -> None:
    end(session, lanes)
    assert the_fallback(session).leave_before is None
    assert took(session, lanes.sms).messages[0].message_id == the_fallback(session).id


def test_the_hours_of_the_country_hold_for_marketing(session: Session) -> None:
    lanes = Lanes(session, MessageType.MARKETING, sending_window=None, window_off_reason=None)
    enqueued(session, INDIAN)
    change(session, "UPDATE message SET next_attempt_at = now(), leave_before = now() + interval '1 hour'")
    take(session, lanes.mms)
    sms = the_fallback(session)
    assert sms.leave_before == sms.next_attempt_at


def test_an_mms_whose_validity_is_over_expires_and_sends_no_text(
    session: Session, engine: Engine, lanes: Lanes
) -> None:
    (mms_id,) = enqueued(session, INDIAN)
    change(session, "UPDATE message SET expires_at = now()")
    assert take(session, lanes.mms) is None
    endings.expire(engine)
    assert stands(session, mms_id) == ("expired", "validity_over")
    assert fallbacks_of(session) == []
    assert_tallies_are_exact(session, lanes)


def test_an_mms_that_is_refused_too_late_fails_and_sends_no_text(session: Session, lanes: Lanes) -> None:
    """A text goes as any message does: while one whole second remains."""
    mms_id = handed_over(session, lanes)
    change(session, "UPDATE message SET expires_at = now() + interval '900 milliseconds'")
    apply(session, lanes.mms, report(mms_id, **NO_MMS))
    assert stands(session, mms_id) == ("failed", "EC_HANDSET_DOES_NOT_SUPPORT_MMS")
    assert fallbacks_of(session) == []
    assert_tallies_are_exact(session, lanes)


def test_an_mms_that_is_refused_with_little_time_left_sends_its_text_for_what_is_left(
    session: Session, lanes: Lanes
) -> None:
    mms_id = handed_over(session, lanes)
    change(session, "UPDATE message SET expires_at = now() + interval '30 seconds'")
    change(session, "UPDATE batch SET expires_at = (SELECT expires_at FROM message)")
    apply(session, lanes.mms, report(mms_id, **NO_MMS))
    assert stands(session, mms_id) == ("cancelled", "fallback")
    assert the_fallback(session).expires_at == message(session, mms_id).expires_at
    assert took(session, lanes.sms).messages[0].remaining_seconds <= 30


def test_an_sms_that_never_leaves_expires_when_the_mms_would_have(
    session: Session, engine: Engine, lanes: Lanes
) -> None:
    enqueued(session, INDIAN)
    take(session, lanes.mms)
    change(session, "UPDATE message SET expires_at = now() WHERE origin = 'fallback'")
    endings.expire(engine)
    assert (the_fallback(session).state, the_fallback(session).reason) == ("expired", "validity_over")
    assert_tallies_are_exact(session, lanes)
