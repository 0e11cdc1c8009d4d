"""Rescheduled batches: all that never left gets its turn by the new start, however often it is changed half-way."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from tests.factories import MadeLane, make_batch, make_window
from tests.worker.steps import (
    answer,
    apply,
    at_once,
    batch_of,
    change,
    fail_with,
    message,
    report,
    retries_due,
    states,
    steered,
    swept,
    take,
    took,
    turn_of,
    wait_until_blocking,
)
from worker import answers, batch_sweeps, endings, missed_windows, moving, steering
from worker.db import database_now
from worker.errors import NotSent, RequestRefused
from worker.infobip.statuses import verdict
from worker.locking import lock
from worker.models import Message
from worker.settings import Settings

TEN = [f"9199000000{n:02d}" for n in range(10)]
HOUR = timedelta(hours=1)
SIX_HOURS = timedelta(hours=6)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_sweeps, "CHUNK", 4)


@pytest.fixture
def tomorrow(session: Session) -> datetime:
    return database_now(session) + timedelta(days=1)


def turns(session: Session, ids: list[UUID]) -> list[datetime | None]:
    session.expire_all()
    return [session.get_one(Message, message_id).next_attempt_at for message_id in ids]


def at_pace(start: datetime, pace: int, count: int) -> list[datetime]:
    return [start + timedelta(seconds=place / pace) for place in range(count)]


def test_what_never_left_moves_with_its_validity_and_nothing_else_does(
    session: Session, lane: MadeLane, engine: Engine, tomorrow: datetime
) -> None:
    ids = make_batch(session, lane, TEN)
    (other,) = make_batch(session, lane, ["919900000099"], due_in=HOUR)
    answer(session, took(session, lane, 3))
    apply(session, lane, report(ids[0], status=9, group=2, error=27), report(ids[1]))
    before = turns(session, [*ids[:3], other])
    ends = message(session, ids[0]).expires_at
    steered(session, steering.reschedule, ids[0], tomorrow, SIX_HOURS)
    assert swept(engine) == 2
    assert states(session, ids) == ["retrying", "delivered", "sent", *["queued"] * 7]
    assert turns(session, ids[3:]) == [tomorrow] * 7
    assert turns(session, [*ids[:3], other]) == before
    for message_id in ids[3:]:
        row = message(session, message_id)
        assert (row.expires_at, row.validity_seconds) == (tomorrow + SIX_HOURS, 6 * 3600)
    assert message(session, ids[0]).expires_at == ends
    batch = batch_of(session, ids[0])
    assert (batch.move_to, batch.swept_through) == (None, None)
    assert moving.give_turns(engine) == 0


def test_without_a_validity_the_batch_s_own_counts_from_the_new_start(
    session: Session, lane: MadeLane, engine: Engine, tomorrow: datetime
) -> None:
    ids = make_batch(session, lane, TEN, validity=SIX_HOURS)
    steered(session, steering.reschedule, ids[0], tomorrow, None)
    swept(engine)
    assert message(session, ids[9]).expires_at == tomorrow + SIX_HOURS


def test_at_a_pace_turns_follow_each_other_from_the_new_start(
    session: Session, lane: MadeLane, engine: Engine, tomorrow: datetime
) -> None:
    ids = make_batch(session, lane, TEN, pace=3)
    took(session, lane, 1)
    steered(session, steering.reschedule, ids[0], tomorrow, None)
    swept(engine)
    assert turns(session, ids[1:]) == at_pace(tomorrow, 3, 9)


@pytest.mark.parametrize("pace", [None, 3])
@pytest.mark.parametrize("chunks", [0, 1, 2, 3])
def test_rescheduled_again_half_way_it_comes_out_as_if_only_once(
    session: Session, lane: MadeLane, engine: Engine, tomorrow: datetime, pace: int | None, chunks: int
) -> None:
    ids = make_batch(session, lane, TEN, pace=pace)
    steered(session, steering.reschedule, ids[0], tomorrow, HOUR)
    for _ in range(chunks):
        moving.give_turns(engine)
    steered(session, steering.reschedule, ids[0], tomorrow + HOUR, SIX_HOURS)
    swept(engine)
    assert turns(session, ids) == (at_pace(tomorrow + HOUR, pace, 10) if pace else [tomorrow + HOUR] * 10)
    assert {message(session, message_id).expires_at for message_id in ids} == {tomorrow + HOUR + SIX_HOURS}


def reschedule(session: Session, batch_id: UUID, start: datetime) -> None:
    steering.reschedule(session, batch_id, start, None)


@pytest.mark.parametrize("begin", [reschedule, moving.begin])  # the latter as a resume does, which changes no end
def test_who_gives_another_start_waits_for_no_chunk_and_that_chunk_counts_for_nothing(
    session: Session, lane: MadeLane, engine: Engine, tomorrow: datetime, begin: Callable[..., None]
) -> None:
    ids = make_batch(session, lane, TEN, pace=3)
    steered(session, steering.reschedule, ids[0], tomorrow, None)
    with Session(engine) as holder:
        lock(holder, ids[3:4])  # so that the first chunk stands in the middle
        sweep = threading.Thread(target=moving.give_turns, args=(engine,))
        sweep.start()
        wait_until_blocking(holder)
        begin(session, batch_of(session, ids[0]).id, tomorrow + HOUR)
        session.commit()
        holder.rollback()
        sweep.join()
    stands = batch_of(session, ids[0])
    assert (stands.move_to, stands.swept_through, stands.moved) == (tomorrow + HOUR, None, 0)
    assert turns(session, ids[:4]) == at_pace(tomorrow, 3, 4)
    swept(engine)
    assert turns(session, ids) == at_pace(tomorrow + HOUR, 3, 10)


def test_nothing_of_it_leaves_while_it_moves_and_another_batch_does(
    session: Session, lane: MadeLane, engine: Engine, tomorrow: datetime
) -> None:
    ids = make_batch(session, lane, TEN)
    others = make_batch(session, lane, ["919900000099"])
    steered(session, steering.reschedule, ids[0], tomorrow, None)
    assert moving.give_turns(engine) == 1
    assert [sent.message_id for sent in took(session, lane).messages] == others
    swept(engine)
    assert take(session, lane) is None
    steered(session, steering.reschedule, ids[0], database_now(session), None)
    assert take(session, lane) is None
    swept(engine)
    assert len(took(session, lane).messages) == 10


def test_nothing_expires_by_its_old_end_while_it_moves(
    session: Session, lane: MadeLane, engine: Engine, tomorrow: datetime
) -> None:
    ids = make_batch(session, lane, TEN)
    steered(session, steering.reschedule, ids[0], tomorrow, None)
    change(session, "UPDATE message SET expires_at = now()")
    assert endings.expire(engine) == 0
    swept(engine)
    assert endings.expire(engine) == 0
    assert states(session, ids) == ["queued"] * 10


@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_what_comes_back_never_sent_goes_by_the_new_start_and_end(
    session: Session, lane: MadeLane, engine: Engine, tomorrow: datetime, chunks: int
) -> None:
    ids = make_batch(session, lane, TEN)
    submission = took(session, lane, 3)
    steered(session, steering.reschedule, ids[0], tomorrow, SIX_HOURS)
    for _ in range(chunks):
        moving.give_turns(engine)
    fail_with(session, submission, NotSent("no connection"))
    swept(engine)
    assert turns(session, ids) == [tomorrow] * 10
    for message_id in ids:
        row = message(session, message_id)
        assert (row.state, row.expires_at, row.validity_seconds) == ("queued", tomorrow + SIX_HOURS, 6 * 3600)


@pytest.mark.parametrize("chunks", [0, 1, 3])
@pytest.mark.parametrize("validity", [SIX_HOURS, None])
def test_parts_of_a_refused_request_stay_behind_and_go_by_the_new_start(
    session: Session,
    lane: MadeLane,
    engine: Engine,
    tomorrow: datetime,
    fresh_settings: Settings,
    chunks: int,
    validity: timedelta | None,
) -> None:
    """One half waits for the other; or they are refused only then."""
    ids = make_batch(session, lane, TEN)
    refused, asked = took(session, lane, 2), took(session, lane, 2)
    steered(session, steering.reschedule, ids[0], tomorrow, validity)
    for _ in range(chunks):
        moving.give_turns(engine)
    assert answers.release_barred(session, asked, fresh_settings) == {sent.message_id for sent in asked.messages}
    session.commit()
    assert fail_with(session, refused, RequestRefused("HTTP 400")) == []
    swept(engine)
    assert states(session, ids) == ["queued"] * 10
    assert turns(session, ids) == [tomorrow] * 10
    assert {message(session, message_id).expires_at for message_id in ids} == {batch_of(session, ids[0]).expires_at}


def test_parts_of_a_refused_request_stay_behind_while_their_batch_is_given_turns_anew(
    session: Session, lane: MadeLane, engine: Engine, tomorrow: datetime, fresh_settings: Settings
) -> None:
    """As a resume at a pace does, which changes no end."""
    ids = make_batch(session, lane, TEN, pace=3, validity=2 * SIX_HOURS)
    change(session, "UPDATE message SET next_attempt_at = now()")
    submission = took(session, lane, 2)
    moving.begin(session, batch_of(session, ids[0]).id, tomorrow)
    session.commit()
    assert len(answers.release_barred(session, submission, fresh_settings)) == 2
    session.commit()
    swept(engine)
    assert turns(session, ids) == at_pace(tomorrow, 3, 10)


def test_parts_of_a_refused_request_go_on_where_infobip_may_have_them_or_their_batch_has_no_other_start(
    session: Session, lane: MadeLane, engine: Engine, tomorrow: datetime, fresh_settings: Settings
) -> None:
    tried = make_batch(session, lane, TEN[:2])
    answer(session, took(session, lane), {message_id: verdict(9, 2, 27, None) for message_id in tried})
    assert states(session, tried) == ["retrying"] * 2
    retries_due(session)
    other = make_batch(session, lane, TEN[4:6], pace=100)
    (single,) = make_batch(session, lane, TEN[6:7])
    change(session, "UPDATE message SET next_attempt_at = now() WHERE state = 'queued'")
    doubted_batch = make_batch(session, lane, TEN[7:9])
    submission = took(session, lane)
    assert len(submission.messages) == 7
    change(session, "UPDATE attempt SET doubted_at = now() WHERE message_id = ANY(:ids)", ids=doubted_batch)
    for batch in (tried, doubted_batch):
        change(
            session,
            "UPDATE batch SET move_to = :start, send_at = :start WHERE id = :id",
            start=tomorrow,
            id=batch_of(session, batch[0]).id,
        )
    assert answers.release_barred(session, submission, fresh_settings) == set()
    session.commit()
    parts = fail_with(session, submission, RequestRefused("HTTP 400"))
    left = {sent.message_id for part in parts for sent in part.messages}
    assert left == {*tried, *other, single, *doubted_batch}


@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_what_comes_back_never_sent_goes_by_the_new_start_also_where_the_end_stays(
    session: Session, lane: MadeLane, engine: Engine, chunks: int
) -> None:
    ids = make_batch(session, lane, TEN, validity=2 * HOUR)
    submission = took(session, lane, 3)
    start = batch_of(session, ids[0]).created_at + HOUR
    steered(session, steering.reschedule, ids[0], start, HOUR)
    for _ in range(chunks):
        moving.give_turns(engine)
    fail_with(session, submission, NotSent("no connection"))
    swept(engine)
    assert turns(session, ids) == [start] * 10
    for message_id in ids:
        row = message(session, message_id)
        assert (row.expires_at, row.validity_seconds) == (start + HOUR, 3600)


def test_who_gives_another_start_waits_for_what_is_just_coming_back(
    session: Session, lane: MadeLane, engine: Engine, tomorrow: datetime, fresh_settings: Settings
) -> None:
    """Else the sweep would go past it, and it would leave by the old start."""
    ids = make_batch(session, lane, TEN)
    submission = took(session, lane, 3)
    with Session(engine) as writer, Session(engine) as operator:
        answers.record_unsent(writer, submission, fresh_settings)
        verb = threading.Thread(target=steered, args=(operator, steering.reschedule, ids[0], tomorrow, None))
        verb.start()
        wait_until_blocking(writer)
        writer.commit()
        verb.join()
    swept(engine)
    assert turns(session, ids) == [tomorrow] * 10


@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_a_paused_batch_moves_and_stays_paused(
    session: Session, lane: MadeLane, engine: Engine, tomorrow: datetime, chunks: int
) -> None:
    ids = make_batch(session, lane, TEN)
    steered(session, steering.pause, ids[0])
    for _ in range(chunks):
        moving.give_turns(engine)
    steered(session, steering.reschedule, ids[0], tomorrow, None)
    swept(engine)
    assert batch_of(session, ids[0]).paused_at is not None
    assert all(message(session, message_id).held for message_id in ids)
    steered(session, steering.resume, ids[0])
    swept(engine)
    assert not any(message(session, message_id).held for message_id in ids)
    assert turns(session, ids) == [tomorrow] * 10


def test_two_processes_move_a_batch_together_and_count_each_message_once(
    session: Session, lane: MadeLane, engine: Engine, tomorrow: datetime
) -> None:
    ids = make_batch(session, lane, TEN, pace=3)
    steered(session, steering.reschedule, ids[0], tomorrow, None)
    at_once(lambda: swept(engine), lambda: swept(engine))
    assert turns(session, ids) == at_pace(tomorrow, 3, 10)


# A batch with a pace that goes on after a pause.


def test_resumed_at_a_pace_the_turns_that_went_by_are_given_anew(
    session: Session, lane: MadeLane, engine: Engine
) -> None:
    ids = make_batch(session, lane, TEN, pace=2, validity=SIX_HOURS)
    change(session, "UPDATE message SET next_attempt_at = next_attempt_at - interval '1 hour'")
    ends = message(session, ids[0]).expires_at
    steered(session, steering.pause, ids[0])
    swept(engine)
    start = steered(session, steering.resume, ids[0]).move_to
    assert start is not None
    assert start > database_now(session)  # the sweep is done by then, and none of them late
    swept(engine)
    assert turns(session, ids) == at_pace(start, 2, 10)
    assert {message(session, message_id).expires_at for message_id in ids} == {ends}
    assert not any(message(session, message_id).held for message_id in ids)


def test_resumed_before_its_start_a_batch_with_a_pace_keeps_it(
    session: Session, lane: MadeLane, engine: Engine, tomorrow: datetime
) -> None:
    ids = make_batch(session, lane, TEN, pace=2)
    steered(session, steering.pause, ids[0])
    steered(session, steering.reschedule, ids[0], tomorrow, None)
    for chunks in (0, 1, 2, 9):  # before, amid and after the move
        for _ in range(chunks):
            moving.give_turns(engine)
        steered(session, steering.pause, ids[0])
        steered(session, steering.resume, ids[0])
    swept(engine)
    assert turns(session, ids) == at_pace(tomorrow, 2, 10)


def test_resumed_while_it_was_not_paused_nothing_moves(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, TEN, pace=2)
    assert steered(session, steering.resume, ids[0]).move_to is None


def test_a_start_that_is_near_leaves_a_batch_with_a_pace_the_time_to_be_moved(
    session: Session, lane: MadeLane, engine: Engine
) -> None:
    ids = make_batch(session, lane, TEN, pace=2)
    at = database_now(session)
    batch = steered(session, steering.reschedule, ids[0], at - HOUR, None)
    assert batch.send_at is not None
    assert batch.move_to is not None
    start = batch.move_to
    assert at - HOUR < batch.send_at < start
    swept(engine)
    assert turns(session, ids) == at_pace(start, 2, 10)


# With a sending window


@pytest.fixture
def minute(session: Session) -> datetime:
    """The one that has begun."""
    return database_now(session).replace(second=0, microsecond=0)


def test_a_rescheduled_batch_waits_for_its_window_after_the_new_start(
    session: Session, lane: MadeLane, engine: Engine, minute: datetime
) -> None:
    window = make_window(minute, 2 * HOUR, 4 * HOUR)
    opens = minute + 26 * HOUR
    ids = make_batch(session, lane, TEN, validity=SIX_HOURS, window=window)
    steered(session, steering.reschedule, ids[0], minute + 23 * HOUR, None)
    assert swept(engine) == 3
    assert {turn_of(session, message_id) for message_id in ids} == {(opens, opens + 2 * HOUR)}
    assert message(session, ids[9]).expires_at == minute + 29 * HOUR


def test_a_rescheduled_batch_starts_within_its_window_where_that_is_open(
    session: Session, lane: MadeLane, engine: Engine, minute: datetime
) -> None:
    window = make_window(minute, 2 * HOUR, 4 * HOUR)
    start = minute + 27 * HOUR
    ids = make_batch(session, lane, TEN, validity=SIX_HOURS, window=window)
    steered(session, steering.reschedule, ids[0], start, None)
    swept(engine)
    assert {turn_of(session, message_id) for message_id in ids} == {(start, minute + 28 * HOUR)}


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_at_a_pace_turns_count_open_time_from_the_new_start_however_often_it_is_given_another(
    session: Session, lane: MadeLane, engine: Engine, minute: datetime, chunks: int
) -> None:
    """So many a second that the seventh finds the window closed, and has its turn when that opens again."""
    window = make_window(minute, 2 * HOUR, 4 * HOUR)
    ids = make_batch(session, lane, TEN, validity=timedelta(hours=47), window=window, pace=1)
    steered(session, steering.reschedule, ids[0], minute + 3 * HOUR, None)
    for _ in range(chunks):
        moving.give_turns(engine)
    closes = minute + 28 * HOUR
    start = closes - timedelta(seconds=6)
    steered(session, steering.reschedule, ids[0], start, None)
    swept(engine)
    opens = closes + 22 * HOUR
    assert turns(session, ids) == [*at_pace(start, 1, 6), *at_pace(opens, 1, 4)]


def test_a_rescheduled_batch_whose_window_opens_too_late_ends_and_does_not_leave_at_once(
    session: Session, lane: MadeLane, engine: Engine, minute: datetime
) -> None:
    ids = make_batch(session, lane, TEN, window=make_window(minute, -HOUR, HOUR))
    steered(session, steering.reschedule, ids[0], minute + 2 * HOUR, None)
    swept(engine)
    assert take(session, lane) is None
    missed_windows.postpone(session, ids)
    session.commit()
    assert {(row.state, row.reason) for row in (message(session, message_id) for message_id in ids)} == {
        ("expired", "window_closed")
    }


def test_what_comes_back_never_sent_asks_its_window_at_the_new_start(
    session: Session, lane: MadeLane, engine: Engine, minute: datetime
) -> None:
    ids = make_batch(session, lane, TEN, window=make_window(minute, -HOUR, HOUR))
    submission = took(session, lane, 3)
    start = minute + 23 * HOUR
    steered(session, steering.reschedule, ids[0], start, SIX_HOURS)
    swept(engine)
    fail_with(session, submission, NotSent("no connection"))
    back = [sent.message_id for sent in submission.messages]
    assert {turn_of(session, message_id) for message_id in back} == {(start, start)}
