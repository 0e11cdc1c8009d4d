"""Paused batches: nothing leaves, their messages are set aside in chunks, and come back as they were."""

import threading

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from tests.factories import MadeLane, make_batch
from tests.worker.steps import batch_of, change, fail_with, steered, swept, took, wait_until_blocking
from worker import answers, batch_sweeps, setting_aside, steering
from worker.errors import NotSent
from worker.infobip.answers import Answer
from worker.infobip.statuses import verdict
from worker.setting_aside import hold_and_free
from worker.settings import Settings

TEN = [f"9199000000{n:02d}" for n in range(10)]
SYSTEM_ERROR = verdict(9, 2, 27, False)  # for now


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_sweeps, "CHUNK", 4)


def held(session: Session) -> int:
    session.commit()
    count: int = session.execute(text("SELECT count(*) FROM message WHERE held")).scalar_one()
    return count


def claimed(session: Session, lane: MadeLane) -> int:
    return len(took(session, lane).messages)


def test_a_paused_batch_stops_at_once_and_another_goes_on(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, TEN)
    make_batch(session, lane, ["919900000099"])
    steered(session, steering.pause, ids[0])
    assert claimed(session, lane) == 1


def test_messages_of_a_paused_batch_are_set_aside_and_come_back_as_they_were(
    session: Session, lane: MadeLane, engine: Engine
) -> None:
    ids = make_batch(session, lane, TEN)
    make_batch(session, lane, ["919900000099"])
    turns = session.execute(text("SELECT id, next_attempt_at FROM message ORDER BY id")).all()
    steered(session, steering.pause, ids[0])
    assert swept(engine) == 3
    assert held(session) == 10
    steered(session, steering.resume, ids[0])
    assert swept(engine) == 3
    assert held(session) == 0
    assert session.execute(text("SELECT id, next_attempt_at FROM message ORDER BY id")).all() == turns
    assert claimed(session, lane) == 11


@pytest.mark.parametrize("chunks_before", [0, 1, 2, 3])
@pytest.mark.parametrize("chunks_after", [0, 1, 2, 3])
def test_turned_round_half_way_nothing_stays_aside(
    session: Session, lane: MadeLane, engine: Engine, chunks_before: int, chunks_after: int
) -> None:
    ids = make_batch(session, lane, TEN)
    for chunks in (chunks_before, chunks_after):
        steered(session, steering.pause, ids[0])
        for _ in range(chunks):
            hold_and_free(engine)
        steered(session, steering.resume, ids[0])
        for _ in range(chunks // 2):
            hold_and_free(engine)
    swept(engine)
    assert held(session) == 0
    assert claimed(session, lane) == 10


def test_paused_again_half_way_down_all_are_aside_again(session: Session, lane: MadeLane, engine: Engine) -> None:
    ids = make_batch(session, lane, TEN)
    steered(session, steering.pause, ids[0])
    swept(engine)
    steered(session, steering.resume, ids[0])
    hold_and_free(engine)
    assert 0 < held(session) < 10
    steered(session, steering.pause, ids[0])
    swept(engine)
    assert held(session) == 10


@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_what_comes_back_from_infobip_behind_the_sweep_is_set_aside_too(
    session: Session, lane: MadeLane, engine: Engine, chunks: int
) -> None:
    ids = make_batch(session, lane, TEN)
    submission = took(session, lane, 3)
    steered(session, steering.pause, ids[0])
    for _ in range(chunks):
        hold_and_free(engine)
    fail_with(session, submission, NotSent("no connection"))
    swept(engine)
    assert held(session) == 10
    steered(session, steering.resume, ids[0])
    swept(engine)
    assert held(session) == 0
    assert claimed(session, lane) == 10


def test_who_lets_it_go_on_waits_for_what_is_just_coming_back(
    session: Session, lane: MadeLane, engine: Engine, fresh_settings: Settings
) -> None:
    """Else the sweep that puts back what is aside would go past it, and it would stay there."""
    ids = make_batch(session, lane, TEN)
    submission = took(session, lane, 3)
    steered(session, steering.pause, ids[0])
    swept(engine)
    with Session(engine) as writer, Session(engine) as operator:
        failures = {sent.wire_id: SYSTEM_ERROR for sent in submission.messages}
        answers.record_answer(writer, submission, Answer(failures, {}), fresh_settings)
        verb = threading.Thread(target=steered, args=(operator, steering.resume, ids[0]))
        verb.start()
        wait_until_blocking(writer)
        writer.commit()
        verb.join()
    assert held(session) == 10
    swept(engine)
    assert held(session) == 0


def test_a_batch_that_stands_as_it_should_costs_nothing(session: Session, lane: MadeLane, engine: Engine) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    assert hold_and_free(engine) == 0
    steered(session, steering.pause, ids[0])
    swept(engine)
    assert hold_and_free(engine) == 0


def test_refusals_in_a_row_do_not_pause_a_cancelled_batch(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    change(session, "UPDATE batch SET cancelled_at = now()")
    assert not setting_aside.stop(session, batch_of(session, ids[0]).id, "Infobip refused 20")
    assert batch_of(session, ids[0]).paused_at is None
