"""Far more rows than a statement takes, and how many of them it reads."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import TextClause, text
from sqlmodel import Session

from tests.factories import MadeLane
from worker.ids import new_id

FEW = 20
MANY = 6_000
MORE = 10 * MANY  # where less is read as fast from one end to the other
SEARCHED_FROM = datetime(2026, 11, 20, tzinfo=UTC)
OPEN, OVER = timedelta(hours=1), timedelta(hours=-3)  # what is left of a message's time
FILLED = ("batch", "message", "attempt", "submission", "consent", "inbound_message", "tally", "replayed")

# What the planner knows: nothing of these tables, all of them, or only what they held before.
KNOWLEDGE = pytest.mark.parametrize("knows", ["nothing", "all", "the past"])

_FILL = text("""
    WITH batches AS (
        INSERT INTO batch (
            id, surface_id, lane_id, sender, text, validity_seconds, total, messages_through, expires_at, refusals)
        SELECT id, :surface, :lane, 'KITEBK', 'hi', 3600, 1, id, now() + interval '1 hour', 0
        FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 12)) AS made RETURNING id
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

# Each failed message replayed once, all of them in one batch.
_FILL_REPLAYS = text("""
    WITH replay AS (
        INSERT INTO batch (id, surface_id, lane_id, sender, text, validity_seconds, total, messages_through, expires_at)
        VALUES (:replay, :surface, :lane, 'KITEBK', 'hi', 3600, :many, CAST(repeat('f', 32) AS uuid),
                now() + interval '1 hour')
    ), links AS (
        INSERT INTO replayed (source_message_id, message_id, root_id)
        SELECT id, gen_random_uuid(), id FROM message WHERE state = 'failed' RETURNING message_id
    )
    INSERT INTO message (id, batch_id, surface_id, lane_id, origin, recipient, state, held, attempt_count, retry_count,
                         next_attempt_at, expires_at, validity_seconds)
    SELECT message_id, :replay, :surface, :lane, 'replay', '91' || row_number() OVER (), :state, false, 1, 0,
           now() - interval '1 minute', now() + interval '1 hour', 3600
    FROM links
""")


# What is searched, from the oldest on, hours apart: a large batch that waits; one of which all but a few arrived; many
# small ones of two journeys; and single messages, each with callback data of its own.
SEARCHED = 6 * MANY
SMALL_BATCHES, SMALL = MANY // 5, 5
_ID_AT = text("""
    CREATE OR REPLACE FUNCTION id_at(at timestamptz) RETURNS uuid LANGUAGE sql AS $$
        SELECT CAST(overlay(CAST(gen_random_uuid() AS text) PLACING milliseconds FROM 1 FOR 13) AS uuid)
        FROM lpad(to_hex(CAST(extract(epoch FROM at) * 1000 AS bigint)), 12, '0') AS hex,
             LATERAL (SELECT left(hex, 8) || '-' || right(hex, 4) AS milliseconds) AS written
    $$
""")
_BATCHES = """
    INSERT INTO batch (id, surface_id, lane_id, sender, validity_seconds, total, messages_through, expires_at,
                       created_at, journey_id, callback_data)
    SELECT id_at(at), :surface, :lane, 'KITEBK', 3600, :size, id_at(at + (:size + 1) * interval '1 millisecond'),
           now() + interval '1 hour', at, {journey}, {callback}
    FROM generate_series(1, :count) AS i,
         LATERAL (SELECT CAST(:start AS timestamptz) + i * interval '1 second' AS at) AS begun
"""
_MESSAGES = """
    INSERT INTO message (id, batch_id, surface_id, lane_id, origin, recipient, state, reason, held, attempt_count,
                         retry_count, next_attempt_at, expires_at, validity_seconds, created_at, callback_data)
    SELECT id_at(b.created_at + n * interval '1 millisecond'), b.id, :surface, :lane, 'api', '91' || 900000 + n,
           {state}, {reason}, false, 1, 0, now(), now() + interval '1 hour', 3600,
           b.created_at + n * interval '1 millisecond', {own}
    FROM {batches} AS b, generate_series(1, :size) AS n ORDER BY 1
"""
_COUNT = text("""
    INSERT INTO tally (subject_id, state, reason, shard, n)
    SELECT subject, state, coalesce(reason, ''), 0, count(*)
    FROM message, LATERAL (VALUES (lane_id), (batch_id)) AS counted (subject)
    WHERE subject IS NOT NULL GROUP BY 1, 2, 3
""")
_MESSAGES_READ = text("""
    SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0) FROM pg_stat_xact_user_tables WHERE relname = 'message'
""")
_SINGLE = "(SELECT CAST(NULL AS uuid) AS id, CAST(:start AS timestamptz) AS created_at)"
_NEWEST_BATCHES = "(SELECT * FROM batch WHERE created_at > :start)"


