"""Connections and sessions: one engine a process, synchronous everywhere."""

import itertools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

import orjson
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlmodel import Session

from worker.settings import settings

T = TypeVar("T")
_DEADLOCK = {"40P01", "40001"}
_DEADLOCK_TRIES = 4
_NOT_NOW = {"57P01", "57P02", "57P03", "57014", "55P03", "58030"}


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
    url = settings().database_url
    if url is None:
        raise SystemExit("DELIVERY_DATABASE_URL is not set: start with `delivery up`, or name a PostgreSQL server")
    return make_engine(url.get_secret_value())


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
        except DBAPIError as error:
            is_deadlock = getattr(error.orig, "sqlstate", None) in _DEADLOCK and attempt < _DEADLOCK_TRIES
            if not is_deadlock and not (is_away(error) and time.monotonic() < ends):
                raise
        time.sleep(random.uniform(0.01, 0.1) * min(attempt, 10))
    raise AssertionError("unreachable")


def is_away(error: BaseException) -> bool:
    """The database cannot be reached, went away, or is too busy, as opposed to refusing what it was given."""
    if isinstance(error, InterfaceError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    state: Any = getattr(getattr(error, "orig", None), "sqlstate", None)
    if isinstance(error, OperationalError):
        # No SQLSTATE: the connection itself failed. 08: connection, 57P0x: shutting down, 53: out of connections, disk
        # or memory, 58030: the disk fails, 57014 and 55P03: a statement or a lock took longer than we wait.
        return state is None or state.startswith(("08", "53")) or state in _NOT_NOW
    return False
