"""A session on real PostgreSQL, empty before each test, and settings of the test's own."""

from collections.abc import Iterator

import httpx
import pytest
import redis
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text
from sqlmodel import Session

from tests.factories import MadeLane, empty, make_lane
from tests.processes import running_sandbox
from tests.receivers import Receiver
from tests.worker.filling import FILLED
from tests.worker.pushes import allowed_receiver
from tests.worker.steps import set_faults
from worker.db import make_engine
from worker.infobip.client import Infobip
from worker.log_budget import LogBudget
from worker.lookups import Lookups
from worker.pushing import Pusher
from worker.rates import Rates
from worker.sending import Dispatcher
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
        empty(connection)
    with Session(engine, expire_on_commit=False) as session:
        yield session


@pytest.fixture(scope="module")
def no_autovacuum(engine: Engine) -> Iterator[None]:
    """What the planner knows is the test's to say: a visit in the middle of a fill would tell it something else."""
    with engine.begin() as connection:
        for table in FILLED:
            connection.execute(text(f"ALTER TABLE {table} SET (autovacuum_enabled = false)"))
    yield
    with engine.begin() as connection:
        for table in FILLED:
            connection.execute(text(f"ALTER TABLE {table} RESET (autovacuum_enabled)"))


@pytest.fixture
def lane(session: Session) -> MadeLane:
    """A lane that leads nowhere: what comes of its submissions, the test says."""
    return make_lane(session)


@pytest.fixture(scope="package")
def sandbox() -> Iterator[str]:
    with running_sandbox("--logs-per-minute", "100000") as url:
        yield url


@pytest.fixture
def sandbox_lane(session: Session, sandbox: str) -> MadeLane:
    """A lane that leads to the sandbox, which is without faults and remembers nothing."""
    set_faults(sandbox, report_seconds=0.0)
    httpx.delete(sandbox + "/sandbox/log")
    return make_lane(session, base_url=sandbox)


@pytest.fixture
def infobip() -> Iterator[Infobip]:
    with Infobip(request_timeout_seconds=5.0) as client:
        yield client


@pytest.fixture
def client(redis_url: str) -> Iterator["redis.Redis"]:
    """A connection to Redis."""
    with redis.Redis.from_url(redis_url, socket_connect_timeout=1) as client:
        yield client


@pytest.fixture
def budget(client: "redis.Redis") -> LogBudget:
    """Calls of the logs, more than any test makes."""
    budget = LogBudget(client)
    budget.take = lambda *_, **__: 0.0  # type: ignore[method-assign]
    return budget


@pytest.fixture
def lookups(engine: Engine, infobip: Infobip, budget: LogBudget, fresh_settings: Settings) -> Lookups:
    return Lookups(engine, infobip, budget, fresh_settings, lambda *_: None)


@pytest.fixture
def receiver(fresh_settings: Settings) -> Iterator[Receiver]:
    """A receiver of events that may be pushed to, and that checks signatures."""
    with allowed_receiver(fresh_settings) as receiver:
        yield receiver


@pytest.fixture
def pusher(engine: Engine, fresh_settings: Settings) -> Pusher:
    return Pusher(engine, fresh_settings)


@pytest.fixture
def dispatcher(engine: Engine, infobip: Infobip, client: "redis.Redis", fresh_settings: Settings) -> Dispatcher:
    return Dispatcher(engine, infobip, Rates(client), fresh_settings, lambda *_: None)
