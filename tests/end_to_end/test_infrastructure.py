"""Servers that go away, come back empty, or fail; clocks that are wrong; processes that end: nothing is lost, nothing
is sent twice, and nobody has to help."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

import httpx
import orjson
import psycopg
import pytest
import redis

from cli.embedded import EmbeddedPostgres, EmbeddedRedis
from cli.programs import Program, delivery_command, stack_programs
from cli.up import Stack
from tests.end_to_end.conftest import System, running, short_options
from tests.end_to_end.postgres_proxy import CommitEater
from tests.end_to_end.test_disorder import assert_each_delivered_once, recipients
from tests.processes import answers, free_port, wait_for

WORKERS = ("worker-transactional", "worker-marketing", "worker-upkeep")
WRONG_CLOCK = Path(__file__).with_name("wrong_clock")
FEW = 40  # log lines of one process in a trouble of seconds; a busy loop writes thousands


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


def assert_ticks_arrive(system: System, surface: str, to: str) -> None:
    """A message whose first attempt fails is delivered by its second, which only beat brings about."""
    assert to.endswith("9001")
    sent = system.post("/v1/messages", single(surface, to), 202)
    assert until_delivered(system, sent["id"])["attempts"] == 2


def log_of(system: System, name: str) -> list[str]:
    return (system.stack.logs_dir / f"{name}.log").read_text().splitlines()


def pids(system: System) -> dict[str, int | None]:
    system.stack.watch()
    return {name: system.stack.pid_of(name) for name in (*WORKERS, "api", "beat")}


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


@pytest.fixture
def own_database(postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    """The URL of a migrated database for a stack of one's own."""
    with new_database(postgres, migrated_template) as url:
        yield url


