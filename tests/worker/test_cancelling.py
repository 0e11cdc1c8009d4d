"""Cancelled batches: nothing leaves any more, and all that waits ends, told and counted, whatever else happens."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch
from tests.worker.steps import (
    answer,
    apply,
    assert_tally_is_exact,
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
)
from worker import batch_sweeps, endings, fates, setting_aside, steering
from worker.cancelling import clear
from worker.db import database_now
from worker.errors import NotSent
from worker.infobip.statuses import verdict
from worker.locking import lock
from worker.models import Event
from worker.settings import settings
from worker.transitions import Transitions

TEN = [f"9199000000{n:02d}" for n in range(10)]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_sweeps, "CHUNK", 4)


def told(session: Session) -> list[tuple[UUID, str, str | None, int | None]]:
    session.expire_all()
    events = session.exec(select(Event).order_by(Event.id))  # type: ignore[arg-type]
    return [(event.subject_id, event.type, event.reason, event.attempt) for event in events]


def test_what_waits_ends_told_and_counted_and_nothing_else_is_touched(
    session: Session, lane: MadeLane, engine: Engine
) -> None:
    ids = make_batch(session, lane, TEN)
    (other,) = make_batch(session, lane, ["919900000099"], due_in=timedelta(minutes=1))
    answer(session, took(session, lane, 3))
    apply(session, lane, report(ids[0]))
    apply(session, lane, report(ids[1], status=9, group=2, error=27))
    before = told(session)
    steered(session, steering.cancel, ids[0])
    assert swept(engine) == 3
    ended = [ids[1], *ids[3:]]
    assert states(session, [*ids, other]) == ["delivered", "cancelled", "sent", *["cancelled"] * 7, "queued"]
    assert told(session) == [
        *before,
        *[(id_, "message.cancelled", "batch_cancelled", int(id_ == ids[1])) for id_ in ended],
    ]
    for id_ in ended:
        row = message(session, id_)
        assert (row.reason, row.next_attempt_at, row.held) == ("batch_cancelled", None, False)
        assert row.finished_at is not None
    batch = batch_of(session, ids[0])
    assert (batch.is_cleared, batch.swept_through, batch.held_through) == (True, None, None)
    assert_tally_is_exact(session, lane)
    assert clear(engine) == 0


def test_from_the_cancel_on_nothing_leaves_and_another_batch_does(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, TEN)
    others = make_batch(session, lane, ["919900000099"])
    steered(session, steering.cancel, ids[0])
    assert [sent.message_id for sent in took(session, lane).messages] == others
    assert states(session, ids) == ["queued"] * 10  # those the sweep ends, and no claim on its way to others


@pytest.mark.parametrize("held_chunks", [0, 1, 3])
@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_batch_that_was_paused_is_cleared_from_wherever_its_sweep_stood(
    session: Session, lane: MadeLane, engine: Engine, held_chunks: int, is_resumed: bool
) -> None:
    ids = make_batch(session, lane, TEN)
    steered(session, steering.pause, ids[0])
    for _ in range(held_chunks):
        setting_aside.hold_and_free(engine)
    if is_resumed:
        steered(session, steering.resume, ids[0])
    steered(session, steering.cancel, ids[0])
    assert setting_aside.hold_and_free(engine) == 0
    swept(engine)
    assert states(session, ids) == ["cancelled"] * 10
    assert session.execute(text("SELECT count(*) FROM message WHERE held")).scalar_one() == 0
    assert batch_of(session, ids[0]).held_through is None


@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_what_comes_back_undelivered_behind_the_sweep_ends_cancelled(
    session: Session, lane: MadeLane, engine: Engine, chunks: int
) -> None:
    ids = make_batch(session, lane, TEN)
    answer(session, took(session, lane, 2))
    released = took(session, lane, 2)
    steered(session, steering.cancel, ids[0])
    for _ in range(chunks):
        clear(engine)
    apply(session, lane, report(ids[0], status=9, group=2, error=27), report(ids[1]))
    fail_with(session, released, NotSent("no connection"))
    swept(engine)
    assert states(session, ids) == ["cancelled", "delivered", *["cancelled"] * 8]
    assert len(told(session)) == len({*told(session)})
    assert_tally_is_exact(session, lane)


def slipped(session: Session, lane: MadeLane, engine: Engine) -> UUID:
    """A message that waits behind the sweep: who brought it back had read its batch before the cancel."""
    (message_id,) = make_batch(session, lane, ["919900000001"])
    took(session, lane)
    batch = batch_of(session, message_id).id
    session.commit()
    with Session(engine) as late, Session(engine) as operator:
        (read,) = lock(late, [message_id]).values()
        steering.cancel(operator, batch)
        operator.commit()
        assert clear(engine) == 1
        transitions = Transitions(late, database_now(late))
        fates.fail(transitions, read, verdict(9, 2, 27, False), settings())
        transitions.write()
        late.commit()
    assert states(session, [message_id]) == ["retrying"]
    return message_id


def test_what_slips_behind_the_sweep_ends_in_the_claim(session: Session, lane: MadeLane, engine: Engine) -> None:
    message_id = slipped(session, lane, engine)
    retries_due(session)
    assert take(session, lane) is None
    assert states(session, [message_id]) == ["cancelled"]
    assert_tally_is_exact(session, lane)


def test_what_slips_behind_the_sweep_ends_with_its_validity(session: Session, lane: MadeLane, engine: Engine) -> None:
    message_id = slipped(session, lane, engine)
    change(session, "UPDATE message SET expires_at = now()")
    endings.expire(engine)
    assert states(session, [message_id]) == ["cancelled"]
    assert_tally_is_exact(session, lane)


def test_two_processes_clear_a_batch_together_and_end_each_message_once(
    session: Session, lane: MadeLane, engine: Engine
) -> None:
    ids = make_batch(session, lane, TEN)
    steered(session, steering.cancel, ids[0])
    at_once(lambda: swept(engine), lambda: swept(engine))
    assert states(session, ids) == ["cancelled"] * 10
    assert sorted(id_ for id_, *_ in told(session)) == sorted(ids)
    assert_tally_is_exact(session, lane)
