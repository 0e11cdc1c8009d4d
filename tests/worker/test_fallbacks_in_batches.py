"""The SMS that goes in an MMS's place is one of its batch: steered, counted, found and replayed with it."""

import random
import time
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, col, select

from api.batch_views import find_batch
from tests.factories import MadeLane
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
    NOWHERE,
    answer,
    apply,
    at_once,
    batch_of,
    change,
    fail_with,
    message,
    report,
    state,
    steered,
    swept,
    take,
    took,
)
from worker import answers, batch_sweeps, cancelling, fallbacks, ids, moving, setting_aside, steering
from worker.claims import claim
from worker.db import database_now, transact
from worker.errors import OutcomeUncertain, RequestRefused
from worker.infobip.answers import Answer
from worker.infobip.payloads import send_request
from worker.infobip.statuses import verdict
from worker.lanes import read_route
from worker.locking import lock
from worker.message_search import Search, find
from worker.mms import Mms
from worker.models import Batch, Message
from worker.orders import Row
from worker.refusals import Conflict
from worker.replay import preview, replay
from worker.replay_choice import ALREADY_REPLAYED, ReplayOrder
from worker.reports import apply_reports
from worker.settings import settings
from worker.states import State
from worker.streaks import REFUSED_IN_A_ROW
from worker.tally import Changes, counts
from worker.words import Channel, Origin

UNDELIVERABLE = {"status": 9, "group": 2, "error": 1}  # nobody has this number
HOURS = timedelta(hours=1)


@pytest.fixture
def lanes(session: Session) -> Lanes:
    return Lanes(session)


def ended_in_claim(session: Session, lanes: Lanes, **order: object) -> UUID:
    (mms_id,) = enqueued(session, INDIAN, **order)
    take(session, lanes.mms)
    return mms_id


def refused_by_report(session: Session, lanes: Lanes, **order: object) -> UUID:
    mms_id = handed_over(session, lanes, **order)
    apply(session, lanes.mms, report(mms_id, **NO_MMS))
    return mms_id


ENDINGS = pytest.mark.parametrize("end", [ended_in_claim, refused_by_report])


def assert_batch_is_counted(session: Session, message_id: UUID) -> None:
    """Its tally is count(*) by state."""
    batch_id = batch_of(session, message_id).id
    counted = session.execute(
        text("SELECT state, count(*) FROM message WHERE batch_id = :batch GROUP BY 1"), {"batch": batch_id}
    )
    tallied: dict[str, int] = {}
    for (one, _), n in counts(session, [batch_id])[batch_id].items():
        tallied[one] = tallied.get(one, 0) + n
    assert tallied == {row.state: row[1] for row in counted}


# Steered with it


@ENDINGS
def test_a_pause_holds_the_sms_that_waits_and_a_resume_lets_it_go(
    session: Session, engine: Engine, lanes: Lanes, end: Callable[..., UUID]
) -> None:
    mms_id = end(session, lanes)
    steered(session, steering.pause, mms_id)
    assert take(session, lanes.sms) is None
    swept(engine)
    assert the_fallback(session).held
    steered(session, steering.resume, mms_id)
    swept(engine)
    assert took(session, lanes.sms).messages[0].message_id == the_fallback(session).id


@pytest.mark.parametrize("sweeps", [False, True], ids=["before the sweep", "behind the sweep"])
def test_an_mms_refused_while_its_batch_is_paused_sends_no_text_until_that_goes_on(
    session: Session, engine: Engine, lanes: Lanes, sweeps: bool
) -> None:
    mms_id = handed_over(session, lanes)
    steered(session, steering.pause, mms_id)
    if sweeps:
        swept(engine)
    apply(session, lanes.mms, report(mms_id, **NO_MMS))
    assert the_fallback(session).held is sweeps
    assert take(session, lanes.sms) is None
    steered(session, steering.resume, mms_id)
    swept(engine)
    assert took(session, lanes.sms).messages[0].message_id == the_fallback(session).id
    assert_tallies_are_exact(session, lanes)


