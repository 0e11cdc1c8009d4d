"""Transactions that are tried again: deadlocks always, an absent database where the work may be repeated."""

import threading
import time

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from cli.embedded_postgres import EmbeddedPostgres
from worker.db import is_away, make_engine, transact


def test_a_deadlock_is_tried_again_and_both_sides_get_through(session: Session, engine: Engine) -> None:
    session.execute(text("CREATE TABLE IF NOT EXISTS spoons (id int PRIMARY KEY, n int)"))
    session.execute(text("INSERT INTO spoons VALUES (1, 0), (2, 0) ON CONFLICT (id) DO UPDATE SET n = 0"))
    session.commit()
    both_hold_one = threading.Barrier(2)

    def take(order: tuple[int, int]) -> None:
        tried = []

        def work(mine: Session) -> None:
            tried.append(order)
            mine.execute(text("UPDATE spoons SET n = n + 1 WHERE id = :id"), {"id": order[0]})
            if len(tried) == 1:
                both_hold_one.wait(5)
            mine.execute(text("UPDATE spoons SET n = n + 1 WHERE id = :id"), {"id": order[1]})

        transact(engine, work)

    threads = [threading.Thread(target=take, args=(order,)) for order in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.execute(text("SELECT n FROM spoons ORDER BY id")).scalars().all() == [2, 2]


def test_patience_outlives_a_restart_of_the_database(engine: Engine, postgres: EmbeddedPostgres) -> None:
    def work(session: Session) -> int:
        return int(session.execute(text("SELECT 7")).scalar_one())

    assert transact(engine, work) == 7
    postgres.stop()
    found: list[int] = []
    patient = threading.Thread(target=lambda: found.append(transact(engine, work, patience_seconds=30)))
    patient.start()
    time.sleep(0.5)
    postgres.start()  # from this thread: a server dies with the thread that started it
    patient.join()
    assert found == [7]


def test_without_patience_an_absent_database_is_told_at_once(engine: Engine, postgres: EmbeddedPostgres) -> None:
    postgres.stop()
    try:
        with pytest.raises(DBAPIError) as raised:
            transact(engine, lambda session: session.execute(text("SELECT 1")))
        assert is_away(raised.value)
    finally:
        postgres.start()


def test_a_pool_without_a_connection_to_give_is_an_absent_database(database_url: str) -> None:
    engine = make_engine(database_url, pool_size=1, max_overflow=0)
    engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    with engine.connect(), pytest.raises(PoolTimeout) as raised:
        transact(engine, lambda session: session.execute(text("SELECT 1")))
    assert is_away(raised.value)
    engine.dispose()


def test_a_refused_statement_is_no_absent_database(engine: Engine) -> None:
    with pytest.raises(DBAPIError) as raised:
        transact(engine, lambda session: session.execute(text("SELECT 1/0")))
    assert not is_away(raised.value)
