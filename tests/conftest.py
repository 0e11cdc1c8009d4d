"""Shared servers: one PostgreSQL and one Redis a session, one migrated database a module, all gone afterwards."""

import itertools
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
import redis
from xdist.scheduler import LoadScopeScheduling

from cli.account import temporary_folder
from cli.embedded_postgres import EmbeddedPostgres
from cli.embedded_redis import EmbeddedRedis

# On a shared machine a slow moment says nothing of the code.
hypothesis.settings.register_profile("shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("shared")

# `make test` runs three groups side by side: tests of running systems mostly wait, others compute.
GROUPS = {
    "end_to_end": "systems",
    "grafana": "systems",
    "chaos": "programs",
    "cli": "programs",
    "bench": "programs",
    "compose": "programs",
}

TEMPLATE = "migrated_template"
_numbers = itertools.count(1)


class Groups(LoadScopeScheduling):
    """xdist's schedule of a group for each process."""

    def _split_scope(self, nodeid: str) -> str:
        room = nodeid.split("/")[1]
        return GROUPS.get(room, "rules")


def pytest_configure() -> None:
    # xdist's processes ignore it, and so would all that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    return Groups(config, log)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that the servers' account can reach, unlike pytest's own temporary ones, which are private to us."""
    folder = temporary_folder("delivery-tests-")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A running PostgreSQL. A test that stops or kills it starts it again."""
    server = EmbeddedPostgres(server_folder / "postgres", durable=False)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def redis_server(server_folder: Path) -> Iterator[EmbeddedRedis]:
    """A running Redis. A test that stops or kills it starts it again."""
    server = EmbeddedRedis(server_folder / "redis")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def migrated_template(postgres: EmbeddedPostgres) -> str:
    """The name of a database with this version's tables, which nobody may be connected to. It is at home nowhere, so
    that `upgrade` makes each copy at home where that is."""
    from worker.migrations import upgrade

    _administer(postgres, f"CREATE DATABASE {TEMPLATE}")
    upgrade(postgres.url_of(TEMPLATE))
    with psycopg.connect(postgres.dsn_of(TEMPLATE)) as connection:
        connection.execute("DELETE FROM cluster")
    return TEMPLATE


@pytest.fixture(scope="module")
def database_url(postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    """SQLAlchemy URL of a new migrated database for this module's tests."""
    from worker.migrations import upgrade

    name = f"test_{next(_numbers)}"
    _administer(postgres, f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    upgrade(postgres.url_of(name))
    yield postgres.url_of(name)
    _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def empty_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """SQLAlchemy URL of a new database without tables, for migrations themselves."""
    name = f"test_{next(_numbers)}"
    _administer(postgres, f"CREATE DATABASE {name}")
    yield postgres.url_of(name)
    _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def redis_url(redis_server: EmbeddedRedis) -> str:
    """URL of a Redis that is empty when the module begins: emptied for each test, it would lose the queues of workers
    that a module keeps running."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


def _administer(postgres: EmbeddedPostgres, statement: str) -> None:
    with psycopg.connect(postgres.dsn_of("postgres"), autocommit=True) as connection:
        connection.execute(statement)
