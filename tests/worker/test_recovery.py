"""Dead processes: their submissions are found by the lease, and what is in them is in doubt."""

import threading

from sqlalchemy import Engine, text
from sqlmodel import Session

from tests.factories import MadeLane, make_batch
from tests.worker.steps import answer, attempt, change, state, took, wait_until_blocking
from worker import recovery
from worker.models import Submission
from worker.settings import Settings

LEASE_IS_OVER = "UPDATE submission SET lease_until = now()"


def test_a_dead_process_leaves_doubt_behind_its_lease(
    session: Session, engine: Engine, lane: MadeLane, fresh_settings: Settings
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    submission = took(session, lane)
    assert recovery.abandon(engine, fresh_settings) == 0
    change(session, LEASE_IS_OVER)
    assert recovery.abandon(engine, fresh_settings) == 1
    assert attempt(session, message_id).outcome == "in doubt"
    assert session.get_one(Submission, submission.id).outcome == "abandoned"
    assert state(session, message_id) == "sending"


def test_a_late_answer_and_the_sweep_of_its_lease_do_not_deadlock(
    session: Session, engine: Engine, lane: MadeLane, fresh_settings: Settings
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    submission = took(session, lane)
    change(session, LEASE_IS_OVER)
    with Session(engine) as late:
        late.execute(text("SELECT FROM message WHERE id = :id FOR UPDATE"), {"id": message_id})
        sweeping = threading.Thread(target=recovery.abandon, args=(engine, fresh_settings))
        sweeping.start()
        wait_until_blocking(late)
        answer(late, submission)
    sweeping.join(10)
    assert (state(session, message_id), session.get_one(Submission, submission.id).outcome) == ("sent", "answered")
