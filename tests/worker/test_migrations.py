"""Migrations: up from empty to the models, back down to nothing, and up again. The tables that they leave are those of
the models, to what Alembic does not compare."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, inspect, text
from sqlmodel import SQLModel

import worker.models  # noqa: F401 - fills the metadata
from cli.embedded_postgres import EmbeddedPostgres
from worker.migrations import check, downgrade, upgrade

# Where the migrated tables differ from the models on purpose: what SQLModel has no word for.
STORAGE = {  # measured in docs/scaling.md
    "message": {"fillfactor=70", "autovacuum_vacuum_scale_factor=0.1", "autovacuum_vacuum_cost_delay=0"},
    "attempt": {"fillfactor=70", "autovacuum_vacuum_scale_factor=0.1", "autovacuum_vacuum_cost_delay=0"},
    "tally": {"fillfactor=50"},
}

# Names and definitions, as PostgreSQL itself tells them.
INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
"""
CONSTRAINTS = """
    SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
"""
COLUMNS = """
    SELECT table_name || '.' || column_name, concat_ws(' ', udt_name, is_nullable, column_default)
    FROM information_schema.columns WHERE table_schema = 'public'
"""
OPTIONS = """
    SELECT relname, reloptions FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND reloptions IS NOT NULL
"""


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    try:
        return set(inspect(engine).get_table_names()) - {"alembic_version"}
    finally:
        engine.dispose()


