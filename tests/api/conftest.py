"""The API over real HTTP: uvicorn in a thread, real PostgreSQL underneath."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import pytest
import uvicorn
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text
from sqlmodel import Session

from tests.factories import empty
from worker.db import make_engine
from worker.settings import settings

BOOTSTRAP = "bootstrap-token-of-the-tests"
SECRET_KEY = Fernet.generate_key().decode()


@dataclass
class Nudges:
    """The nudges that left, in order: (lane, message type)."""

    sent: list[tuple[UUID, str]] = field(default_factory=list)


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, pool_size=10, max_overflow=20)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def nudges() -> Nudges:
    return Nudges()


@pytest.fixture(scope="module")
def environment(database_url: str) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DELIVERY_DATABASE_URL", database_url)
        patch.setenv("DELIVERY_SECRET_KEYS", SECRET_KEY)
        patch.setenv("DELIVERY_BOOTSTRAP_TOKEN", BOOTSTRAP)
        patch.setenv("DELIVERY_PUBLIC_URL", "https://delivery.example")
        patch.setenv("DELIVERY_ALLOWED_PROVIDER_HOSTS", "127.0.0.1:9")
        settings.cache_clear()
        yield patch
    settings.cache_clear()


@pytest.fixture(scope="module")
def address(environment: pytest.MonkeyPatch, nudges: Nudges) -> Iterator[str]:
    """Where the application answers."""
    from api.app import create_app

    for module in ("api.announcing", "api.routes.steering", "api.routes.webhooks"):
        environment.setattr(f"{module}.nudge", lambda *nudge: nudges.sent.append(nudge))
    environment.setattr("worker.nudges.stop", lambda: None)  # for the whole process, and other modules still nudge
    server = uvicorn.Server(uvicorn.Config(create_app(), port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine, expire_on_commit=False) as session:
        yield session


@pytest.fixture
def api(address: str, engine: Engine, nudges: Nudges) -> Iterator[httpx.Client]:
    """A client with the bootstrap token, and an empty database."""
    with engine.begin() as connection:
        empty(connection)
    nudges.sent.clear()
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {BOOTSTRAP}"}, timeout=30) as client:
        yield client


@pytest.fixture
def stranger(address: str) -> Iterator[httpx.Client]:
    """A client without a token."""
    with httpx.Client(base_url=address, timeout=30) as client:
        yield client


Make = Callable[..., dict[str, Any]]


@pytest.fixture
def make_credential(api: httpx.Client) -> Make:
    def make(**fields: Any) -> dict[str, Any]:
        body = {"name": "main", "base_url": "https://abc123.api.infobip.com", "api_key": "0123456789abcdef", **fields}
        return created(api.post("/v1/credentials", json=body))

    return make


@pytest.fixture
def make_surface(api: httpx.Client, make_credential: Make) -> Make:
    """A surface; its credential is made, unless the fields name one."""

    def make(**fields: Any) -> dict[str, Any]:
        body = {"name": "otp", "channel": "sms", "message_type": "transactional", "sender": "ACME", **fields}
        body.setdefault("credential", "main")
        if "sending_window" not in body:  # marketing would wait for India's hours, at whatever hour this runs
            body |= {"sending_window": "off", "window_off_reason": "A test runs at any hour"}
        if api.get(f"/v1/credentials/{body['credential']}").status_code == 404:
            make_credential(name=body["credential"])
        return created(api.post("/v1/surfaces", json=body))

    return make


def check_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The one error body, of this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert set(body) <= {"type", "title", "status", "detail", "errors"}
    assert body["title"]
    assert body["detail"]
    for error in body.get("errors", []):
        assert set(error) <= {"index", "field", "message"}
    return body


def block_then_terminate(engine: Engine, lock: str) -> None:
    """Hold `lock` until a backend waits for it, and end that one."""
    with engine.connect() as holder:
        holder.execute(text(lock))
        until = time.monotonic() + 10
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as watcher:
            ended = False
            while not ended and time.monotonic() < until:
                ended = bool(
                    watcher.execute(
                        text(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
                        )
                    ).all()
                )
                time.sleep(0.01)
        holder.rollback()
    assert ended


def created(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body
