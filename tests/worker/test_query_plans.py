"""Statements that take a few of many rows read no more than a few, whatever the planner believes of the tables."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session

from tests.factories import MadeLane
from tests.worker.filling import FEW, KNOWLEDGE, MANY, OPEN, OVER, fill, most_rows
from worker import claims, endings, lanes
from worker.ids import new_id

pytestmark = pytest.mark.usefixtures("no_autovacuum")


@KNOWLEDGE
@pytest.mark.parametrize("state", ["queued", "retrying"])
def test_claim_reads_what_it_takes(session: Session, lane: MadeLane, state: str, knows: str) -> None:
    fill(session, lane, state, OPEN, knows)
    values = {"lane": lane.id, "limit": FEW, "submission": new_id(), "version": 1, "lease": 60, "is_probe": False}
    assert most_rows(session, claims._CLAIM, values) <= FEW * 24  # 24 batches fit one page, which is read for each


def test_claim_passes_over_a_paused_batch_without_asking_for_each(session: Session, lane: MadeLane) -> None:
    fill(session, lane, "queued", OPEN, "all")
    session.execute(text("UPDATE batch SET paused_at = now()"))
    values = {"lane": lane.id, "limit": FEW, "submission": new_id(), "version": 1, "lease": 60, "is_probe": False}
    assert most_rows(session, claims._CLAIM, values) <= MANY  # the messages once, and not the batches for each of them


@KNOWLEDGE
@pytest.mark.parametrize("state", ["queued", "retrying"])
def test_expiry_reads_what_it_takes(session: Session, lane: MadeLane, state: str, knows: str) -> None:
    fill(session, lane, state, OVER, knows)
    assert most_rows(session, endings._OVER, {"least": timedelta(seconds=1), "group": FEW}) <= FEW


@KNOWLEDGE
def test_giving_up_reads_what_it_takes(session: Session, lane: MadeLane, knows: str) -> None:
    fill(session, lane, "sent", OVER, knows)
    values = {"grace": timedelta(hours=1), "reach": timedelta(hours=48), "group": FEW}
    assert most_rows(session, endings._SILENT, values) <= FEW


@KNOWLEDGE
def test_tick_reads_the_head_of_a_lane(session: Session, lane: MadeLane, knows: str) -> None:
    fill(session, lane, "queued", OPEN, knows)
    assert most_rows(session, lanes._DUE, {"message_type": "transactional"}) <= FEW
