"""A stack of the product's as `delivery up` starts it, and what measures ask of it."""

import contextlib
import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
import psycopg
from psycopg import sql

from bench.bodies import CONTENT_TEMPLATE_ID, PRINCIPAL_ENTITY_ID, SENDER, Recipients
from bench.errors import MeasureFailed
from bench.usage import plain_dsn
from cli.account import temporary_folder
from cli.ports import free_port
from cli.stack import Stack, StackOptions
from cli.supervisor import StopSignals

T = TypeVar("T")

TOKEN = "bench-admin-token"  # noqa: S105 - of a stack that lives for minutes on 127.0.0.1
NO_REPORTS = {"report_seconds": 3600.0}  # longer than any stage stands
_CALL_SECONDS = 60.0


@dataclass(frozen=True)
class Surface:
    name: str
    credential_id: str


@dataclass
class Stage:
    """A running stack with clients of its API and of its sandbox. `to` gives recipients, each once."""

    stack: Stack
    api: httpx.Client
    sandbox: httpx.Client
    to: Iterator[str] = field(default_factory=Recipients)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def surface(self, message_type: str) -> Surface:
        """A new surface with DLT IDs, without a rate limit, with an account of its own."""
        name = f"{message_type}-{next(self._numbers)}"
        credential = {"name": name, "base_url": self.stack.sandbox_url, "api_key": "bench-key"}
        credential_id = self.post("/v1/credentials", credential)["id"]
        surface = {
            "name": name,
            "channel": "sms",
            "message_type": message_type,
            "credential": name,
            "sender": SENDER,
            "principal_entity_id": PRINCIPAL_ENTITY_ID,
            "content_template_id": CONTENT_TEMPLATE_ID,
            "sending_window": "off",
            "window_off_reason": "Measured at any hour",
        }
        self.post("/v1/surfaces", surface)
        return Surface(name, credential_id)

    def post(self, path: str, body: Any) -> Any:
        """A JSON body given, a JSON answer back. Errors: MeasureFailed where it is not a 2xx."""
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return _good(self.api.post(path, headers={"Content-Type": "application/json"}, **content)).json()

    def get(self, path: str, **query: Any) -> Any:
        return _good(self.api.get(path, params=query)).json()

    def faults(self, **chosen: float) -> None:
        """What the sandbox does wrong or late, in place of what it did before."""
        _good(self.sandbox.put("/sandbox/faults", json=chosen))

    def accepted_count(self) -> int:
        return int(_good(self.sandbox.get("/sandbox/summary")).json()["accepted"])

    def acceptances(self, start: int, limit: int) -> list[dict[str, Any]]:
        """What Infobip accepted, from the `start`th on, at most 10,000."""
        page = _good(self.sandbox.get("/sandbox/messages", params={"cursor": start, "limit": limit})).json()
        return list(page["items"])

    def wait(self, condition: Callable[[], T], seconds: float, what: str, every: float = 0.1) -> T:
        """The first true value of `condition`, looked at `every` so many seconds. Errors: MeasureFailed."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise MeasureFailed(f"{what}: not within {seconds:g} s")
            self.stack.watch()
            time.sleep(every)
        return value

    def pause(self, seconds: float) -> None:
        """Leave the stack alone."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.stack.watch()
            time.sleep(min(0.5, max(0.0, deadline - time.monotonic())))

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """A look straight into the database, between runs or after one."""
        with psycopg.connect(plain_dsn(self.stack.database_url), autocommit=True) as connection:
            return connection.execute(query, values).fetchall()

    def execute(self, statement: str) -> None:
        """One statement outside any transaction."""
        with psycopg.connect(plain_dsn(self.stack.database_url), autocommit=True) as connection:
            connection.execute(statement)

    def new_database(self, name: str, template: str = "template1") -> str:
        """The DSN of a copy of `template` on the product's server, with the product's durability."""
        with psycopg.connect(plain_dsn(self.stack.database_url), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            )
        head, _, query = plain_dsn(self.stack.database_url).partition("?")
        return f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


def _good(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        raise MeasureFailed(
            f"{response.request.method} {response.url.path}: {response.status_code} {response.text[:300]}"
        )
    return response


def lane_of(stage: Stage, surface: Surface) -> UUID:
    """Where the messages of this surface wait."""
    query = """
        SELECT l.id FROM lane l JOIN surface s ON l.credential_id = s.credential_id
            AND l.channel = s.channel AND l.message_type = s.message_type WHERE s.name = %s
    """
    lane: UUID = stage.rows(query, surface.name)[0][0]
    return lane


@contextlib.contextmanager
def open_stage(workers: int = 2) -> Iterator[Stage]:
    """A new stack in a folder of its own, with `workers` pool processes for each send queue; gone afterwards. What its
    supervisor says goes to a file beside its logs; the folder stays where the measure failed."""
    folder = temporary_folder("delivery-bench-")
    is_well = False
    try:
        with (
            (folder / "supervisor.log").open("w") as log,
            contextlib.redirect_stderr(log),
            _running(folder, workers) as stage,
        ):
            yield stage
        is_well = True
    except MeasureFailed as error:
        raise MeasureFailed(f"{error} (logs: {folder / 'data' / 'logs'})") from error
    finally:
        if is_well:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(folder: Path, workers: int) -> Iterator[Stage]:
    stack = Stack(
        StackOptions(
            folder / "data",
            free_port(),
            free_port(),
            metrics_port=0,
            workers=workers,
            environment={"DELIVERY_BOOTSTRAP_TOKEN": TOKEN},
        )
    )
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with (
        StopSignals(stack.hurry) as signals,
        httpx.Client(base_url=stack.api_url, headers=headers, trust_env=False, timeout=_CALL_SECONDS) as api,
        httpx.Client(base_url=stack.sandbox_url, trust_env=False, timeout=_CALL_SECONDS) as sandbox,
    ):
        stack.stop_signals = signals
        try:
            stack.start()
            stack.wait_ready()
            yield Stage(stack, api, sandbox)
        finally:
            signals.is_stopping = True
            stack.stop()
