"""A whole stack in a process of its own, with the real servers and small programs instead of the product's."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cli.account import temporary_folder
from cli.child import Child
from cli.embedded_postgres import EmbeddedPostgres
from cli.embedded_redis import EmbeddedRedis
from cli.environment import without_settings
from cli.errors import CommandError
from cli.ports import Port, check_free
from cli.processes import command_lines, is_alive, marked_processes
from cli.programs import Program
from cli.stack import _STOP_WAVES, Stack, StackOptions
from cli.supervisor import StopRequested, StopSignals
from tests.processes import wait_for

SCRIPT = """
import sys
from pathlib import Path
from cli.errors import CommandError
from cli.programs import Program
from cli.stack import Stack, StackOptions

pool = "import os, time; os.fork(); time.sleep(60)"
port, data_dir = int(sys.argv[1]), Path(sys.argv[2])
programs = [Program(name, [sys.executable, "-c", pool]) for name in ("api", "worker-marketing")]
options = StackOptions(data_dir, port, port + 1, port + 2, environment={"DELIVERY_LOG_LEVEL": "warning"})
try:
    Stack(options, programs).run()
except CommandError as error:
    sys.exit(f"delivery: {error}")
"""


class Up(subprocess.Popen[str]):
    """`delivery up` in all but the programs."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_ports()
        self.err_file = (folder.parent / f"{folder.name}.err").open("w+")
        command = [sys.executable, "-c", SCRIPT, str(self.port), str(folder)]
        environment = without_settings(os.environ)
        super().__init__(command, stdout=subprocess.PIPE, stderr=self.err_file, text=True, env=environment)

    def wait_ready(self) -> None:
        assert self.stdout is not None
        assert self.stdout.readline() == f"ready http://127.0.0.1:{self.port}\n", self.said()

    def said(self) -> str:
        self.err_file.seek(0)
        return self.err_file.read()

    def processes(self) -> list[int]:
        """Everything that belongs to this stack, PostgreSQL's own processes included."""
        environment = dict(line.split("=", 1) for line in (self.folder / "env").read_text().splitlines())
        redis_port = environment["DELIVERY_REDIS_URL"].rpartition(":")[2].split("/")[0]
        mark = EmbeddedPostgres(self.folder / "postgres")._mark
        named = (f"postgres -D {self.folder}/", f"postgres: {mark}:", f"-server 127.0.0.1:{redis_port}")
        servers = [pid for pid, line in command_lines() if any(name in line for name in named)]
        return servers + marked_processes(f"DELIVERY_STACK={self.folder}")

    def close(self) -> None:
        self.kill()
        self.wait()
        self.err_file.close()
        if self.stdout is not None:
            self.stdout.close()


def free_ports() -> int:
    """The first of five ports in a row that nobody has."""
    for port in range(20_000 + os.getpid() % 10_000, 60_000, 5):
        try:
            check_free([Port(port + offset, "test", "--port") for offset in range(5)])
        except CommandError:
            continue
        return port
    raise AssertionError("no free ports")


@pytest.fixture
def folder() -> Iterator[Path]:
    made = temporary_folder("delivery-test-")
    yield made / "data"
    shutil.rmtree(made, ignore_errors=True)


def test_stack_is_ready_and_leaves_nothing_behind_when_asked_to_stop(folder: Path) -> None:
    up = Up(folder)
    try:
        up.wait_ready()
        # Two programs of two processes, which have to fork first, PostgreSQL with its own, Redis.
        wait_for(lambda: len(up.processes()) >= 2 * 2 + 1 + 4 + 1)
        processes = up.processes()
        started = time.monotonic()
        up.send_signal(signal.SIGTERM)
        assert up.wait(10) == 0
        assert time.monotonic() - started < 10
        assert [pid for pid in processes if is_alive(pid)] == []
        assert not (folder / "env").exists()
        assert up.said().splitlines()[-1] == "stopping"
    finally:
        up.close()


def test_second_stack_on_the_same_folder_is_told_so_and_another_folder_works(folder: Path) -> None:
    first, second, beside = Up(folder), None, Up(folder.parent / "other")
    try:
        first.wait_ready()
        second = Up(folder)
        assert second.wait(10) == 1
        assert re.fullmatch(rf"delivery: another `delivery up` \(pid {first.pid}\) uses .*--data-dir\n", second.said())
        beside.wait_ready()
        assert first.poll() is None
        for up in (first, beside):
            up.send_signal(signal.SIGINT)
        assert [first.wait(10), beside.wait(10)] == [0, 0]
    finally:
        for up in (first, beside, *([second] if second else [])):
            up.close()


