"""Far more rows than a statement takes, and how many of them it reads."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import TextClause, text
from sqlmodel import Session

from tests.factories import MadeLane

FEW = 20
MANY = 6_000
MORE = 10 * MANY  # where less is read as fast from one end to the other
OPEN, OVER = timedelta(hours=1), timedelta(hours=-3)  # what is left of a message's time
FILLED = ("batch", "message", "attempt", "submission", "consent", "inbound_message")

# What the planner knows: nothing of these tables, all of them, or only what they held before.
KNOWLEDGE = pytest.mark.parametrize("knows", ["nothing", "all", "the past"])

_FILL = text("""
    WITH batches AS (
        INSERT INTO batch (id, surface_id, lane_id, sender, text, validity_seconds, total, expires_at, refusals)
        SELECT gen_random_uuid(), :surface, :lane, 'KITEBK', 'hi', 3600, 1, now() + interval '1 hour', 0
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


# Of everybody that the messages go to, and of as many whom nothing is sent, towards this credential and another one.
_FILL_CONSENT = text("""
    INSERT INTO consent (recipient, credential_id, state, source, blocked, changed_at)
    SELECT '91' || n, credential_id, 'opted_in', 'keyword', false, now()
    FROM generate_series(1, :many / 2) AS n,
         (VALUES (CAST(:credential AS uuid)), (gen_random_uuid())) AS towards (credential_id)
""")

# The oldest are settled, the others not.
_FILL_INBOX = text("""
    INSERT INTO inbound_message (id, credential_id, provider_id, channel, sender, text, action, received_at)
    SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), :credential, n, 'sms', '91' || n, 'STOP',
           CASE WHEN n <= :settled THEN 'opt_out' END, now()
    FROM generate_series(1, :settled + :unsettled) AS n
""")


def fill(session: Session, lane: MadeLane, state: str, left: timedelta, knows: str) -> None:
    """MANY delivered messages, and MANY in this state with so much of their time left; MORE consents. Commits."""
    _fill(session, lane, "delivered", OPEN, analyzes=knows == "the past")
    fill_consent(session, lane, knows="nothing")
    _fill(session, lane, state, left, analyzes=knows == "all")


def _fill(session: Session, lane: MadeLane, state: str, left: timedelta, *, analyzes: bool) -> None:
    values = {"surface": lane.surface_id, "lane": lane.id, "state": state, "left": left, "many": MANY}
    session.execute(_FILL, values)
    _end(session, analyzes=analyzes)


def fill_consent(session: Session, lane: MadeLane, knows: str) -> None:
    """MORE rows. Commits."""
    session.execute(_FILL_CONSENT, {"credential": lane.credential_id, "many": MORE})
    _end(session, analyzes=knows == "all")


def fill_inbox(session: Session, lane: MadeLane, knows: str) -> None:
    """MORE inbound messages that are settled, and FEW that are not. Commits."""
    session.execute(_FILL_INBOX, {"credential": lane.credential_id, "settled": MORE, "unsettled": FEW})
    _end(session, analyzes=knows == "all")


def _end(session: Session, *, analyzes: bool) -> None:
    session.commit()
    if analyzes:
        session.connection().exec_driver_sql("ANALYZE")
        session.commit()


def most_rows(session: Session, statement: TextClause, values: dict[str, Any]) -> int:
    """The most rows that any step of the statement read, kept or not; it is run, and rolled back."""
    explained = session.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}"), values).scalar_one()
    session.rollback()
    return most_rows_of(explained)


def most_rows_of(explained: list[dict[str, Any]]) -> int:
    """The same of what EXPLAIN (ANALYZE, FORMAT JSON) says of a statement."""
    read = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter")
    nodes = _nodes(explained[0]["Plan"])
    return max(int(sum(node.get(key, 0) for key in read) * node["Actual Loops"]) for node in nodes)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