@ENDINGS
def test_a_cancel_ends_the_sms_that_waits(
    session: Session, engine: Engine, lanes: Lanes, end: Callable[..., UUID]
) -> None:
    mms_id = end(session, lanes)
    steered(session, steering.cancel, mms_id)
    assert take(session, lanes.sms) is None
    swept(engine)
    assert stands(session, the_fallback(session).id) == ("cancelled", "batch_cancelled")
    assert stands(session, mms_id) == ("cancelled", "fallback")
    assert_tallies_are_exact(session, lanes)
    assert_batch_is_counted(session, mms_id)


def test_an_sms_born_behind_the_sweep_of_a_cancelled_batch_ends_in_its_claim(
    session: Session, engine: Engine, lanes: Lanes
) -> None:
    """By a hand that read its batch before the cancel."""
    mms_id = handed_over(session, lanes)
    steered(session, steering.cancel, mms_id)
    swept(engine)
    changes = Changes()
    fallbacks.send([mms_id], session, changes)
    changes.write(session)
    session.commit()
    assert take(session, lanes.sms) is None
    assert stands(session, the_fallback(session).id) == ("cancelled", "batch_cancelled")


def test_a_reschedule_gives_the_sms_that_waits_the_batchs_new_turn(
    session: Session, engine: Engine, lanes: Lanes
) -> None:
    mms_id = ended_in_claim(session, lanes)
    later = database_now(session) + HOURS
    steered(session, steering.reschedule, mms_id, later, 5 * HOURS)
    swept(engine)
    sms = the_fallback(session)
    assert (sms.next_attempt_at, sms.expires_at) == (later, later + 5 * HOURS)
    assert take(session, lanes.sms) is None


@pytest.mark.parametrize("sweeps", [False, True], ids=["before the sweep", "behind the sweep"])
def test_an_mms_refused_after_a_reschedule_sends_its_text_when_its_batch_begins(
    session: Session, engine: Engine, lanes: Lanes, sweeps: bool
) -> None:
    """And as long as the batch is valid: else it would be released from each request, for ever."""
    waiting = {"send_at": database_now(session) + HOURS}
    mms_id, _ = enqueued(session, BRITON, OTHER, **waiting)
    change(session, "UPDATE message SET next_attempt_at = now() WHERE id = :id", id=mms_id)
    answer(session, took(session, lanes.mms))
    later = database_now(session) + 2 * HOURS
    batch = steered(session, steering.reschedule, mms_id, later, 5 * HOURS)
    if sweeps:
        swept(engine)
    apply(session, lanes.mms, report(mms_id, **NO_MMS))
    swept(engine)
    sms = the_fallback(session)
    assert (sms.next_attempt_at, sms.expires_at, sms.validity_seconds) == (later, batch.expires_at, 5 * 3600)
    assert take(session, lanes.sms) is None
    change(session, "UPDATE batch SET send_at = now(), expires_at = now() + make_interval(secs => validity_seconds)")
    change(session, "UPDATE message SET next_attempt_at = b.send_at, expires_at = b.expires_at FROM batch b")
    (leaving,) = took(session, lanes.sms).messages
    assert not lock(session, [leaving.message_id])[leaving.message_id].is_moved


def test_at_a_pace_the_sms_leaves_at_once(session: Session, lanes: Lanes) -> None:
    """Its MMS had its turn."""
    first, *_ = enqueued(session, INDIAN, *(f"4477009000{n:02}" for n in range(10, 40)), messages_per_second=1)
    take(session, lanes.mms)
    assert stands(session, first) == ("cancelled", "fallback")
    assert took(session, lanes.sms).messages[0].recipient == INDIAN


def test_twenty_sms_refused_alike_pause_their_batch(session: Session, engine: Engine, lanes: Lanes) -> None:
    """Though that is of another lane."""
    first, *_ = enqueued(session, *(f"9199000{n:05}" for n in range(30)))
    take(session, lanes.mms)
    waiting = [took(session, lanes.sms)]
    while waiting:
        waiting.extend(fail_with(session, waiting.pop(), RequestRefused("HTTP 400: Bad request", ())))
    assert batch_of(session, first).paused_at is not None
    assert [sms.state for sms in fallbacks_of(session)].count("failed") == REFUSED_IN_A_ROW
    swept(engine)
    assert take(session, lanes.sms) is None