def test_stack_that_was_killed_is_replaced_onto_the_same_data(folder: Path) -> None:
    first = Up(folder)
    try:
        first.wait_ready()
        processes = first.processes()
        with psycopg.connect(EmbeddedPostgres(folder / "postgres").dsn) as connection:
            connection.execute("CREATE TABLE kept ()")
    finally:
        first.close()
    second = Up(folder)
    try:
        second.wait_ready()
        assert [pid for pid in processes if is_alive(pid)] == []
        with psycopg.connect(EmbeddedPostgres(folder / "postgres").dsn) as connection:
            connection.execute("SELECT FROM kept")
        second.send_signal(signal.SIGTERM)
        assert second.wait(10) == 0
    finally:
        second.close()


def test_killed_servers_and_programs_come_back(folder: Path) -> None:
    up = Up(folder)
    try:
        up.wait_ready()
        before = up.processes()
        for pid in before:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        server = EmbeddedPostgres(folder / "postgres")
        deadline = time.monotonic() + 10
        while not (server.answers() and len(up.processes()) >= len(before)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(up.processes()) >= len(before)
        assert not set(before) & set(up.processes())
        for name in ("postgres", "redis", "api", "worker-marketing"):
            assert re.search(rf"^{name} \(pid \d+\) was killed by SIGKILL; starting it again$", up.said(), re.M)
        up.send_signal(signal.SIGTERM)
        assert up.wait(10) == 0
    finally:
        up.close()


def test_program_gets_urls_keys_and_hosts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELIVERY_DATABASE_URL", "postgresql://elsewhere/delivery")
    monkeypatch.setenv("DELIVERY_REDIS_URL", "redis://elsewhere")
    tell = "import json, os, time; print(json.dumps(dict(os.environ)), flush=True); time.sleep(60)"
    port = free_ports()
    program = Program("api", [sys.executable, "-c", tell], is_ready=lambda log: log.read_text().endswith("\n"))
    stack = Stack(StackOptions(folder, port, port + 1, 0, environment={"DELIVERY_REPORT_GRACE": "PT5S"}), [program])
    try:
        stack.start()
        stack.wait_ready()
        told = json.loads((folder / "logs" / "api.log").read_text())
    finally:
        stack.stop()
    assert stack.postgres is None
    assert stack.redis is None
    assert told["DELIVERY_DATABASE_URL"] == stack.database_url == "postgresql://elsewhere/delivery"
    assert told["DELIVERY_REPORT_GRACE"] == "PT5S"
    assert told["DELIVERY_PUBLIC_URL"] == stack.api_url == f"http://127.0.0.1:{port}"
    assert told["DELIVERY_BOOTSTRAP_TOKEN"] == (folder / "api_token").read_text().strip()
    assert told["DELIVERY_SECRET_KEYS"] == (folder / "secret_keys").read_text().strip()
    assert told["DELIVERY_ALLOWED_PROVIDER_HOSTS"] == (
        f"api.infobip.com,*.api.infobip.com,127.0.0.1:{port + 1},localhost:{port + 1}"
    )
    assert told["DELIVERY_ALLOWED_MEDIA_HOSTS"] == f"127.0.0.1:{port + 1},localhost:{port + 1}"


def test_port_in_use_is_one_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = Up(folder, port)
        try:
            assert up.wait(10) == 1
            assert up.said() == (
                f"delivery: port {port} (API) is in use; stop what listens there or choose another with --port\n"
            )
        finally:
            up.close()


def test_port_given_twice_is_one_line() -> None:
    ports = [Port(8000, "API", "--port"), Port(8000, "sandbox", "--sandbox-port")]
    with pytest.raises(
        CommandError, match=r"8000 is given to both API and sandbox; choose another with --sandbox-port"
    ):
        check_free(ports)


def test_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    stack = Stack(StackOptions(tmp_path / "file" / "data"), [])
    with pytest.raises(CommandError) as raised:
        stack.start()
    stack.stop()
    assert re.fullmatch(r"cannot write to the data folder \S+: Not a directory; .* --data-dir", str(raised.value))


def test_slowest_stop_fits_into_ten_seconds() -> None:
    plans = [Child.stop_plan, ((0, 1.0),), EmbeddedRedis.stop_plan, EmbeddedPostgres.stop_plan]
    assert len(plans) == len(_STOP_WAVES)
    assert sum(seconds for plan in plans for _, seconds in plan) < 9.6


def test_second_ctrl_c_hurries_and_does_not_interrupt_the_stop() -> None:
    hurried = []
    with StopSignals(lambda: hurried.append(True)):
        with pytest.raises(StopRequested):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert hurried == []
        os.kill(os.getpid(), signal.SIGINT)
        assert hurried == [True]
