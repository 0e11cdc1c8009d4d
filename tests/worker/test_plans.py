"""Statements that take a few of many rows read no more than a few, whatever the planner believes of the tables."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import TextClause, text
from sqlmodel import Session

from tests.factories import MadeLane, make_lane
from worker import claims, endings, lanes
from worker.ids import new_id

FEW = 20
MANY = 6_000

_FILL = text("""
    WITH batches AS (
        INSERT INTO batch (id, surface_id, lane_id, sender, text, validity_seconds, total, expires_at, refusals)
        SELECT gen_random_uuid(), gen_random_uuid(), :lane, 'KITEBK', 'hi', 3600, 1, now() + interval '1 hour', 0
        FROM generate_series(1, 12) RETURNING id
    ), messages AS (
        INSERT INTO message (id, batch_id, lane_id, origin, recipient, state, held, attempt_count, retry_count,
                             next_attempt_at, expires_at, validity_seconds)
        SELECT gen_random_uuid(), id, :lane, 'api', '91' || n, :state, false, 1, 0, now() - interval '1 minute',
               now() + :left, 3600
        FROM generate_series(1, :many / 12) AS n, batches RETURNING id
    )
    INSERT INTO attempt (message_id, number, submission_id, started_at, answered_at, outcome, looks)
    SELECT id, 1, gen_random_uuid(), now(), now(), 'accepted', 0 FROM messages
""")

OPEN, OVER = timedelta(hours=1), timedelta(hours=-3)


@pytest.fixture
def lane(session: Session) -> MadeLane:
    return make_lane(session)


def _fill(session: Session, lane: MadeLane, state: str, left: timedelta, *, analyzes: bool) -> None:
    session.execute(_FILL, {"lane": lane.id, "state": state, "left": left, "many": MANY})
    session.commit()
    if analyzes:
        session.connection().exec_driver_sql("ANALYZE")
        session.commit()


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _most_rows(session: Session, statement: TextClause, values: dict[str, Any]) -> int:
    """The most rows that any step of the statement read, kept or not; it is run, and rolled back."""
    explained = session.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}"), values).scalar_one()
    session.rollback()
    read = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter")
    nodes = _nodes(explained[0]["Plan"])
    return max(int(sum(node.get(key, 0) for key in read) * node["Actual Loops"]) for node in nodes)


# What the planner knows: nothing of these tables, all of them, or only what they held before.
KNOWLEDGE = pytest.mark.parametrize("knows", ["nothing", "all", "the past"])


def _filled(session: Session, lane: MadeLane, state: str, left: timedelta, knows: str) -> None:
    _fill(session, lane, "delivered", OPEN, analyzes=knows == "the past")
    _fill(session, lane, state, left, analyzes=knows == "all")


@KNOWLEDGE
@pytest.mark.parametrize("state", ["queued", "retrying"])
def test_claim_reads_what_it_takes(session: Session, lane: MadeLane, state: str, knows: str) -> None:
    _filled(session, lane, state, OPEN, knows)
    values = {"lane": lane.id, "limit": FEW, "submission": new_id(), "version": 1, "lease": 60, "is_probe": False}
    assert _most_rows(session, claims._CLAIM, values) <= FEW * 24  # 24 batches fit one page, which is read for each


def test_claim_passes_over_a_paused_batch_without_asking_for_each(session: Session, lane: MadeLane) -> None:
    _filled(session, lane, "queued", OPEN, "all")
    session.execute(text("UPDATE batch SET paused_at = now()"))
    values = {"lane": lane.id, "limit": FEW, "submission": new_id(), "version": 1, "lease": 60, "is_probe": False}
    assert _most_rows(session, claims._CLAIM, values) <= MANY  # the messages once, and not the batches for each of them


@KNOWLEDGE
@pytest.mark.parametrize("state", ["queued", "retrying"])
def test_expiry_reads_what_it_takes(session: Session, lane: MadeLane, state: str, knows: str) -> None:
    _filled(session, lane, state, OVER, knows)
    assert _most_rows(session, endings._OVER, {"least": timedelta(seconds=1), "group": FEW}) <= FEW


@KNOWLEDGE
def test_giving_up_reads_what_it_takes(session: Session, lane: MadeLane, knows: str) -> None:
    _filled(session, lane, "sent", OVER, knows)
    values = {"grace": timedelta(hours=1), "reach": timedelta(hours=48), "group": FEW}
    assert _most_rows(session, endings._SILENT, values) <= FEW


@KNOWLEDGE
def test_tick_reads_the_head_of_a_lane(session: Session, lane: MadeLane, knows: str) -> None:
    _filled(session, lane, "queued", OPEN, knows)
    assert _most_rows(session, lanes._DUE, {"message_type": "transactional"}) <= FEW
