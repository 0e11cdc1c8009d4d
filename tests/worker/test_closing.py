"""Closing batches: those that are over are marked, once and for good, and no other."""

from uuid import UUID

from sqlalchemy import Engine
from sqlmodel import Session

from tests.factories import MadeLane, make_batch
from tests.worker.steps import answer, apply, batch_of, report, steered, swept, took
from worker import steering
from worker.closing import close
from worker.db import transact

ANNA, BERT = "919900000001", "919900000002"
FAILED = {"status": 9, "group": 2, "error": 1}


def closed(session: Session, engine: Engine) -> int:
    session.rollback()
    return transact(engine, close)


def test_batch_is_closed_once_all_of_it_has_ended(session: Session, engine: Engine, lane: MadeLane) -> None:
    first, second = make_batch(session, lane, [ANNA, BERT])
    assert closed(session, engine) == 0
    answer(session, took(session, lane))
    apply(session, lane, report(first))
    assert closed(session, engine) == 0
    apply(session, lane, report(second, **FAILED))
    assert closed(session, engine) == 1
    assert batch_of(session, first).is_over
    assert closed(session, engine) == 0
    apply(session, lane, report(second))  # late, it was delivered after all
    assert batch_of(session, second).is_over


def test_cancelled_batch_is_closed_once_what_was_on_its_way_has_ended(
    session: Session, engine: Engine, lane: MadeLane
) -> None:
    (under_way, *_) = ids = make_batch(session, lane, [ANNA, BERT])
    submission = took(session, lane, 1)
    steered(session, steering.cancel, under_way)
    swept(engine)
    assert closed(session, engine) == 0
    answer(session, submission)
    apply(session, lane, *(report(message_id) for message_id in ids))
    assert closed(session, engine) == 1


def test_one_step_is_bounded(session: Session, engine: Engine, lane: MadeLane) -> None:
    ids: list[UUID] = [make_batch(session, lane, [ANNA])[0] for _ in range(3)]
    answer(session, took(session, lane))
    apply(session, lane, *map(report, ids))
    assert [transact(engine, lambda session: close(session, 2)) for _ in range(3)] == [2, 1, 0]


def test_batch_whose_row_somebody_holds_waits_for_nobody(session: Session, engine: Engine, lane: MadeLane) -> None:
    ids = [make_batch(session, lane, [ANNA])[0] for _ in range(2)]
    answer(session, took(session, lane))
    apply(session, lane, *map(report, ids))
    steering.pause(session, batch_of(session, ids[0]).id)
    assert transact(engine, close) == 1
    session.commit()
    assert transact(engine, close) == 1