# Counted with it


@ENDINGS
def test_the_batchs_total_grows_by_its_sms_and_it_goes_on_until_that_has_ended(
    session: Session, lanes: Lanes, end: Callable[..., UUID]
) -> None:
    mms_id = end(session, lanes)
    batch_id = batch_of(session, mms_id).id
    view = find_batch(session, batch_id)
    assert (view.state, view.total, view.counts) == ("running", 2, {"queued": 1, "cancelled": 1})
    assert [(one.reason, one.count) for one in view.reasons] == [("fallback", 1)]
    answer(session, took(session, lanes.sms))
    assert find_batch(session, batch_id).state == "running"
    apply(session, lanes.sms, report(the_fallback(session).id))
    view = find_batch(session, batch_id)
    assert (view.state, view.total, view.counts) == ("done", 2, {"delivered": 1, "cancelled": 1})
    assert_batch_is_counted(session, mms_id)


# Found with it


def found(session: Session, **search: object) -> list[UUID]:
    session.rollback()
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    ids_found = find(session, Search(**search), None, 10)  # type: ignore[arg-type]
    session.rollback()
    return ids_found


@ENDINGS
def test_a_search_finds_the_sms_with_its_batch(session: Session, lanes: Lanes, end: Callable[..., UUID]) -> None:
    mms_id = end(session, lanes)
    sms_id = the_fallback(session).id
    batch = batch_of(session, mms_id)
    assert batch.id < sms_id <= batch.messages_through
    for search in ({"batch_id": batch.id}, {"callback_data": "order-5512"}, {"surface_ids": [lanes.mms.surface_id]}):
        assert found(session, **search) == [sms_id, mms_id], search
    assert found(session, batch_id=batch.id, origin=Origin.FALLBACK) == [sms_id]


def test_the_sms_sorts_after_its_mms_whatever_the_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """IDs of a batch's messages lie above its own: a search asks for no others."""
    early = UUID("00000000-0000-7000-8000-000000000001")
    monkeypatch.setattr(ids, "uuid7", lambda: early)
    mms_id = UUID("01a00000-0000-7fff-bfff-ffffffffffff")
    made = ids.id_after(mms_id)
    assert made > mms_id
    assert (made.version, made.variant) == (7, early.variant)
    assert ids.id_after(UUID(int=0)) == early


def test_an_sms_changes_nothing_but_the_bound_of_its_own_batch(session: Session, lanes: Lanes) -> None:
    (neighbour,) = enqueued(session, OTHER)
    through = batch_of(session, neighbour).messages_through
    ended_in_claim(session, lanes)
    assert batch_of(session, neighbour).messages_through == through


# Replayed with it


def replayed(session: Session, message_id: UUID) -> list[UUID]:
    made = replay(session, ReplayOrder(batch_id=batch_of(session, message_id).id))
    session.commit()
    of_it = select(Message.id).where(Message.batch_id == made.id, Message.origin == "replay").order_by(col(Message.id))
    return list(session.exec(of_it)) if made.accepted else []


OWN_TEXTS = [Row(0, f"+{INDIAN}", variables={"name": "Asha"}), Row(1, f"+{BRITON}", variables={"name": "Ann"})]
OF_EACH = Mms(title="For {{name}}", parts=PICTURE.parts, fallback_text="Hi {{name}} ✓")


