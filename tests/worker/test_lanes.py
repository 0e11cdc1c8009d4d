"""Lanes: which of them have something to send."""

from sqlmodel import Session

from tests.factories import MadeLane, make_batch
from tests.worker.steps import absent, doubted
from worker import lanes
from worker.lookups import Lookups
from worker.words import MessageType


def test_a_lane_with_nothing_but_absent_attempts_is_due(
    session: Session, sandbox_lane: MadeLane, lookups: Lookups
) -> None:
    make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane)
    assert lanes.due_lanes(session, MessageType.TRANSACTIONAL) == []
    absent(session, lookups)
    assert lanes.due_lanes(session, MessageType.TRANSACTIONAL) == [sandbox_lane.id]
