"""The files in which a worker's processes count, and the port of their sum. In processes of their own: what is shared
is chosen once, at import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.ports import Port, check_free, free_port

PRELUDE = """
import os, signal, sys
from worker.metrics_server import share_metrics, take_place
share_metrics()
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from worker.metrics import events_pushed_total, observe_all, submission_messages, tasks_running

folder = os.environ["PROMETHEUS_MULTIPROC_DIR"]
registry = CollectorRegistry()
MultiProcessCollector(registry)

def forked(work):
    if (child := os.fork()) == 0:
        work()
        os._exit(0)
    return child

def value(name):
    return float(generate_latest(registry).decode().split(chr(10) + name + " ")[1].split(chr(10))[0])

def files():
    return sorted(os.listdir(folder))
"""

THOUSAND_DEATHS = """
def count_and_die(place):
    take_place(place)
    tasks_running.set(1)
    events_pushed_total.inc()
    observe_all(submission_messages, [1, 2, 3])
    os.kill(os.getpid(), signal.SIGKILL)

for turn in range(10):
    os.waitpid(forked(lambda: count_and_die(turn % 4)), 0)
few = files()
for turn in range(990):
    os.waitpid(forked(lambda: count_and_die(turn % 4)), 0)
print(files() == few, value("delivery_events_pushed_total"), value("delivery_submission_messages_count"))
print(value("delivery_submission_messages_sum"), value("delivery_tasks_running"))
os.waitpid(forked(lambda: [take_place(place) for place in range(4)]), 0)
print(value("delivery_tasks_running"))
"""

SIDE_BY_SIDE = """
def count(place):
    take_place(place)
    for _ in range(1000):
        events_pushed_total.inc()

for child in [forked(lambda: count(place)) for place in range(4)]:
    os.waitpid(child, 0)
print(value("delivery_events_pushed_total"))
"""

LEFT_BEHIND = """
print(folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

ORPHANED = """
print(folder, flush=True)
forked(lambda: sys.stdin.read())
os.kill(os.getpid(), signal.SIGKILL)
"""

SERVING = """
from worker.metrics_server import serve_metrics
serve_metrics(PORT)
print(folder, flush=True)
forked(lambda: [take_place(0), print("ready", flush=True), sys.stdin.read()])
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


def start(program: str, folder: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + program],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def output(program: str, folder: Path) -> list[str]:
    said, _ = start(program, folder).communicate(timeout=150)
    return said.split()


def age(folder: str) -> None:
    """As if it had been made an hour ago."""
    os.utime(folder, (1, 1))


def test_a_thousand_dead_processes_leave_as_many_files_as_ten_and_lose_no_count(tmp_path: Path) -> None:
    assert output(THOUSAND_DEATHS, tmp_path) == ["True", "1000.0", "3000.0", "6000.0", "4.0", "0.0"]


def test_processes_side_by_side_count_in_files_of_their_own(tmp_path: Path) -> None:
    assert output(SIDE_BY_SIDE, tmp_path) == ["4000.0"]


def test_the_folder_goes_with_its_worker(tmp_path: Path) -> None:
    (folder,) = output("print(folder)", tmp_path)
    assert not Path(folder).exists()


def test_the_folder_of_a_killed_worker_goes_with_the_start_of_the_next(tmp_path: Path) -> None:
    (left,) = output(LEFT_BEHIND, tmp_path)
    assert Path(left).exists()
    output("", tmp_path)
    assert Path(left).exists()  # it might be a worker's that is just starting
    age(left)
    output("", tmp_path)
    assert not Path(left).exists()


def test_the_folder_of_a_worker_that_lives_stays(tmp_path: Path) -> None:
    living = start("print(folder, flush=True); sys.stdin.read()", tmp_path)
    try:
        folder = str(living.stdout.readline()).strip()  # type: ignore[union-attr]
        age(folder)
        output("", tmp_path)
        assert Path(folder).exists()
    finally:
        living.communicate(timeout=30)


@pytest.mark.timeout(60)
def test_the_folder_stays_as_long_as_a_pool_process_of_a_killed_worker_lives(tmp_path: Path) -> None:
    killed = start(ORPHANED, tmp_path)
    folder = str(killed.stdout.readline()).strip()  # type: ignore[union-attr]
    killed.wait()
    age(folder)
    output("", tmp_path)
    assert Path(folder).exists()
    killed.communicate(timeout=30)  # its standard input ends, and the orphan with it


@pytest.mark.timeout(60)
def test_a_pool_process_that_outlives_its_worker_does_not_keep_its_port(tmp_path: Path) -> None:
    port = free_port()
    worker = start(SERVING.replace("PORT", str(port)), tmp_path)
    assert worker.stdout is not None
    assert worker.stdout.readline()
    assert worker.stdout.readline() == "ready\n"
    with pytest.raises(CommandError):
        check_free([Port(port, "metrics", "")])
    worker.kill()
    worker.wait()
    check_free([Port(port, "metrics", "")])
    worker.communicate(timeout=30)
