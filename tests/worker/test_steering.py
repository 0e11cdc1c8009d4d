"""Paused batches: nothing leaves, their messages are set aside in chunks, and come back as they were."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from tests.factories import MadeLane, make_batch
from tests.worker.steps import change, fail_with, message, took
from worker import steering
from worker.errors import NotSent
from worker.refusals import Conflict, NotFound


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steering, "CHUNK", 4)


def batch_of(session: Session, message_id: UUID) -> UUID:
    found = message(session, message_id).batch_id
    assert found is not None
    return found


def held(session: Session) -> int:
    session.commit()
    count: int = session.execute(text("SELECT count(*) FROM message WHERE held")).scalar_one()
    return count


def claimed(session: Session, lane: MadeLane) -> int:
    return len(took(session, lane).messages)


def sweep(engine: Engine) -> int:
    """Chunks until nothing is left to do."""
    chunks = 0
    while steering.hold_and_free(engine):
        chunks += 1
    return chunks


def test_a_paused_batch_stops_at_once_and_another_goes_on(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, [f"9199000000{n:02d}" for n in range(10)])
    make_batch(session, lane, ["919900000099"])
    steering.pause(session, batch_of(session, ids[0]))
    session.commit()
    assert claimed(session, lane) == 1


def test_messages_of_a_paused_batch_are_set_aside_and_come_back_as_they_were(
    session: Session, lane: MadeLane, engine: Engine
) -> None:
    ids = make_batch(session, lane, [f"9199000000{n:02d}" for n in range(10)])
    make_batch(session, lane, ["919900000099"])
    batch = batch_of(session, ids[0])
    turns = session.execute(text("SELECT id, next_attempt_at FROM message ORDER BY id")).all()
    steering.pause(session, batch)
    session.commit()
    assert sweep(engine) == 3
    assert held(session) == 10
    steering.resume(session, batch)
    session.commit()
    assert sweep(engine) == 3
    assert held(session) == 0
    assert session.execute(text("SELECT id, next_attempt_at FROM message ORDER BY id")).all() == turns
    assert claimed(session, lane) == 11


@pytest.mark.parametrize("chunks_before", [0, 1, 2, 3])
@pytest.mark.parametrize("chunks_after", [0, 1, 2, 3])
def test_turned_round_half_way_nothing_stays_aside(
    session: Session, lane: MadeLane, engine: Engine, chunks_before: int, chunks_after: int
) -> None:
    ids = make_batch(session, lane, [f"9199000000{n:02d}" for n in range(10)])
    batch = batch_of(session, ids[0])
    for chunks in (chunks_before, chunks_after):
        steering.pause(session, batch)
        session.commit()
        for _ in range(chunks):
            steering.hold_and_free(engine)
        steering.resume(session, batch)
        session.commit()
        for _ in range(chunks // 2):
            steering.hold_and_free(engine)
    sweep(engine)
    assert held(session) == 0
    assert claimed(session, lane) == 10


@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_what_comes_back_from_infobip_behind_the_sweep_is_set_aside_too(
    session: Session, lane: MadeLane, engine: Engine, chunks: int
) -> None:
    ids = make_batch(session, lane, [f"9199000000{n:02d}" for n in range(10)])
    batch = batch_of(session, ids[0])
    submission = took(session, lane, 3)
    steering.pause(session, batch)
    session.commit()
    for _ in range(chunks):
        steering.hold_and_free(engine)
    fail_with(session, submission, NotSent("no connection"))
    sweep(engine)
    assert held(session) == 10
    steering.resume(session, batch)
    session.commit()
    sweep(engine)
    assert held(session) == 0
    assert claimed(session, lane) == 10


def test_a_batch_that_stands_as_it_should_costs_nothing(session: Session, lane: MadeLane, engine: Engine) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    assert steering.hold_and_free(engine) == 0
    steering.pause(session, batch_of(session, ids[0]))
    session.commit()
    sweep(engine)
    assert steering.hold_and_free(engine) == 0


@pytest.mark.parametrize("what", [steering.pause, steering.resume])
def test_a_cancelled_batch_is_final(session: Session, lane: MadeLane, what: Any) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    change(session, "UPDATE batch SET cancelled_at = now()")
    with pytest.raises(Conflict):
        what(session, batch_of(session, ids[0]))
    with pytest.raises(NotFound):
        what(session, uuid4())