@pytest.mark.parametrize("order", [{}, {"mms": OF_EACH, "rows": OWN_TEXTS}], ids=["one MMS for all", "each its own"])
def test_a_replay_sends_the_mms_of_a_failed_sms_again_which_falls_back_anew(
    session: Session, lanes: Lanes, order: dict[str, object]
) -> None:
    """In India by the gate, elsewhere where it is refused again."""
    sources = enqueued(session, INDIAN, BRITON, **order)
    answer(session, took(session, lanes.mms))
    apply(session, lanes.mms, report(sources[1], **NO_MMS))
    texts = [sms.text for sms in fallbacks_of(session)]
    answer(session, took(session, lanes.sms))
    apply(session, lanes.sms, *(report(sms.id, **UNDELIVERABLE) for sms in fallbacks_of(session)))
    assert preview(session, ReplayOrder(batch_id=batch_of(session, sources[0]).id)).segments == 2
    session.rollback()
    again = replayed(session, sources[0])
    assert [message(session, one).recipient for one in again] == [INDIAN, BRITON]
    assert [(message(session, one).text, message(session, one).segment_count) for one in again] == [(None, None)] * 2
    (leaving,) = took(session, lanes.mms).messages
    assert (leaving.message_id, leaving.parts) == (again[1], 1)
    assert leaving.content.mms is not None
    assert ("For Ann" if order else "Photo") in leaving.content.mms
    assert stands(session, again[0]) == ("cancelled", "fallback")
    apply(session, lanes.mms, report(again[1], **NO_MMS))
    anew = fallbacks_of(session)[2:]
    assert [sms.text for sms in anew] == texts == (["Hi Asha ✓", "Hi Ann ✓"] if order else [WORDS] * 2)
    assert {sms.batch_id for sms in anew} == {batch_of(session, again[0]).id}
    assert [sent.recipient for sent in took(session, lanes.sms).messages] == [INDIAN, BRITON]
    assert_tallies_are_exact(session, lanes)
    assert_batch_is_counted(session, sources[0])
    assert_batch_is_counted(session, again[0])


def test_an_mms_that_arrives_after_all_ends_the_replay_of_its_sms(session: Session, lanes: Lanes) -> None:
    mms_id = refused_by_report(session, lanes)
    answer(session, took(session, lanes.sms))
    apply(session, lanes.sms, report(the_fallback(session).id, **UNDELIVERABLE))
    (again,) = replayed(session, mms_id)
    apply(session, lanes.mms, report(mms_id, done="12:00:05.000"))
    assert stands(session, again) == ("cancelled", "source_delivered")


@ENDINGS
def test_a_replay_leaves_out_the_mms_whose_sms_was_delivered(
    session: Session, lanes: Lanes, end: Callable[..., UUID]
) -> None:
    mms_id = end(session, lanes)
    answer(session, took(session, lanes.sms))
    apply(session, lanes.sms, report(the_fallback(session).id))
    order = ReplayOrder(batch_id=batch_of(session, mms_id).id, states=[State.CANCELLED, State.FAILED])
    made = replay(session, order)
    assert (made.accepted, made.left_out) == (0, {ALREADY_REPLAYED: 1})


# Sent as any SMS


def test_those_that_say_the_same_go_out_together_whatever_their_mms(session: Session, lanes: Lanes) -> None:
    given = [Row(n, f"+91990000{n:04}", variables={"name": f"N{n}"}) for n in range(5)]
    enqueued(session, rows=given, mms=Mms(title="For {{name}}", parts=PICTURE.parts, fallback_text=WORDS))
    take(session, lanes.mms)
    submission = took(session, lanes.sms)
    assert len(submission.messages) == 5
    request = send_request(Channel.SMS, submission.id, submission.messages, 0.0, NOWHERE, database_now(session))
    assert len(request.places) == 1
    assert b"For N" not in request.body


# Everything at once

BATCHES, MESSAGES = 6, 60
_NO_HOLD = text("UPDATE lane SET kind = NULL, faults = 0, refusals = 0, refused_batches = '{}' WHERE id = :lane")


