"""The whole product as a person runs it: real servers, processes and sandbox, short times, driven over HTTP."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from cli.account import temporary_folder
from cli.embedded_postgres import EmbeddedPostgres
from cli.ports import free_port
from cli.stack import Stack, StackOptions
from tests.paging import items
from tests.processes import wait_for
from worker.migrations import upgrade

LIVE = {"queued", "sending", "sent", "retrying"}
TOKEN = "end-to-end-admin-token"
SHORT = {
    "DELIVERY_BOOTSTRAP_TOKEN": TOKEN,
    "DELIVERY_RETRY_SCHEDULE": "PT1S,PT2S,PT3S",
    "DELIVERY_MISSING_REPORT_AFTER": "PT2S,PT6S",
    "DELIVERY_REPORT_GRACE": "PT2S",
    "DELIVERY_DOUBT_LOOKS": "PT1S,PT2S",
    "DELIVERY_LEASE_SECONDS": "6",
    "DELIVERY_REQUEST_TIMEOUT_SECONDS": "2",
}


@dataclass
class System:
    """A running stack and what tests ask of it."""

    stack: Stack
    http: httpx.Client
    sandbox: httpx.Client
    names: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    def post(self, path: str, body: dict[str, Any], status: int = 201, **headers: str) -> dict[str, Any]:
        response = self.http.post(path, json=body, headers=headers)
        assert response.status_code == status, response.text
        return dict(response.json())

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        response = self.http.get(path, params=query)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def all(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Every item of a list."""
        return list(items(self.http, path, limit=1000, **query))

    def accepted(self, **query: Any) -> list[dict[str, Any]]:
        """What Infobip accepted, one item an acceptance."""
        return list(items(self.sandbox, "/sandbox/messages", limit=10_000, **query))

    def surface(self, **changes: Any) -> str:
        """The name of a new surface with a credential of its own."""
        number = next(self.names)
        credential = {"name": f"account-{number}", "base_url": self.stack.sandbox_url, "api_key": "sandbox-key"}
        self.post("/v1/credentials", credential)
        surface = {
            "name": f"surface-{number}",
            "channel": "sms",
            "message_type": "transactional",
            "credential": f"account-{number}",
            "sender": "KITEBK",
            "principal_entity_id": "1201150000000000001",
            "content_template_id": "1207160000000000001",
            "validity_period": "PT20S",
            "sending_window": "off",
            "window_off_reason": "A test runs at any hour",
            **changes,
        }
        self.post("/v1/surfaces", surface)
        return str(surface["name"])

    def batch(self, surface: str, recipients: list[str], **changes: Any) -> str:
        body = {"surface": surface, "text": "Your parcel is on its way", "messages": [{"to": to} for to in recipients]}
        return str(self.post("/v1/batches", {**body, **changes}, 202)["id"])

    def finished(self, batch: str, seconds: float = 60) -> dict[str, dict[str, Any]]:
        """The batch's messages by recipient, once all are final."""
        wait_for(lambda: self.get(f"/v1/batches/{batch}")["state"] == "done", seconds, every=0.2)
        return {message["to"]: message for message in self.all("/v1/messages", batch=batch)}

    def faults(self, **chosen: Any) -> None:
        self.sandbox.put("/sandbox/faults", json=chosen).raise_for_status()


@contextmanager
def running(stack: Stack) -> Iterator[System]:
    """The stack once it is started, which is before it is ready; stopped in any case."""
    try:
        stack.start()
        with (
            httpx.Client(base_url=stack.api_url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False) as api,
            httpx.Client(base_url=stack.sandbox_url, trust_env=False) as sandbox,
        ):
            yield System(stack, api, sandbox)
    finally:
        stack.stop()


@contextmanager
def reachable_folder(session: pytest.Session) -> Iterator[Path]:
    """A new folder that the servers' account can reach. It stays where a test failed, for the logs in it."""
    folder = temporary_folder("delivery-system-")
    is_well = False
    try:
        yield folder
        is_well = session.testsfailed == 0
    finally:
        if is_well:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"the processes' logs: {folder / 'data' / 'logs'}")  # noqa: T201 - pytest shows it with the failure


@pytest.fixture
def own_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    with reachable_folder(request.session) as folder:
        yield folder


@contextmanager
def new_database(postgres: EmbeddedPostgres, template: str, options: str = "") -> Iterator[str]:
    with psycopg.connect(postgres.dsn_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE own TEMPLATE {template} {options}")
        try:
            upgrade(postgres.url_of("own"))
            yield postgres.url_of("own")
        finally:
            connection.execute("DROP DATABASE own WITH (FORCE)")


@pytest.fixture
def own_database(postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    """The URL of a migrated database for a stack of one's own."""
    with new_database(postgres, migrated_template) as url:
        yield url


def short_options(folder: Path, **environment: str) -> StackOptions:
    """Free ports and short times."""
    return StackOptions(
        folder / "data", free_port(), free_port(), metrics_port=0, workers=2, environment={**SHORT, **environment}
    )


@pytest.fixture(scope="session")
def shared_system(request: pytest.FixtureRequest) -> Iterator[System]:
    with reachable_folder(request.session) as folder, running(Stack(short_options(folder))) as system:
        system.stack.wait_ready()
        yield system


@pytest.fixture
def system(shared_system: System) -> System:
    """The one that tests share, without the faults that another left behind."""
    shared_system.faults()
    return shared_system
