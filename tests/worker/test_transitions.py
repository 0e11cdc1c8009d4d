"""What becomes of locked messages is one statement, and the tally is the last that it touches."""

from sqlalchemy import text
from sqlmodel import Session

from tests.factories import MadeLane, make_batch
from tests.worker.steps import took
from worker.db import database_now
from worker.locking import lock
from worker.states import State
from worker.transitions import Transitions
from worker.words import AttemptOutcome

WATCH = """
    CREATE TEMPORARY TABLE touched (at serial, what text);
    CREATE FUNCTION pg_temp.note() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO touched (what) VALUES (TG_TABLE_NAME); RETURN NEW; END';
    CREATE TRIGGER note BEFORE INSERT OR UPDATE ON message FOR EACH ROW EXECUTE FUNCTION pg_temp.note();
    CREATE TRIGGER note BEFORE INSERT OR UPDATE ON attempt FOR EACH ROW EXECUTE FUNCTION pg_temp.note();
    CREATE TRIGGER note BEFORE INSERT OR UPDATE ON tally FOR EACH ROW EXECUTE FUNCTION pg_temp.note();
"""


def _claimed(session: Session, lane: MadeLane, count: int) -> Transitions:
    make_batch(session, lane, [f"9198000000{n:02d}" for n in range(count)])
    submission = took(session, lane)
    transitions = Transitions(session, database_now(session))
    for message in lock(session, [sent.message_id for sent in submission.messages]).values():
        transitions.settle(message.id, message.number, AttemptOutcome.ACCEPTED)
        transitions.move(message, State.SENT)
    return transitions


def test_tally_is_locked_after_all_else(session: Session, lane: MadeLane) -> None:
    transitions = _claimed(session, lane, 3)
    session.connection().exec_driver_sql(WATCH)
    transitions.write()
    touched = session.execute(text("SELECT what FROM touched ORDER BY at")).scalars().all()
    session.rollback()
    assert sorted(touched[:6]) == ["attempt"] * 3 + ["message"] * 3
    assert set(touched[6:]) == {"tally"}
