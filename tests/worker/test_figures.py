"""Figures: what the database says of lanes and batches is what happened to their messages."""

import math
from collections.abc import Mapping
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, text
from sqlmodel import Session

from tests.factories import MadeLane, make_batch, make_lane
from tests.worker.steps import answer, apply, batch_of, change, doubted, report, took
from worker.figures import Figures, LaneFigures, read_figures
from worker.infobip.statuses import verdict
from worker.states import FINAL, State
from worker.words import HoldKind, MessageType

BAD_NUMBER = verdict(52, 5, None, None)
NUMBERS = [f"9199000{n:05}" for n in range(1000)]
LATELY = "UPDATE submission SET opened_at = opened_at - make_interval(secs => :seconds) WHERE id = :id"


def figures(session: Session) -> Figures:
    found = read_figures(session.connection())
    session.commit()
    return found


def of(session: Session, name: str = "account") -> LaneFigures:
    (found,) = [lane for lane in figures(session).lanes if lane.name.credential == name]
    return found


def standing(lane: LaneFigures) -> Mapping[str, int]:
    return {state.value: n for state in State if (n := lane.in_state(state))}


def ended(lane: LaneFigures) -> Mapping[str, int]:
    return {state.value: n for state in FINAL if (n := lane.ended_in(state))}


def single(session: Session, lane: MadeLane, recipients: list[str], validity: timedelta) -> None:
    """Messages without a batch."""
    ids = make_batch(session, lane, recipients, validity=validity)
    change(session, "UPDATE message SET batch_id = NULL WHERE id = ANY(:ids)", ids=ids)
    change(session, "DELETE FROM batch WHERE id NOT IN (SELECT batch_id FROM message WHERE batch_id IS NOT NULL)")


def test_a_lane_that_never_sent_stands_at_zero(session: Session, lane: MadeLane) -> None:
    found = of(session)
    assert (found.name, dict(found.counts), found.kind) == (("account", "sms", "transactional"), {}, None)
    assert (found.oldest_due_seconds, found.messages_per_second, found.drain_seconds, found.forecast_expiring) == (
        0,
        0,
        0,
        0,
    )


def test_messages_are_counted_by_state_and_by_how_they_ended(session: Session, lane: MadeLane) -> None:
    first, second, third, _ = make_batch(session, lane, NUMBERS[:4])
    answer(session, took(session, lane, 3), {third: BAD_NUMBER})
    apply(session, lane, report(first))
    found = of(session)
    assert standing(found) == {"queued": 1, "sent": 1, "delivered": 1, "failed": 1}
    assert ended(found) == {"delivered": 1, "failed": 1}
    assert found.counts[State.FAILED, "REJECTED_DESTINATION"] == 1
    apply(session, lane, report(second, status=9, group=5, error=1))
    assert ended(of(session)) == {"delivered": 1, "failed": 2}


def test_one_that_is_delivered_after_it_had_ended_counts_as_both_ends(session: Session, lane: MadeLane) -> None:
    (message_id,) = make_batch(session, lane, NUMBERS[:1])
    answer(session, took(session, lane))
    apply(session, lane, report(message_id, status=9, group=5, error=1))
    assert ended(of(session)) == {"failed": 1}
    apply(session, lane, report(message_id, done="12:00:02.000"))
    assert standing(of(session)) == {"delivered": 1}
    assert ended(of(session)) == {"delivered": 1, "failed": 1}  # a counter never falls


def test_an_end_and_the_delivery_after_it_count_as_both_though_one_push_tells_them(
    session: Session, lane: MadeLane
) -> None:
    (message_id,) = make_batch(session, lane, NUMBERS[:1])
    answer(session, took(session, lane))
    failed = report(message_id, status=9, group=5, error=1)
    apply(session, lane, failed, report(message_id, done="12:00:02.000"))
    assert ended(of(session)) == {"delivered": 1, "failed": 1}


def test_oldest_due_is_since_its_turn_and_what_is_not_due_waits_for_nothing(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, NUMBERS[:1], due_in=timedelta(minutes=10))
    assert of(session).oldest_due_seconds == 0
    make_batch(session, lane, NUMBERS[1:2], due_in=timedelta(seconds=-90))
    assert of(session).oldest_due_seconds == pytest.approx(90, abs=5)


def waiting_behind(session: Session, lane: MadeLane, count: int, validity: timedelta) -> None:
    """100 left in the last 10 s and no others before; `count` more have waited since."""
    make_batch(session, lane, NUMBERS[:100], due_in=timedelta(seconds=-10))
    submission = took(session, lane)
    answer(session, submission)
    make_batch(session, lane, NUMBERS[100 : 100 + count], due_in=timedelta(seconds=-10), validity=validity)
    change(session, LATELY, id=submission.id, seconds=3)


