"""A tick's glance finds whatever its sweeps would find, and nothing else."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from tests.factories import MadeLane
from tests.worker.filling import FEW, KNOWLEDGE, MANY, OPEN, fill, most_rows
from worker import endings, look_plans, recovery
from worker.glance import glance
from worker.ids import new_id
from worker.settings import Settings
from worker.sweeps import SWEEPS, is_any_due

HOUR = timedelta(hours=1)
_MESSAGE = text("""
    WITH attempt AS (
        INSERT INTO attempt (message_id, number, submission_id, started_at, answered_at, outcome, looks, look_at)
        VALUES (:id, 1, gen_random_uuid(), now(), now(), 'accepted', 0, now() + :look_in)
    )
    INSERT INTO message (id, lane_id, origin, recipient, state, held, attempt_count, retry_count, next_attempt_at,
                         expires_at, validity_seconds)
    VALUES (:id, :lane, 'api', '919800000001', :state, false, 1, 0, now(), now() + :left, 3600)
""")
_SUBMISSION = text("""
    INSERT INTO submission (id, lane_id, bulk_ids, credential_version, opened_at, lease_until, message_count)
    VALUES (gen_random_uuid(), :lane, '{}', 1, now(), now() + :left, 1)
""")
_BATCH = text("""
    INSERT INTO batch (id, surface_id, lane_id, sender, text, validity_seconds, total, messages_through, expires_at,
                       refusals, paused_at, held_through, cancelled_at, is_cleared, move_to)
    SELECT id, gen_random_uuid(), :lane, 'KITEBK', 'hi', 3600, 1, id, now(), 0, :paused_at, :through,
           :cancelled_at, :is_cleared, :move_to
    FROM (SELECT gen_random_uuid() AS id) AS made
""")
_CLOSED_SUBMISSIONS = text("""
    INSERT INTO submission (id, lane_id, bulk_ids, credential_version, opened_at, lease_until, message_count, outcome)
    SELECT gen_random_uuid(), :lane, '{}', 1, now(), now() - interval '1 hour', 1, 'answered'
    FROM generate_series(1, :many)
""")
_LAST = "f" * 32


def is_due(engine: Engine, settings: Settings) -> bool:
    with glance(engine) as connection:
        return is_any_due(connection, settings)


def sweep(engine: Engine, settings: Settings) -> int:
    """How much all sweeps find, each of which must know itself when it is due."""
    found = 0
    for _, condition, step in SWEEPS:
        with glance(engine) as connection:
            was_due = condition(connection, settings)
        count = step(engine, settings)
        assert was_due or not count
        found += count
    return found


def message(state: str, left: timedelta, look_in: timedelta | None = None) -> tuple[Any, dict[str, Any]]:
    return _MESSAGE, {"id": new_id(), "state": state, "left": left, "look_in": look_in}


def submission(left: timedelta) -> tuple[Any, dict[str, Any]]:
    return _SUBMISSION, {"left": left}


def batch(**steered: Any) -> tuple[Any, dict[str, Any]]:
    unsteered = {"paused_at": None, "through": None, "cancelled_at": None, "is_cleared": False, "move_to": None}
    return _BATCH, {**unsteered, **steered}


@pytest.mark.parametrize(
    ("made", "finds"),
    [
        (submission(-HOUR), True),
        (submission(HOUR), False),
        (message("queued", -HOUR), True),
        (message("queued", HOUR), False),
        (message("retrying", -HOUR), True),
        (message("sent", -100 * HOUR), True),
        (message("sent", -100 * HOUR, look_in=HOUR), False),
        (message("sent", HOUR), False),
        (message("sending", -HOUR), False),
        (message("delivered", -100 * HOUR), False),
        (batch(paused_at="now"), True),
        (batch(paused_at="now", through=_LAST), False),
        (batch(through=_LAST), True),
        (batch(cancelled_at="now", through=_LAST), True),
        (batch(cancelled_at="now", is_cleared=True), False),
        (batch(move_to="now"), True),
        (batch(), False),
    ],
    ids=lambda value: None,
)
def test_a_glance_finds_what_the_sweeps_find(
    session: Session,
    engine: Engine,
    fresh_settings: Settings,
    lane: MadeLane,
    made: tuple[Any, dict[str, Any]],
    finds: bool,
) -> None:
    session.execute(made[0], {**made[1], "lane": lane.id})
    session.commit()
    assert is_due(engine, fresh_settings) == finds
    assert bool(sweep(engine, fresh_settings)) == finds
    assert not is_due(engine, fresh_settings)


@pytest.mark.usefixtures("no_autovacuum")
@KNOWLEDGE
@pytest.mark.parametrize("state", ["queued", "sending", "sent"])
def test_a_glance_that_finds_nothing_reads_no_more_than_the_heads(
    session: Session, lane: MadeLane, knows: str, state: str, fresh_settings: Settings
) -> None:
    fill(session, lane, state, OPEN, knows)
    session.execute(_CLOSED_SUBMISSIONS, {"lane": lane.id, "many": MANY})
    session.commit()
    values = {"least": timedelta(seconds=1), "grace": fresh_settings.report_grace, "reach": 48 * HOUR}
    assert most_rows(session, endings._ANY, {**values, "group": 1}) <= FEW
    assert most_rows(session, recovery._LEASE_OVER, {"submissions": 1}) <= FEW
    assert most_rows(session, look_plans._IS_DUE, {}) <= FEW


def test_a_glance_leaves_no_transaction_behind(engine: Engine) -> None:
    with glance(engine) as connection:
        connection.execute(text("SELECT 1"))
        assert not connection.connection.driver_connection.info.transaction_status  # type: ignore[union-attr]
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        assert connection.connection.driver_connection.info.transaction_status  # type: ignore[union-attr]
