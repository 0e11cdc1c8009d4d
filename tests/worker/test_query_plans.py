"""Statements that take a few of many rows read no more than a few, whatever the planner believes of the tables."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from tests.factories import MadeLane
from tests.worker.filling import FEW, KNOWLEDGE, MANY, OPEN, OVER, fill, fill_consent, fill_inbox, most_rows
from worker import claims, consents, endings, inbound, lanes
from worker.columns import column
from worker.ids import new_id

pytestmark = pytest.mark.usefixtures("no_autovacuum")

# 24 batches fit one page, which is read for each message
MOST_OF_A_CLAIM = FEW * 24


def claiming(lane: MadeLane) -> dict[str, Any]:
    return {
        "lane": lane.id,
        "credential": lane.credential_id,
        "message_type": "marketing",  # so that all of consent is asked
        "limit": FEW,
        "reach": FEW,
        "submission": new_id(),
        "version": 1,
        "lease": 60,
        "is_probe": False,
    }


@KNOWLEDGE
@pytest.mark.parametrize("state", ["queued", "retrying"])
def test_claim_reads_what_it_takes(session: Session, lane: MadeLane, state: str, knows: str) -> None:
    fill(session, lane, state, OPEN, knows)
    assert most_rows(session, claims._CLAIM, claiming(lane)) <= MOST_OF_A_CLAIM


@KNOWLEDGE
def test_claim_that_ends_what_consent_forbids_reads_what_it_takes(session: Session, lane: MadeLane, knows: str) -> None:
    fill(session, lane, "queued", OPEN, knows)
    session.execute(text("UPDATE consent SET state = 'opted_out'"))
    assert most_rows(session, claims._CLAIM, claiming(lane)) <= MOST_OF_A_CLAIM


@KNOWLEDGE
def test_claim_of_a_surface_that_requires_opt_in_reads_what_it_takes(
    session: Session, lane: MadeLane, knows: str
) -> None:
    fill(session, lane, "queued", OPEN, knows)
    session.execute(text("UPDATE surface SET require_opt_in = true"))
    session.execute(text("UPDATE message SET surface_id = :surface"), {"surface": lane.surface_id})
    assert most_rows(session, claims._CLAIM, claiming(lane)) <= MOST_OF_A_CLAIM


def test_claim_passes_over_a_paused_batch_without_asking_for_each(session: Session, lane: MadeLane) -> None:
    fill(session, lane, "queued", OPEN, "all")
    session.execute(text("UPDATE batch SET paused_at = now()"))
    # The messages once, and not the batches for each of them.
    assert most_rows(session, claims._CLAIM, claiming(lane)) <= MANY


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


NUMBERS = [f"91{n}" for n in range(100, 100 + FEW)]
BOTH = pytest.mark.parametrize("knows", ["nothing", "all"])


@BOTH
@pytest.mark.parametrize("state", ["opted_in", "opted_out"])
def test_whom_consent_bars_is_read_of_those_who_are_asked_about(
    session: Session, lane: MadeLane, state: str, knows: str
) -> None:
    fill_consent(session, lane, knows)
    session.execute(text("UPDATE consent SET state = :state"), {"state": state})
    values = {"credential": lane.credential_id, "recipient": column(NUMBERS), "is_marketing": True}
    assert most_rows(session, consents._BARRED, {**values, "needs_opt_in": True}) <= FEW


@BOTH
def test_how_people_stand_is_read_of_those_who_are_asked_about(session: Session, lane: MadeLane, knows: str) -> None:
    fill_consent(session, lane, knows)
    people = {"recipient": column(NUMBERS), "credential_id": column([lane.credential_id] * FEW)}
    assert most_rows(session, consents._READ, people) <= FEW


@BOTH
def test_sweep_of_the_inbox_reads_the_first_that_is_not_settled(session: Session, lane: MadeLane, knows: str) -> None:
    fill_inbox(session, lane, knows)
    assert most_rows(session, inbound._OLDEST, {}) == 1
    assert most_rows(session, inbound._UNSETTLED, {"credential": lane.credential_id, "group": FEW}) <= FEW