@contextmanager
def new_database(postgres: EmbeddedPostgres, template: str, options: str = "") -> Iterator[str]:
    with psycopg.connect(postgres.dsn_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE own TEMPLATE {template} {options}")
        try:
            yield postgres.url_of("own")
        finally:
            connection.execute("DROP DATABASE own WITH (FORCE)")


# --- Redis


def test_a_redis_that_is_absent_at_start_is_waited_for(own_database: str, own_folder: Path) -> None:
    server = EmbeddedRedis(own_folder / "redis")
    server.start()
    server.stop()  # its address stays
    options = short_options(own_folder, DELIVERY_DATABASE_URL=own_database, DELIVERY_REDIS_URL=server.url)
    try:
        with running(Stack(options)) as system:
            wait_for(lambda: answers(system.stack.api_url + "/readyz"), 60)
            surface = system.surface()
            numbers = recipients("91980001", 20)
            batch = system.batch(surface, numbers, validity_period="PT5M")
            wait_for(lambda: all("Trying again in" in "".join(log_of(system, name)) for name in WORKERS), 30)
            server.start()
            system.stack.wait_ready()
            assert_each_delivered_once(system, batch, numbers)
            assert_ticks_arrive(system, surface, "919800009001")
    finally:
        server.stop()


def test_a_redis_that_was_away_and_comes_back_empty_needs_no_help(system: System) -> None:
    server = system.stack.redis
    assert server is not None
    surface, before = system.surface(), pids(system)
    seen = {name: len(log_of(system, name)) for name in (*WORKERS, "beat")}

    def notices(name: str) -> list[str]:
        return log_of(system, name)[seen[name] :]

    server.stop()
    try:
        numbers = recipients("91980002", 30)
        batch = system.batch(surface, numbers, validity_period="PT5M")
        assert system.http.get("/readyz").json()["status"] == "degraded"
        wait_for(lambda: all("Trying again in" in "".join(notices(name)) for name in WORKERS), 30)
        # Beat says the second where it had not yet reached Redis when that went.
        wait_for(lambda: any(word in "".join(notices("beat")) for word in ("tick_lost", "Trying again in")), 30)
        assert all(len(notices(name)) < FEW for name in WORKERS)
    finally:
        server.start()
    assert_each_delivered_once(system, batch, numbers)
    assert_ticks_arrive(system, surface, "919801009001")
    assert pids(system) == before


def test_a_redis_that_is_emptied_under_way_needs_no_help(system: System) -> None:
    surface, before = system.surface(), pids(system)
    numbers = recipients("91980003", 3000)
    batch = system.batch(surface, numbers, validity_period="PT5M")
    with redis.Redis.from_url(system.stack.redis_url) as client:
        while system.get(f"/v1/batches/{batch}")["state"] != "done":
            client.flushall()
    assert_each_delivered_once(system, batch, numbers)
    more = recipients("91980004", 30)
    assert_each_delivered_once(system, system.batch(surface, more), more)
    assert_ticks_arrive(system, surface, "919802009001")
    assert pids(system) == before


def test_workers_go_on_consuming_after_their_connections_broke_again_and_again(system: System) -> None:
    surface, before = system.surface(), pids(system)
    with redis.Redis.from_url(system.stack.redis_url) as client:
        for part in range(6):
            numbers = recipients(f"9198005{part}", 20)
            batch = system.batch(surface, numbers, validity_period="PT5M")
            client.client_kill_filter(_type="normal", skipme=True)
            assert_each_delivered_once(system, batch, numbers)
    assert_ticks_arrive(system, surface, "919803009001")
    assert pids(system) == before


# --- PostgreSQL


@contextmanager
def locked(system: System, table: str) -> Iterator[None]:
    server = system.stack.postgres
    assert server is not None
    with psycopg.connect(server.dsn) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


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
    known = system.post("/v1/messages", single(surface, "919800060001"), 202)["id"]
    until_delivered(system, known)
    keys = [uuid4().hex for _ in range(10)]

    def send(number: int) -> httpx.Response:
        body = single(surface, f"91980007{stop:02d}{number:02d}")
        return system.http.post("/v1/messages", json=body, headers={"Idempotency-Key": keys[number]}, timeout=60)

    def push(_: int) -> httpx.Response:
        return system.http.post(webhook, json=report(known), timeout=60)

    with ThreadPoolExecutor(20) as threads:
        try:
            with locked(system, "message"):
                in_flight = [threads.submit(work, number) for number in range(10) for work in (send, push)]
                # The pushes share one transaction. Each lets go of the lock by itself after 5 s.
                wait_for(lambda: waiting_for_a_lock(system) >= len(keys) + 1, 5)
                os.kill(server.pid, stop)
                # Nothing starts the server again before our next `watch`.
                wait_for(lambda: not server.is_running, 30)
        except psycopg.OperationalError:
            pass  # our own connection, too, has gone
        for response in [future.result() for future in in_flight]:
            assert_unavailable(response)
    assert_unavailable(send(0))
    assert_unavailable(push(0))
    assert_unavailable(system.http.get("/readyz"))
    wait_for(lambda: system.stack.watch() or system.http.get("/readyz").status_code == 200, 60)
    assert push(0).status_code == 200
    for response in map(send, range(10)):
        assert response.status_code == 202
        until_delivered(system, response.json()["id"])
    assert_ticks_arrive(system, surface, f"919800{stop:02d}9001")
    assert pids(system) == before


def test_a_locked_table_costs_503_and_no_busy_loop(system: System) -> None:
    surface = system.surface()
    numbers = recipients("91980008", 200)
    batch = system.batch(surface, numbers, validity_period="PT5M")
    names = (*WORKERS, "api", "beat")
    with locked(system, "message"):
        seen = {name: len(log_of(system, name)) for name in names}
        headers = {"Idempotency-Key": uuid4().hex}
        body = single(surface, "919800080999")
        assert_unavailable(system.http.post("/v1/messages", json=body, headers=headers, timeout=60))
        written = {name: len(log_of(system, name)) - seen[name] for name in names}
        assert all(count < FEW for count in written.values()), written
    sent = system.post("/v1/messages", body, 202, **headers)
    until_delivered(system, sent["id"])
    assert_each_delivered_once(system, batch, numbers)


# --- a commit whose answer is lost


@pytest.fixture
def eater(system: System) -> Iterator[CommitEater]:
    assert system.stack.postgres is not None
    with CommitEater(system.stack.postgres.socket_folder / ".s.PGSQL.5432") as proxy:
        yield proxy


@pytest.fixture
def far_api(system: System, eater: CommitEater, tmp_path: Path) -> Iterator[httpx.Client]:
    """An API of our own which reaches the database through the proxy only."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    database = f"postgresql://postgres@127.0.0.1:{eater.port}/delivery"
    environment = {**system.stack.environment, "DELIVERY_DATABASE_URL": database}
    with (
        process("api", "--port", str(port), environment=environment, log=tmp_path / "api.log"),
        httpx.Client(base_url=url, headers=system.http.headers, trust_env=False) as client,
    ):
        wait_for(lambda: answers(url + "/readyz"), 30)
        client.get("/v1/batches").raise_for_status()  # knows our token from now on
        yield client


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/messages"])
def test_a_commit_whose_answer_was_lost_is_done_once(
    system: System, eater: CommitEater, far_api: httpx.Client, path: str
) -> None:
    surface = system.surface()
    to = {"/v1/batches": "919800090001", "/v1/messages": "919800090002"}[path]
    body = (
        single(surface, to) if path == "/v1/messages" else {"surface": surface, "text": "x", "messages": [{"to": to}]}
    )
    headers = {"Idempotency-Key": uuid4().hex}
    eater.lose_next()
    assert_unavailable(far_api.post(path, json=body, headers=headers))
    assert eater.has_lost
    first = far_api.post(path, json=body, headers=headers)
    assert (first.status_code, far_api.post(path, json=body, headers=headers).json()) == (202, first.json())
    (message,) = system.all("/v1/messages", to=to)
    assert first.json()["id"] in (message["id"], message["batch_id"])
    until_delivered(system, message["id"])
    assert len(system.accepted(to=to)) == 1


def test_a_report_whose_commit_was_not_told_comes_again_and_counts_once(
    system: System, eater: CommitEater, far_api: httpx.Client
) -> None:
    surface = system.surface()
    webhook = webhook_of(system, surface)
    sent = system.post("/v1/messages", single(surface, "919800090003"), 202)["id"]
    until_delivered(system, sent)
    before = len(system.all("/v1/reports", message=sent))
    far_api.post(webhook, json={"results": []}).raise_for_status()
    eater.lose_next()
    assert_unavailable(far_api.post(webhook, json=report(sent)))
    assert eater.has_lost
    for _ in range(2):
        assert far_api.post(webhook, json=report(sent)).status_code == 200
    assert len(system.all("/v1/reports", message=sent)) == before + 1


# --- processes


def test_a_worker_that_is_asked_to_stop_finishes_the_request_in_hand(
    system: System, capfd: pytest.CaptureFixture[str]
) -> None:
    surface = system.surface(message_type="marketing")
    numbers = recipients("91980010", 20)
    system.faults(answer_seconds=1.2)
    batch = system.batch(surface, numbers, validity_period="PT5M")
    wait_for(lambda: submissions_of(system, surface))
    pid = system.stack.pid_of("worker-marketing")
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    assert submissions_of(system, surface) == [(20, None)]
    wait_for(lambda: system.stack.watch() or system.stack.pid_of("worker-marketing") != pid, 30)
    assert f"worker-marketing (pid {pid}) ended with status 0; starting it again" in capfd.readouterr().err
    assert submissions_of(system, surface) == [(20, "answered")]
    system.faults()
    assert_each_delivered_once(system, batch, numbers)


def test_a_second_beat_does_no_harm(system: System, tmp_path: Path) -> None:
    def beats(client: "redis.Redis") -> int:
        """How many connections put ticks of the sweep on the queue within a few ticks."""
        sources = set()
        with client.monitor() as monitor:
            pushes = (c for c in monitor.listen() if c["command"].startswith("LPUSH upkeep"))
            for _, push in zip(range(12), pushes, strict=False):
                sources.add(push["client_port"])
        return len(sources)

    surface = system.surface()
    numbers = recipients("91980011", 200)
    with (
        process("beat", environment=system.stack.environment, log=tmp_path / "beat.log") as second,
        redis.Redis.from_url(system.stack.redis_url) as client,
    ):
        wait_for(lambda: beats(client) == 2, 60)
        batch = system.batch(surface, numbers, validity_period="PT5M")
        assert_each_delivered_once(system, batch, numbers)
        assert_ticks_arrive(system, surface, "919804009001")
        assert second.poll() is None
    assert [count for count, _ in submissions_of(system, surface)] == [200, 1, 1]


# --- clocks


@pytest.fixture
def faketime() -> str:
    """The path of libfaketime."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        missing("libfaketime (Debian's package faketime)")
    return str(found[0])


def missing(what: str) -> NoReturn:
    """The test cannot run. In CI that is a failure: `.ci/run` installs what is needed."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{what} is missing")


def with_clock(programs: list[Program], faketime: str, clock: Path) -> list[Program]:
    """The workers and beat by a clock of their own, which is off by what stands in a file."""
    environment = {
        "LD_PRELOAD": faketime,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": os.pathsep.join([str(WRONG_CLOCK), os.environ.get("PYTHONPATH", "")]),
    }
    return [
        replace(program, environment={**program.environment, **environment})
        if program.name in (*WORKERS, "beat")
        else program
        for program in programs
    ]


def hours_off(line: str) -> int:
    """By how many hours the clock was wrong of which a log line tells."""
    off = datetime.fromisoformat(orjson.loads(line)["timestamp"]) - datetime.now(UTC)
    return round(off / timedelta(hours=1))


@pytest.mark.parametrize("hours", [1, -1], ids=["ahead", "behind"])
def test_a_clock_that_steps_by_an_hour_does_no_harm(
    faketime: str, own_database: str, own_folder: Path, hours: int
) -> None:
    clock = own_folder / "clock"
    clock.write_text("+0s")
    options = short_options(own_folder, DELIVERY_DATABASE_URL=own_database)
    programs = stack_programs(port=options.port, sandbox_port=options.sandbox_port, metrics_port=0, workers=2)
    with running(Stack(options, with_clock(programs, faketime, clock))) as system:
        system.stack.wait_ready()
        began, before = datetime.now(UTC), pids(system)
        surface = system.surface()
        step_clock(system, clock, hours)
        delivered, expiring = recipients("91980012", 50), "919800129002"
        ended = system.post("/v1/messages", {**single(surface, expiring), "validity_period": "PT10S"}, 202)["id"]
        batch = system.batch(surface, delivered, validity_period="PT1M")
        assert_each_delivered_once(system, batch, delivered)
        assert_ticks_arrive(system, surface, "919805009001")
        wait_for(lambda: system.get(f"/v1/messages/{ended}")["state"] == "expired", 60, every=0.2)
        message, tries = system.get(f"/v1/messages/{ended}"), system.accepted(to=expiring)
        assert len(tries) == message["attempts"] >= 2
        assert all(item["accepted_at"] < message["expires_at"] for item in tries)
        times = query(system, "SELECT started_at, answered_at FROM attempt")
        assert times
        assert all(began <= instant <= datetime.now(UTC) for row in times for instant in row)
        assert pids(system) == before


def step_clock(system: System, clock: Path, hours: int) -> None:
    """Returns when every worker logs by the new time, of which a lost connection gives it reason."""
    seen = {name: len(log_of(system, name)) for name in WORKERS}
    clock.write_text(f"{hours * 3600:+d}s")

    def has_stepped(name: str) -> bool:
        return any(line.startswith("{") and hours_off(line) == hours for line in log_of(system, name)[seen[name] :])

    with redis.Redis.from_url(system.stack.redis_url) as client:
        while not all(map(has_stepped, WORKERS)):
            client.client_kill_filter(_type="normal", skipme=True)
            time.sleep(0.5)


# --- a full disk


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
        waiting, more = recipients("9198013", 3000), recipients("9198014", 3000)
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