def read(url: str, catalogue: str) -> dict[str, Any]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(text(catalogue)).all()
        return {name: value for name, value in rows if not name.startswith("alembic_version")}
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def modelled_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """SQLAlchemy URL of a database with the tables of the models, made without migrations."""
    with psycopg.connect(postgres.dsn_of("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE modelled")
        url = postgres.url_of("modelled")
        engine = create_engine(url)
        SQLModel.metadata.create_all(engine)
        engine.dispose()
        yield url
        connection.execute("DROP DATABASE modelled WITH (FORCE)")


def test_up_from_empty_matches_the_models_and_down_leaves_nothing(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    check(empty_database_url)
    assert "message" in tables(empty_database_url)
    downgrade(empty_database_url)
    assert tables(empty_database_url) == set()
    upgrade(empty_database_url)
    check(empty_database_url)


EARLIER_BATCHES = """
    INSERT INTO batch (id, surface_id, lane_id, sender, validity_seconds, total, expires_at, refusals)
    SELECT CAST(lpad(n::text, 32, '0') AS uuid), gen_random_uuid(), gen_random_uuid(), 'KITEBK', 60, 0, now(), 0
    FROM generate_series(1, 3) AS n;
    INSERT INTO message (id, batch_id, lane_id, origin, recipient, state, held, attempt_count, retry_count, expires_at,
                         validity_seconds)
    SELECT CAST(lpad(n::text, 32, '0') AS uuid), CAST(lpad(mod(n, 10)::text, 32, '0') AS uuid), gen_random_uuid(),
           'api', '91', 'sent', false, 1, 0, now(), 60 FROM (VALUES (11), (21), (12)) AS made (n);
    INSERT INTO tally (subject_id, state, reason, shard, n)
    SELECT CAST(lpad(n::text, 32, '0') AS uuid), state, '', shard, count
    FROM (VALUES (1, 'sent', 1, 2), (2, 'sent', 1, 1), (2, 'sent', 2, -1), (2, 'delivered', 2, 1)) AS t
         (n, state, shard, count);
"""


def test_batches_of_before_are_told_their_last_messages_and_whether_they_are_over(empty_database_url: str) -> None:
    downgrade(empty_database_url)
    upgrade(empty_database_url, "0004")
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(EARLIER_BATCHES)
    upgrade(empty_database_url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT messages_through, is_over FROM batch ORDER BY id")).all()
    engine.dispose()
    assert [(row.messages_through.hex.lstrip("0"), row.is_over) for row in rows] == [
        ("21", False),
        ("12", True),
        ("3", True),  # it has no message
    ]


# A lane for marketing. A surface that has switched windows off and one that has not; of each a batch that goes on, one
# that is over, and messages to India in several states, of the batch and single ones.
OFF_AND_ON = """
    SET LOCAL session_replication_role = replica;  -- its credential is not there
    INSERT INTO lane (id, credential_id, channel, message_type, probes, faults)
    SELECT uuid_nil(), uuid_nil(), 'sms', 'marketing', 0, 0;
    INSERT INTO surface (id, credential_id, name, channel, message_type, sender, dlt, require_opt_in, sending_window,
                         window_off_reason)
    VALUES (uuid_of(1), uuid_nil(), 'off', 'sms', 'marketing', 'KITEBK', 'warn', false, '"off"', 'agreed'),
           (uuid_of(2), uuid_nil(), 'on', 'sms', 'marketing', 'KITEBK', 'warn', false, NULL, NULL);
    INSERT INTO batch (id, surface_id, lane_id, sender, validity_seconds, total, messages_through, expires_at, is_over)
    SELECT uuid_of(10 * n + is_over::int), uuid_of(n), uuid_nil(), 'KITEBK', 60, 0, uuid_of(100), now(), is_over
    FROM generate_series(1, 2) AS n, (VALUES (true), (false)) AS over (is_over);
    INSERT INTO message (id, batch_id, surface_id, lane_id, origin, recipient, state, held, attempt_count, retry_count,
                         next_attempt_at, expires_at, validity_seconds)
    SELECT gen_random_uuid(), batch_id, uuid_of(n), uuid_nil(), 'api', '919900000001', state, false, 1, 0,
           '2026-11-23 12:00Z', now(), 60
    FROM generate_series(1, 2) AS n, LATERAL (VALUES (uuid_of(10 * n)), (NULL)) AS batches (batch_id),
         unnest(ARRAY['queued', 'retrying', 'sending', 'sent', 'failed']) AS state;
"""
UUID_OF = """
    CREATE OR REPLACE FUNCTION uuid_of(n integer) RETURNS uuid LANGUAGE sql AS
        $$ SELECT CAST(lpad(CAST(n AS text), 32, '0') AS uuid) $$;
    CREATE OR REPLACE FUNCTION uuid_nil() RETURNS uuid LANGUAGE sql AS $$ SELECT uuid_of(0) $$;
"""


def test_windows_that_a_surface_had_switched_off_stay_so_for_what_it_had_accepted_and_others_are_asked(
    empty_database_url: str,
) -> None:
    """What is on its way at the upgrade included: it may have to go again, at night."""
    downgrade(empty_database_url)
    upgrade(empty_database_url, "0005")
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(UUID_OF)
        connection.exec_driver_sql(OFF_AND_ON)
    upgrade(empty_database_url)
    with engine.connect() as connection:
        batches = connection.execute(
            text(
                "SELECT name, is_over, b.sending_window, b.window_off_reason FROM batch b "
                "JOIN surface s ON s.id = surface_id"
            )
        ).all()
        messages = connection.execute(
            text("""
                SELECT name, batch_id IS NULL AS is_single, state, m.sending_window, leave_before = next_attempt_at
                FROM message m JOIN surface s ON s.id = surface_id
            """)
        ).all()
    engine.dispose()
    assert {tuple(row) for row in batches} == {
        ("off", False, "off", "agreed"),
        ("off", True, None, None),
        ("on", False, None, None),
        ("on", True, None, None),
    }
    states = ("queued", "retrying", "sending", "sent", "failed")
    single = {("off", True, state, None if state == "failed" else "off", None) for state in states}
    in_batch = {("off", False, state, None, None) for state in states}
    asked = {
        ("on", is_single, state, None, True if state in ("queued", "retrying", "sending") else None)
        for is_single in (True, False)
        for state in states
    }
    assert {tuple(row) for row in messages} == single | in_batch | asked


@pytest.mark.parametrize(
    "catalogue", [INDEXES, CONSTRAINTS, COLUMNS], ids=["indexes with their conditions", "constraints", "columns"]
)
def test_migrated_tables_are_those_of_the_models(database_url: str, modelled_url: str, catalogue: str) -> None:
    migrated = read(database_url, catalogue)
    assert migrated == read(modelled_url, catalogue)
    assert len(migrated) > 10


def test_how_tables_are_stored_is_told_by_migrations_alone(database_url: str, modelled_url: str) -> None:
    assert {name: set(options) for name, options in read(database_url, OPTIONS).items()} == STORAGE
    assert read(modelled_url, OPTIONS) == {}