class _Crowd:
    """Who claims, answers, reports, steers and sweeps, each in threads of their own; `rounds` each."""

    def __init__(self, engine: Engine, lanes: Lanes, batch_ids: list[UUID], until: float) -> None:
        self._engine, self._lanes, self._batches, self._until = engine, lanes, batch_ids, until

    def each(self, work: Callable[[random.Random], object], seed: int) -> Callable[[], None]:
        def loop() -> None:
            rng = random.Random(seed)
            while time.monotonic() < self._until:
                work(rng)

        return loop

    def sends(self, lane: MadeLane) -> Callable[[random.Random], None]:
        def work(rng: random.Random) -> None:
            def take_some(session: Session) -> object:
                route = read_route(session, lane.id)
                assert route is not None
                return claim(session, route, 10, LEASE_SECONDS, time.monotonic()).submission

            submission = transact(self._engine, take_some)
            if submission is None:
                return
            said = [verdict(26, 1, None, None)] * 3 + [verdict(6, 5, None, None), verdict(9, 2, 27, False)]
            answer_of = Answer({sent.wire_id: rng.choice(said) for sent in submission.messages}, {})

            def write(session: Session) -> None:
                if rng.random() < 0.2:
                    answers.record_unsent(session, submission, settings())
                elif rng.random() < 0.1:
                    answers.record_error(session, submission, OutcomeUncertain("t"), settings(), time.monotonic)
                else:
                    answers.record_answer(session, submission, answer_of, settings())

            transact(self._engine, write)
            transact(self._engine, lambda session: session.execute(_NO_HOLD, {"lane": lane.id}))

        return work

    def reports(self, rng: random.Random) -> None:
        def work(session: Session) -> None:
            some = text("SELECT id, attempt_count FROM message WHERE attempt_count > 0 ORDER BY random() LIMIT 20")
            kinds = [NO_MMS, NO_MMS, UNDELIVERABLE, {}]
            items = [report(one, number, **rng.choice(kinds)) for one, number in session.execute(some)]
            apply_reports(session, [(self._lanes.mms.credential_id, items)], settings())

        transact(self._engine, work)

    def steers(self, rng: random.Random) -> None:
        def work(session: Session) -> None:
            batch_id = rng.choice(self._batches)
            verbs = [steering.pause, steering.resume, steering.resume]
            if rng.random() < 0.01:
                steering.cancel(session, batch_id)
            elif rng.random() < 0.2:
                steering.reschedule(session, batch_id, database_now(session), 2 * HOURS)
            else:
                rng.choice(verbs)(session, batch_id)

        try:
            transact(self._engine, work)
        except Conflict:
            time.sleep(0.01)  # cancelled, or over

    def sweeps(self, _: random.Random) -> None:
        for sweep in (setting_aside.hold_and_free, cancelling.clear, moving.give_turns):
            sweep(self._engine)


def test_everything_at_once_leaves_every_count_exact_and_one_sms_for_each_mms(
    session: Session, engine: Engine, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no error escapes: claims, answers, reports, pauses, reschedules, cancels and their sweeps."""
    monkeypatch.setattr(batch_sweeps, "CHUNK", 7)
    firsts = [
        enqueued(session, *(f"{(91990, 44790)[n % 2]}{batch:02}{n:05}" for n in range(MESSAGES)))[0]
        for batch in range(BATCHES)
    ]
    batch_ids = [batch_of(session, first).id for first in firsts]
    crowd = _Crowd(engine, lanes, batch_ids, time.monotonic() + 6)
    senders = [crowd.sends(lanes.mms), crowd.sends(lanes.mms), crowd.sends(lanes.sms), crowd.sends(lanes.sms)]
    others = [crowd.reports, crowd.reports, crowd.steers, crowd.steers, crowd.sweeps, crowd.sweeps]
    at_once(*(crowd.each(work, seed) for seed, work in enumerate([*senders, *others])))
    assert fallbacks_of(session)
    assert_tallies_are_exact(session, lanes)
    for first in firsts:
        assert_batch_is_counted(session, first)
    session.expire_all()
    bounds = {batch.id: batch.messages_through for batch in session.exec(select(Batch))}
    assert all(sms.batch_id and sms.batch_id < sms.id <= bounds[sms.batch_id] for sms in fallbacks_of(session))
    fallen = {one.id for one in session.exec(select(Message).where(Message.reason == "fallback"))}
    assert len(fallen) <= len(fallbacks_of(session))
    for batch_id, first in zip(batch_ids, firsts, strict=True):
        if batch_of(session, first).cancelled_at is None:
            steering.cancel(session, batch_id)
            session.commit()
    swept(engine)
    assert take(session, lanes.sms) is None
    assert not {"queued", "retrying"} & {state(session, sms.id) for sms in fallbacks_of(session)}
    assert_tallies_are_exact(session, lanes)