def test_the_rate_of_late_says_when_a_lane_is_empty_and_what_expires_before(session: Session, lane: MadeLane) -> None:
    waiting_behind(session, lane, 900, timedelta(seconds=60))
    found = of(session)
    assert found.messages_per_second == pytest.approx(10, abs=2)
    assert found.drain_seconds == pytest.approx(900 / found.messages_per_second)
    assert found.forecast_expiring == pytest.approx(900 - 60 * found.messages_per_second, abs=30)


def test_where_nothing_leaves_all_that_waits_expires(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, NUMBERS[:7], due_in=timedelta(seconds=-90))
    found = of(session)
    assert (found.drain_seconds, found.forecast_expiring) == (math.inf, 7)


def test_what_has_only_just_come_says_nothing_yet(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, NUMBERS[:7])
    found = of(session)
    assert (found.drain_seconds, found.forecast_expiring) == (0, 0)


@pytest.mark.parametrize("column", ["paused_at", "send_at"])
def test_batches_that_stand_or_are_to_come_are_no_queue(session: Session, lane: MadeLane, column: str) -> None:
    stands, *_ = make_batch(session, lane, NUMBERS[:7], due_in=timedelta(seconds=-90))
    make_batch(session, lane, NUMBERS[7:9], due_in=timedelta(seconds=-90))
    batch_id = batch_of(session, stands).id
    change(session, f"UPDATE batch SET {column} = now() + interval '1 h' WHERE id = :id", id=batch_id)
    assert of(session).forecast_expiring == 2
    state = "paused" if column == "paused_at" else "scheduled"
    assert figures(session).batches == {"running": 1, "paused": 0, "scheduled": 0} | {state: 1}


def test_single_sends_queue_by_what_they_have_left(session: Session, lane: MadeLane) -> None:
    waiting_behind(session, lane, 0, timedelta(hours=1))
    single(session, lane, NUMBERS[200:700], timedelta(hours=1))
    change(session, "UPDATE message SET next_attempt_at = now() - interval '10 s' WHERE state = 'queued'")
    assert of(session).forecast_expiring == 0
    change(session, "UPDATE message SET expires_at = now() + interval '10 s' WHERE state = 'queued'")
    found = of(session)
    assert found.forecast_expiring == pytest.approx(500 - 10 * found.messages_per_second, abs=10)


def test_validity_that_ends_soon_is_counted_of_batches_and_of_single_sends(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, NUMBERS[:5], validity=timedelta(minutes=30))
    single(session, lane, NUMBERS[5:7], timedelta(minutes=2))
    make_batch(session, lane, NUMBERS[7:8], validity=timedelta(hours=30))
    found = figures(session).expiring
    assert {within: found.get(("sms", "transactional", within), 0) for within in ("5m", "1h", "6h", "24h")} == {
        "5m": 2,
        "1h": 7,
        "6h": 7,
        "24h": 7,
    }


def test_what_is_in_doubt_is_told_apart_from_what_is_on_its_way(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, NUMBERS[:5])
    took(session, lane, 2)
    assert of(session).messages_in_doubt == 0
    doubted(session, lane)
    assert of(session).messages_in_doubt == 3
    assert figures(session).submissions_in_doubt == 1


def test_a_hold_is_told_by_its_kind(session: Session, lane: MadeLane) -> None:
    change(session, "UPDATE lane SET kind = 'fault'")
    assert of(session).kind == HoldKind.FAULT


def test_lanes_of_deleted_credentials_count_on(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, NUMBERS[:1])
    change(session, "UPDATE credential SET deleted_at = now()")
    assert standing(of(session)) == {"queued": 1}


def test_each_lane_has_its_own(session: Session, lane: MadeLane) -> None:
    other = make_lane(session, name="other", message_type=MessageType.MARKETING)
    make_batch(session, lane, NUMBERS[:2])
    make_batch(session, other, NUMBERS[2:5], validity=timedelta(minutes=30))
    assert (standing(of(session)), standing(of(session, "other"))) == ({"queued": 2}, {"queued": 3})
    assert figures(session).expiring["sms", "marketing", "1h"] == 3


def test_it_is_one_statement_along_indexes(session: Session, engine: Engine, lane: MadeLane) -> None:
    asked: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", note := lambda *given: asked.append(given[2]))
    read_figures(session.connection())
    sa.event.remove(engine, "before_cursor_execute", note)
    assert len(asked) == 1
    make_batch(session, lane, NUMBERS)
    session.execute(text("SET LOCAL enable_seqscan = off"))
    plan = "\n".join(
        session.connection().exec_driver_sql("EXPLAIN " + asked[0], {"live": ["queued", "sending"]}).scalars()
    )
    assert not [line for line in plan.splitlines() if "Seq Scan on message" in line or "Seq Scan on submission" in line]
    session.rollback()
