"""PostgreSQL restarted, a table locked, its disk full: 503 and no busy loop, then everything goes on by itself."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

from cli.embedded_postgres import EmbeddedPostgres
from cli.programs import WORKERS
from cli.stack import Stack
from tests.end_to_end.conftest import System, new_database, running, short_options
from tests.end_to_end.observing import (
    FEW,
    assert_each_delivered_once,
    assert_ticks_arrive,
    assert_unavailable,
    log_of,
    pids,
    query,
    recipient,
    recipients,
    report,
    single,
    until_delivered,
    webhook_of,
)
from tests.processes import wait_for


@contextmanager
def locked(system: System, table: str) -> Iterator[int]:
    """Gives the process ID of the session that holds the lock."""
    server = system.stack.postgres
    assert server is not None
    with psycopg.connect(server.dsn) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield connection.info.backend_pid


@contextmanager
def stopped(process_id: int) -> Iterator[None]:
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)


def waiting_for_a_lock(system: System) -> int:
    (row,) = query(system, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return int(row[0])


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL], ids=["restarted", "killed"])
def test_a_database_that_restarts_costs_503_and_nothing_else(system: System, stop: signal.Signals) -> None:
    server = system.stack.postgres
    assert server is not None
    assert server.pid is not None
    surface, before = system.surface(), pids(system)
    webhook = webhook_of(system, surface)
    known = system.post("/v1/messages", single(surface, recipient()), 202)["id"]
    until_delivered(system, known)
    numbers, keys = recipients(10), [uuid4().hex for _ in range(10)]

    def send(number: int) -> httpx.Response:
        body = single(surface, numbers[number])
        return system.http.post("/v1/messages", json=body, headers={"Idempotency-Key": keys[number]}, timeout=60)

    def push(_: int) -> httpx.Response:
        return system.http.post(webhook, json=report(known), timeout=60)

    with ThreadPoolExecutor(20) as threads:
        try:
            with locked(system, "message") as holder:
                in_flight = [threads.submit(work, number) for number in range(10) for work in (send, push)]
                # The sends' group commit and the pushes'. Each lets go of the lock by itself after 5 s.
                wait_for(lambda: waiting_for_a_lock(system) >= 2, 5)
                # Who holds the lock goes last. Or who waits for it might get it, and commit, before it is ended itself.
                with stopped(holder):
                    os.kill(server.pid, stop)
                    responses = [future.result() for future in in_flight]
                # Nothing starts the server again before our next `watch`.
                wait_for(lambda: not server.is_running, 30)
        except psycopg.OperationalError:
            pass  # our own connection, too, has gone
        for response in responses:
            assert_unavailable(response)
    assert_unavailable(send(0))
    assert_unavailable(push(0))
    assert_unavailable(system.http.get("/readyz"))
    wait_for(lambda: system.stack.watch() or system.http.get("/readyz").status_code == 200, 60)
    assert push(0).status_code == 200
    responses = [send(number) for number in range(10)]
    for response in responses:
        assert response.status_code == 202
        until_delivered(system, response.json()["id"])
    assert_ticks_arrive(system, surface)
    assert pids(system) == before


def test_a_locked_table_costs_503_and_no_busy_loop(system: System) -> None:
    surface = system.surface()
    numbers = recipients(200)
    batch = system.batch(surface, numbers, validity_period="PT5M")
    names = (*WORKERS, "api", "beat")
    with locked(system, "message"):
        seen = {name: len(log_of(system, name)) for name in names}
        headers = {"Idempotency-Key": uuid4().hex}
        body = single(surface, recipient())
        assert_unavailable(system.http.post("/v1/messages", json=body, headers=headers, timeout=60))
        written = {name: len(log_of(system, name)) - seen[name] for name in names}
        assert all(count < FEW for count in written.values()), written
    sent = system.post("/v1/messages", body, 202, **headers)
    until_delivered(system, sent["id"])
    assert_each_delivered_once(system, batch, numbers)


@pytest.fixture
def small_disk(own_folder: Path, postgres: EmbeddedPostgres) -> Iterator[Path]:
    """A file system of 64 MB that the server's account may write to."""
    disk = own_folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("not permitted here: mounting a small file system")
    try:
        postgres.account.make_folder(disk / "tables")
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def database_on_small_disk(small_disk: Path, postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    """Its tables only: a log that cannot be written stops the whole server, which is a restart as any other."""
    with psycopg.connect(postgres.dsn_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{small_disk / 'tables'}'")
        try:
            with new_database(postgres, migrated_template, "TABLESPACE small") as url:
                yield url
        finally:
            connection.execute("DROP TABLESPACE small")


def test_a_full_disk_costs_503_and_no_busy_loop(
    small_disk: Path, database_on_small_disk: str, own_folder: Path
) -> None:
    with running(Stack(short_options(own_folder, DELIVERY_DATABASE_URL=database_on_small_disk))) as system:
        system.stack.wait_ready()
        surface = system.surface(message_type="marketing")
        waiting, more = recipients(3000), recipients(3000)
        due = datetime.now(UTC) + timedelta(seconds=3)
        batch = system.batch(surface, waiting, validity_period="PT10M", send_at=due.isoformat())
        fill(small_disk / "ballast")
        seen = {name: len(log_of(system, name)) for name in (*WORKERS, "api")}
        body = {
            "surface": surface,
            "text": "x" * 150,
            "validity_period": "PT10M",
            "messages": [{"to": to} for to in more],
        }
        headers = {"Idempotency-Key": uuid4().hex}
        for _ in range(3):
            assert_unavailable(system.http.post("/v1/batches", json=body, headers=headers, timeout=60))
        wait_for(lambda: "database_away" in "".join(log_of(system, "worker-marketing")), 60)
        time.sleep(3)  # for a busy loop to show
        written = {name: len(log_of(system, name)) - seen[name] for name in seen}
        assert all(count < FEW for count in written.values()), written
        (small_disk / "ballast").unlink()
        accepted = system.post("/v1/batches", body, 202, **headers)
        assert_each_delivered_once(system, batch, waiting)
        assert_each_delivered_once(system, accepted["id"], more)


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return
