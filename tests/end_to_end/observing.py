"""What the tests of failing servers and processes give to a running system, ask of it, and do beside it."""

import itertools
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

from cli.programs import WORKERS, delivery_command
from tests.end_to_end.conftest import System
from tests.processes import wait_for

FEW = 40  # log lines of one process in a trouble of seconds; a busy loop writes thousands
_blocks = itertools.count()


def recipients(count: int) -> list[str]:
    """So many numbers that no other test has, each of which is simply delivered."""
    assert count <= 9001  # from there on the last four digits choose a fate
    block = next(_blocks)
    return [f"9198{block:04d}{n:04d}" for n in range(count)]


def recipient() -> str:
    return recipients(1)[0]


def recipient_ending(digits: str) -> str:
    """A number that no other test has, with the fate of its last four digits."""
    return f"9198{next(_blocks):04d}{digits}"


def report(message_id: str) -> dict[str, Any]:
    """A push of Infobip's: delivered."""
    status = {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET"}
    error = {"groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR", "permanent": False}
    times = {"sentAt": "2026-11-23T05:30:00.000+0000", "doneAt": "2026-11-23T05:30:01.000+0000"}
    return {"results": [{"messageId": f"{message_id}-1", "to": "1", "status": status, "error": error, **times}]}


def webhook_of(system: System, surface: str) -> str:
    """The path to which Infobip pushes reports."""
    credential = system.get(f"/v1/credentials/{surface.replace('surface', 'account')}")
    return httpx.URL(credential["webhook_urls"]["reports"]).path


def single(surface: str, to: str) -> dict[str, Any]:
    return {"surface": surface, "to": to, "text": "Your code is 4711"}


def assert_unavailable(response: httpx.Response) -> None:
    assert response.status_code == 503, response.text
    assert int(response.headers["Retry-After"]) >= 1
    assert response.headers["Content-Type"] == "application/problem+json"


def until_delivered(system: System, message_id: str) -> dict[str, Any]:
    wait_for(lambda: system.get(f"/v1/messages/{message_id}")["state"] == "delivered", 60, every=0.1)
    return system.get(f"/v1/messages/{message_id}")


def assert_each_delivered_once(system: System, batch: str, numbers: list[str]) -> None:
    ended = system.finished(batch)
    assert {to: message["state"] for to, message in ended.items()} == dict.fromkeys(numbers, "delivered")
    accepted = [item["to"] for item in system.accepted()]
    assert sorted(to for to in accepted if to in ended) == sorted(numbers)


def assert_ticks_arrive(system: System, surface: str) -> None:
    """A message whose first attempt fails is delivered by its second, which only beat brings about."""
    sent = system.post("/v1/messages", single(surface, recipient_ending("9001")), 202)
    assert until_delivered(system, sent["id"])["attempts"] == 2


def log_of(system: System, name: str) -> list[str]:
    return (system.stack.logs_dir / f"{name}.log").read_text().splitlines()


def pids(system: System) -> dict[str, int | None]:
    system.stack.watch()
    return {name: system.stack.pid_of(name) for name in (*WORKERS, "api", "beat")}


def killed_and_back(system: System, name: str) -> None:
    """SIGKILL to a process of the stack, parent and children; returns when another has taken its place."""
    pid = system.stack.pid_of(name)
    assert pid is not None
    os.killpg(os.getpgid(pid), signal.SIGKILL)
    wait_for(lambda: system.stack.watch() or system.stack.pid_of(name) not in (None, pid), 30)


def query(system: System, statement: str, *values: object) -> list[tuple[Any, ...]]:
    dsn = system.stack.database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(dsn) as connection:
        return connection.execute(statement, values).fetchall()


def submissions_of(system: System, surface: str) -> list[tuple[int, str | None]]:
    """The number of messages and the outcome of each, by age."""
    statement = """
        SELECT s.message_count, s.outcome FROM submission s JOIN lane l ON l.id = s.lane_id
        JOIN credential c ON c.id = l.credential_id WHERE c.name = %s ORDER BY s.opened_at
    """
    return query(system, statement, surface.replace("surface", "account"))


@contextmanager
def process(*command: str, environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One `delivery` process of our own beside a stack."""
    with log.open("wb") as file:
        started = subprocess.Popen(
            [*delivery_command(), *command], env=dict(environment), stdout=file, stderr=subprocess.STDOUT
        )
    try:
        yield started
    finally:
        started.terminate()
        started.wait(20)
