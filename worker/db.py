"""Connections and sessions: one engine a process, synchronous everywhere."""

import itertools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

import orjson
import psycopg
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from worker.cluster import IS_AT_HOME
from worker.settings import settings
from worker.sqlstates import has_given_way, is_not_now, sqlstate

T = TypeVar("T")
_DEADLOCK_TRIES = 4


class NotAtHome(psycopg.OperationalError):
    """The database is there, and not to be used before a person has done what the message says."""


def make_engine(
    url: str, *, pool_size: int = 5, max_overflow: int = 5, lock_seconds: int = 30, statement_seconds: int = 300
) -> Engine:
    """An engine whose connections speak UTC, and give up on a dead server, a lock or a statement within bounds.

    `url` may be `postgresql://` or `postgresql+psycopg://`.
    """
    bounds = f"-c lock_timeout={lock_seconds}s -c statement_timeout={statement_seconds}s"
    if url.startswith(("postgresql://", "postgres://")):
        url = "postgresql+psycopg://" + url.split("://", 1)[1]
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=10,
        pool_pre_ping=True,
        hide_parameters=True,  # an error would quote numbers and texts
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={
            "options": f"-c timezone=utc {bounds}",
            "connect_timeout": 5,
            "application_name": "delivery",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
    )


@lru_cache(maxsize=1)
def engine() -> Engine:
    """This process's engine, from DELIVERY_DATABASE_URL."""
    return at_home(make_engine(database_url()))


def at_home(engine: Engine) -> Engine:
    """This engine, for processes that work with the database: it gives no connection to one that lacks this version's
    tables, has been restored or copied (cluster.py), or does not let its role see which. Until that is mended the
    database is away, for all that ask `is_away`, and `advice` says what to do."""
    event.listen(engine, "connect", _check_home)
    return engine


def advice(error: BaseException) -> str | None:
    """What a person has to do before the database can be used; None: nothing, it comes back by itself."""
    cause = getattr(error, "orig", None)
    return str(cause) if isinstance(cause, NotAtHome) else None


def _check_home(connection: psycopg.Connection, _record: object) -> None:
    """The pool closes the connection where this raises."""
    hindrance = _hindrance(connection)
    connection.rollback()
    if hindrance is not None:
        raise NotAtHome(hindrance)


def _hindrance(connection: psycopg.Connection) -> str | None:
    """Why the database is not to be used, and what to do. Leaves a transaction open, or failed."""
    try:
        found = connection.execute(IS_AT_HOME).fetchone()
    except psycopg.errors.UndefinedTable:
        found = None
    except psycopg.errors.InsufficientPrivilege as error:
        why = error.diag.message_primary or ""
        function = "pg_control_system"
        right = f"EXECUTE on function {function}()" if function in why else "all rights on this database's tables"
        role = connection.info.user
        return f"The database refuses the role {role} ({why}): grant {right} to the role {role}"
    if found is None:
        return "The database lacks the tables of this version: run `delivery migrate`"
    return None if found == (True,) else "The database was restored or copied: run `delivery migrate`"


def database_url() -> str:
    """Exits with one line where DELIVERY_DATABASE_URL is missing."""
    url = settings().database_url
    if url is None:
        raise SystemExit("DELIVERY_DATABASE_URL is not set: start with `delivery up`, or name a PostgreSQL server")
    return url.get_secret_value()


@contextmanager
def open_session(bind: Engine | None = None) -> Iterator[Session]:
    """A session that is rolled back unless the caller commits.

    Objects stay readable after a commit, since most are read by code that runs when the transaction is over.
    """
    with Session(bind or engine(), expire_on_commit=False) as session:
        yield session


def transact(bind: Engine, work: Callable[[Session], T], *, patience_seconds: float = 0.0) -> T:
    """Run `work` in one transaction and commit it; again where the database broke a deadlock.

    With patience, again also where the database is away, that long: only for work that may be repeated after a commit
    whose answer was lost, since it then finds itself done. Errors: what `work` or the commit raised last.
    """
    ends = time.monotonic() + patience_seconds
    for attempt in itertools.count(1):
        try:
            with Session(bind, expire_on_commit=False) as session, session.begin():
                return work(session)
        except SQLAlchemyError as error:
            is_tried_again = has_given_way(error) and attempt < _DEADLOCK_TRIES
            if not is_tried_again and not (is_away(error) and time.monotonic() < ends):
                raise
        time.sleep(random.uniform(0.01, 0.1) * min(attempt, 10))
    raise AssertionError("unreachable")


def is_away(error: BaseException) -> bool:
    """The database cannot be reached, went away, or is too busy, as opposed to refusing what it was given.

    So is a pool that had no connection to give for as long as we wait: nothing was asked of the database.
    """
    if isinstance(error, (InterfaceError, PoolTimeout)):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, OperationalError):
        state = sqlstate(error)
        return state is None or is_not_now(state)  # None: the connection itself failed
    return False


def database_now(session: Session) -> datetime:
    """The one clock that decides."""
    at: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return at
