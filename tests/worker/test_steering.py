"""What each verb makes of a batch, and where none may be said."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlmodel import Session

from tests.factories import MadeLane, make_batch, make_window
from tests.worker.steps import answer, apply, batch_of, next_opening, report, steered, took
from worker import pace, steering
from worker.db import database_now
from worker.models import Batch
from worker.refusals import Conflict, NotFound, Refusal

TWO = ["919900000001", "919900000002"]
DAY = timedelta(days=1)

Verb = Callable[[Session, object], Batch]


def rescheduled(session: Session, batch_id: object) -> Batch:
    return steering.reschedule(session, batch_id, database_now(session) + DAY, None)  # type: ignore[arg-type]


VERBS = [steering.pause, steering.resume, steering.cancel, rescheduled]


@pytest.mark.parametrize("verb", VERBS)
def test_a_batch_that_is_not_there_is_not_found(session: Session, lane: MadeLane, verb: Verb) -> None:
    with pytest.raises(NotFound):
        verb(session, uuid4())


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb is not steering.cancel])
@pytest.mark.parametrize("before", [None, steering.pause, rescheduled])
def test_cancelled_is_final(session: Session, lane: MadeLane, verb: Verb, before: Verb | None) -> None:
    ids = make_batch(session, lane, TWO)
    if before is not None:
        steered(session, before, ids[0])
    cancelled = steered(session, steering.cancel, ids[0])
    at = cancelled.cancelled_at
    assert at is not None
    assert (cancelled.paused_at, cancelled.pause_reason, cancelled.move_to) == (None, None, None)
    with pytest.raises(Conflict, match="that is final: send its messages in a new one"):
        verb(session, cancelled.id)
    session.rollback()
    again = steered(session, steering.cancel, ids[0])
    assert again.cancelled_at == at
    assert again.paused_at is None
    assert again.move_to is None


def test_a_batch_that_is_done_is_not_cancelled(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, TWO)
    answer(session, took(session, lane))
    apply(session, lane, *map(report, ids))
    assert steered(session, steering.cancel, ids[0]).cancelled_at is None


@pytest.mark.parametrize(
    ("reports", "words"), [(2, "have ended: replay it, or send them in a new one"), (1, "keep their turns")]
)
def test_what_was_handed_to_infobip_is_not_rescheduled(
    session: Session, lane: MadeLane, reports: int, words: str
) -> None:
    ids = make_batch(session, lane, TWO)
    answer(session, took(session, lane))
    apply(session, lane, *map(report, ids[:reports]))
    with pytest.raises(Conflict, match=words):
        rescheduled(session, batch_of(session, ids[0]).id)


@pytest.mark.parametrize(
    ("ahead", "validity", "field"),
    [
        (180 * DAY + timedelta(minutes=1), None, "send_at: lies more than 180 days ahead"),
        (DAY, timedelta(seconds=9), "validity_period: must be whole seconds from PT10S to PT48H"),
        (DAY, timedelta(hours=49), "validity_period: must be whole seconds from PT10S to PT48H"),
    ],
)
def test_a_start_or_an_end_that_cannot_be_is_refused_and_nothing_changes(
    session: Session, lane: MadeLane, ahead: timedelta, validity: timedelta | None, field: str
) -> None:
    ids = make_batch(session, lane, TWO)
    batch = batch_of(session, ids[0])
    before = (batch.send_at, batch.expires_at, batch.validity_seconds, batch.move_to)
    with pytest.raises(Refusal, match=field):
        steering.reschedule(session, batch.id, database_now(session) + ahead, validity)
    session.rollback()
    batch = batch_of(session, ids[0])
    assert (batch.send_at, batch.expires_at, batch.validity_seconds, batch.move_to) == before


@pytest.mark.parametrize(("validity", "is_enough"), [(timedelta(seconds=10), False), (timedelta(seconds=20), True)])
def test_a_validity_that_the_pace_does_not_fit_into_is_refused(
    session: Session, lane: MadeLane, validity: timedelta, is_enough: bool
) -> None:
    ids = make_batch(session, lane, [f"9199000000{n:02d}" for n in range(10)], pace=1)
    if is_enough:
        assert steered(session, steering.reschedule, ids[0], database_now(session) + DAY, validity).move_to is not None
        return
    words = "validity_period: at the batch's 1 messages a second 6 have their turns within PT10S, and 10 wait"
    with pytest.raises(Refusal, match=words):
        steered(session, steering.reschedule, ids[0], database_now(session) + DAY, validity)


def test_a_validity_in_which_the_window_is_open_for_too_short_a_time_is_refused(
    session: Session, lane: MadeLane
) -> None:
    window = make_window(database_now(session), timedelta(hours=2), timedelta(hours=3))
    ids = make_batch(session, lane, [f"9199000000{n:02d}" for n in range(10)], pace=1, window=window, validity=DAY)
    closes = next_opening(session, window) + timedelta(hours=1)
    with pytest.raises(Refusal, match="5 have their turns within PT6H, and 10 wait"):
        steered(session, steering.reschedule, ids[0], closes - timedelta(seconds=5), timedelta(hours=6))
    session.rollback()
    assert steered(session, steering.reschedule, ids[0], closes - timedelta(seconds=5), DAY).move_to is not None


def test_a_start_in_the_past_is_now(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, TWO)
    before = database_now(session)
    batch = steered(session, steering.reschedule, ids[0], before - DAY, timedelta(hours=2))
    assert batch.send_at is not None
    assert batch.send_at <= database_now(session)
    assert batch.send_at > before - timedelta(minutes=1)
    assert batch.expires_at == batch.send_at + timedelta(hours=2)
    assert batch.validity_seconds == 7200
    assert batch.move_to == batch.send_at


@pytest.mark.parametrize(("per_second", "seconds"), [(None, 2), (5, 3)])
def test_what_takes_long_to_be_moved_has_its_validity_from_when_it_is(
    session: Session, lane: MadeLane, monkeypatch: pytest.MonkeyPatch, per_second: int | None, seconds: int
) -> None:
    """At a pace, the second until a sweep begins counts as well, and the turns begin no sooner."""
    monkeypatch.setattr(pace, "WRITTEN_A_SECOND", 1)
    ids = make_batch(session, lane, TWO, pace=per_second)
    batch = steered(session, steering.reschedule, ids[0], database_now(session), timedelta(hours=2))
    assert batch.send_at is not None
    moved = batch.send_at + timedelta(seconds=seconds)
    assert batch.expires_at == moved + timedelta(hours=2)
    assert batch.move_to == (moved if per_second else batch.send_at)


def test_paused_again_a_batch_keeps_when_and_why(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, TWO)
    first = steered(session, steering.pause, ids[0]).paused_at
    assert steered(session, steering.pause, ids[0]).paused_at == first
    resumed = steered(session, steering.resume, ids[0])
    assert (resumed.paused_at, resumed.pause_reason, resumed.move_to) == (None, None, None)
