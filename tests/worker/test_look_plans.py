"""Looks that were taken, and are given back."""

from datetime import UTC, datetime, timedelta

from sqlmodel import Session

from tests.factories import MadeLane, make_batch
from tests.worker.steps import attempt, change, doubted, looks_due
from worker import look_plans


def test_a_look_that_is_postponed_moves_only_the_attempt_that_was_to_be_asked_about(
    session: Session, lane: MadeLane
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    doubted(session, lane)
    looks_due(session)
    (look,) = look_plans.take(session, timedelta(seconds=60))
    session.commit()
    # The message has gone on meanwhile: its next attempt is to be asked about in an hour.
    change(
        session,
        "INSERT INTO attempt (message_id, number, submission_id, started_at, outcome, looks, look_at)"
        " VALUES (:id, 2, gen_random_uuid(), now(), 'accepted', 0, now() + interval '1 hour')",
        id=message_id,
    )
    look_plans.postpone(session, look, timedelta(seconds=3))
    session.commit()
    now = datetime.now(UTC)
    first, second = attempt(session, message_id, 1).look_at, attempt(session, message_id, 2).look_at
    assert first is not None
    assert second is not None
    assert first - now < timedelta(seconds=30)
    assert second - now > timedelta(minutes=30)