def fill_searched(session: Session, lane: MadeLane, knows: str) -> None:
    """SEARCHED messages or so, with their tally. Commits."""
    session.execute(_ID_AT)
    nothing = {"journey": "NULL", "callback": "NULL", "reason": "NULL", "own": "NULL", "batches": _NEWEST_BATCHES}
    parts = [
        (1, MANY, {"journey": "'waiting'", "state": "'queued'"}),
        (
            *(1, 2 * MANY),
            {
                **{"journey": "'large'", "callback": "'shared'"},
                "state": "CASE WHEN n < 4 THEN 'expired' WHEN n < 7 THEN 'sent' ELSE 'delivered' END",
                "reason": "CASE WHEN n < 4 THEN 'validity_over' END",
            },
        ),
        (
            *(SMALL_BATCHES, SMALL),
            {
                **{"journey": "CASE i % 2 WHEN 0 THEN 'small' ELSE 'other' END", "callback": "'batch-' || i"},
                "state": "CASE n WHEN 3 THEN 'failed' ELSE 'delivered' END",
                "reason": "CASE n WHEN 3 THEN 'EC_UNKNOWN_SUBSCRIBER' END",
            },
        ),
        (
            *(0, 2 * MANY),
            {
                **{"batches": _SINGLE, "own": "'order-' || n"},
                "state": "CASE n % 100 WHEN 0 THEN 'failed' ELSE 'delivered' END",
                "reason": "CASE n % 100 WHEN 0 THEN 'EC_ABSENT_SUBSCRIBER' END",
            },
        ),
    ]
    for hour, (count, size, words) in enumerate(parts):
        values = {"surface": lane.surface_id, "lane": lane.id, "count": count, "size": size}
        for statement in (_BATCHES, _MESSAGES):
            sql = text(statement.format(**{**nothing, **words}))
            session.execute(sql, {**values, "start": SEARCHED_FROM + hour * timedelta(hours=3)})
        _end(session, analyzes=knows == "the past" and hour == 0)
    session.execute(_COUNT)
    _end(session, analyzes=knows == "all")


def messages_read(session: Session) -> int:
    """How many rows of the table this connection has read of late, kept or not. It begins anew now and then, but not
    within a transaction."""
    read: int = session.execute(_MESSAGES_READ).scalar_one()
    return read


def fill(session: Session, lane: MadeLane, state: str, left: timedelta, knows: str) -> None:
    """MANY delivered messages, and MANY in this state with so much of their time left; MORE consents. Commits."""
    _fill(session, lane, "delivered", OPEN, analyzes=knows == "the past")
    fill_consent(session, lane, knows="nothing")
    _fill(session, lane, state, left, analyzes=knows == "all")


def fill_replays(session: Session, lane: MadeLane, state: str, knows: str) -> UUID:
    """MANY failed messages and, in a batch of its own, which is returned, a replay of each, in this state; MANY others
    that were delivered, in the past all still on their way. Commits."""
    _fill(session, lane, "failed", OPEN, analyzes=False)
    replay = new_id()
    values = {"surface": lane.surface_id, "lane": lane.id, "replay": replay, "state": state, "many": MANY}
    session.execute(_FILL_REPLAYS, values)
    _fill(session, lane, "sent", OPEN, analyzes=knows == "the past")
    session.execute(text("UPDATE message SET state = 'delivered' WHERE state = 'sent'"))
    _end(session, analyzes=knows == "all")
    return replay


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
