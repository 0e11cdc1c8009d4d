"""Commands against a real API process: `address`, and `at_home`, the command as from a shell that knows it."""

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import Session

from cli.environment import settings_in
from cli.main import run
from cli.ports import free_port
from tests.cli.serving import ADMIN, SECRET_KEY, running_api
from tests.cli.shell import Delivery, Done
from tests.factories import MadeLane, empty, make_lane
from worker.db import make_engine
from worker.settings import settings


@pytest.fixture(scope="module")
def address(database_url: str, redis_url: str) -> Iterator[str]:
    """Where an API process answers."""
    with running_api(free_port(), database_url, redis_url) as url:
        yield url


@pytest.fixture(scope="module")
def token() -> str:
    """An administrator's."""
    return ADMIN


@pytest.fixture(scope="module")
def administrator(address: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    with httpx.Client(base_url=address, headers=headers, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def main(administrator: httpx.Client) -> dict[str, Any]:
    """A credential."""
    body = {"name": "main", "base_url": "https://abc123.api.infobip.com", "api_key": "0123456789abcdef"}
    answer = administrator.post("/v1/credentials", json=body)
    assert answer.status_code == 201
    credential: dict[str, Any] = answer.json()
    return credential


@pytest.fixture
def delivery(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Delivery:
    """The command, as from a shell with these variables; `typed` comes by standard input."""
    for name in settings_in(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)

    def deliver(*arguments: str, typed: bytes = b"", **variables: str) -> Done:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["delivery", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed)))
        with pytest.raises(SystemExit) as exit_:
            run()
        said = capsys.readouterr()
        return Done(int(exit_.value.code or 0), said.out, said.err)

    return deliver


@pytest.fixture
def at_home(delivery: Delivery, address: str, monkeypatch: pytest.MonkeyPatch) -> Delivery:
    """The command where both variables are set."""
    monkeypatch.setenv("DELIVERY_API_URL", address)
    monkeypatch.setenv("DELIVERY_API_TOKEN", ADMIN)
    return delivery


@pytest.fixture
def session(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """The tables of the API, empty."""
    monkeypatch.setenv("DELIVERY_SECRET_KEYS", SECRET_KEY)
    settings.cache_clear()
    settings()
    engine = make_engine(database_url)
    with engine.begin() as connection:
        empty(connection)
    with Session(engine, expire_on_commit=False) as session:
        yield session
    engine.dispose()
    settings.cache_clear()


@pytest.fixture
def lane(session: Session) -> MadeLane:
    """A credential and a surface called main; what comes of their messages, the test says."""
    return make_lane(session, name="main")
