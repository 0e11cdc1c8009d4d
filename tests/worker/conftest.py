"""A session on real PostgreSQL, empty before each test, and settings of the test's own."""

from collections.abc import Iterator

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text
from sqlmodel import Session, SQLModel

import worker.models  # noqa: F401 - fills the metadata
from worker.db import make_engine
from worker.settings import Settings, settings

SECRET_KEY = Fernet.generate_key().decode()


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def fresh_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The defaults, with a key to encrypt with."""
    monkeypatch.setenv("DELIVERY_SECRET_KEYS", SECRET_KEY)
    settings.cache_clear()
    yield settings()
    settings.cache_clear()


@pytest.fixture
def session(engine: Engine, fresh_settings: Settings) -> Iterator[Session]:
    with engine.begin() as connection:
        tables = ", ".join(f'"{table.name}"' for table in SQLModel.metadata.sorted_tables)
        connection.execute(text(f"TRUNCATE {tables}"))
    with Session(engine, expire_on_commit=False) as session:
        yield session
