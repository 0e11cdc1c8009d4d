"""Messages are read under their locks as they stand, field by field."""

from dataclasses import fields

from sqlmodel import Session

from tests.factories import MadeLane, make_batch
from tests.worker.steps import took
from worker.locking import _FIELDS, LockedMessage, lock
from worker.states import State


def test_each_field_is_read_into_its_own_place() -> None:
    assert [field.name for field in fields(LockedMessage)] == list(_FIELDS)


def test_claimed_message_stands_with_its_open_attempt(session: Session, lane: MadeLane) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    submission = took(session, lane)
    found = lock(session, [message_id])[message_id]
    assert (found.id, found.lane_id, found.credential_id) == (message_id, lane.id, lane.credential_id)
    assert (found.state, found.number, found.slots, found.callback_data) == (State.SENDING, 1, 0, "order-5512")
    assert (found.barred, found.may_leave, found.is_paused, found.is_lane_open) == (None, True, False, True)
    assert (found.submission_id, found.attempt_outcome, found.doubted_at, found.looks) == (submission.id, None, None, 0)
