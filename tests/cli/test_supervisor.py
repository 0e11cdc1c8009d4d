"""The supervisor with small children of our own instead of the product's processes."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.child import Child
from cli.errors import CommandError
from cli.processes import is_alive, wait_until_gone
from cli.supervisor import QUICK_EXITS, Supervisor

SLEEP = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (15, 3)]; print('up', flush=True); time.sleep(60)"
)
TELLING = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print(time.monotonic()), sys.exit()))
print("up", flush=True)
time.sleep(60)
"""
# A leader with a child of its own, as a Celery worker has; prints the child's pid.
POOL = "import os, time; pid = os.fork(); pid and print(pid, flush=True); time.sleep(60)"


class Run:
    """A supervisor with what it said."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.supervisor = Supervisor(self.said.append)
        self.folder = folder

    def child(self, name: str, code: str) -> Child:
        child = Child(name, [sys.executable, "-c", code], self.folder / f"{name}.log")
        self.supervisor.add(child)
        child.launch()
        return child

    def watch_until(self, is_done: Callable[[], bool], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not is_done():
            assert time.monotonic() < deadline, self.said
            self.supervisor.watch()
            time.sleep(0.02)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    yield made
    made.supervisor.hurry()
    made.supervisor.stop()


def test_child_killed_by_a_signal_is_started_again_and_the_line_says_who_and_why(run: Run) -> None:
    child = run.child("worker", SLEEP)
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    run.watch_until(lambda: child.pid != first)
    assert child.is_running
    assert run.said == [f"worker (pid {first}) was killed by SIGKILL; starting it again"]


def test_child_killed_by_signals_is_started_again_however_often(run: Run) -> None:
    child = run.child("worker", "import os; os.kill(os.getpid(), 9)")
    run.watch_until(lambda: len(run.said) > QUICK_EXITS + 2)
    assert child.pid


def test_child_that_ends_by_itself_five_times_at_once_stops_all_with_its_last_lines(run: Run) -> None:
    run.child("api", "print('DELIVERY_LEASE_SECONDS: too short'); raise SystemExit(2)")
    with pytest.raises(CommandError) as raised:
        run.watch_until(lambda: False)
    assert str(raised.value).startswith("api ended 5 times at once, last with status 2:\n")
    assert "DELIVERY_LEASE_SECONDS: too short" in str(raised.value)
    assert len(run.said) == QUICK_EXITS - 1


def test_child_that_ends_by_itself_later_is_started_again(run: Run) -> None:
    child = run.child("beat", "import time; time.sleep(0.2)")
    child.started_at -= 60
    run.watch_until(lambda: bool(run.said))
    assert run.said[0].endswith("ended with status 0; starting it again")


def test_pool_processes_of_a_killed_leader_die_with_it(run: Run) -> None:
    child = run.child("worker", POOL)
    run.watch_until(lambda: child.log_path.read_text().endswith("\n"))
    orphan = int(child.log_path.read_text())
    leader = child.pid
    assert leader is not None
    os.kill(leader, signal.SIGKILL)
    run.watch_until(lambda: child.pid != leader)
    assert wait_until_gone([orphan], 2) == []


def test_stop_asks_wave_by_wave_in_the_order_given(run: Run) -> None:
    children = [run.child(name, TELLING) for name in ("sandbox", "worker", "api")]
    run.watch_until(lambda: all(child.log_path.read_text() for child in children))
    run.supervisor.stop(["api"], ["worker"])
    told = {child.name: float(child.log_path.read_text().split()[1]) for child in children}
    assert sorted(told, key=told.__getitem__) == ["api", "worker", "sandbox"]


def test_children_that_ignore_signals_are_gone_within_the_time_allowed(run: Run) -> None:
    children = [run.child(f"worker-{number}", STUBBORN) for number in range(3)]
    for child in children:
        child.stop_plan = ((signal.SIGTERM, 0.5), (signal.SIGQUIT, 0.2))
    run.watch_until(lambda: all(child.log_path.read_text() for child in children))
    started = time.monotonic()
    run.supervisor.stop([child.name for child in children])
    assert 0.6 < time.monotonic() - started < 2
    assert not any(child.is_running for child in children)


def test_hurried_stop_kills_at_once(run: Run) -> None:
    child = run.child("worker", STUBBORN)
    run.watch_until(lambda: bool(child.log_path.read_text()))
    started = time.monotonic()
    run.supervisor.hurry()
    run.supervisor.stop()
    assert time.monotonic() - started < 1
    assert not is_alive(child.pid or 0)


def test_children_stay_in_our_session_yet_ctrl_c_on_the_terminal_reaches_us_alone(run: Run) -> None:
    child = run.child("worker", SLEEP)
    assert child.pid is not None
    assert os.getsid(child.pid) == os.getsid(0)
    assert os.getpgid(child.pid) == child.pid != os.getpgrp()


def test_only_warnings_and_worse_are_shown(run: Run) -> None:
    run.child("api", 'print(\'{"level": "info"}\\n{"event": "x", "level": "error"}\\nDEBUG y\', flush=True)\n' + SLEEP)
    run.watch_until(lambda: bool(run.said))
    assert run.said == ["api | error: x"]


def test_program_that_does_not_exist_is_one_line(run: Run) -> None:
    child = Child("ghost", ["/nowhere/ghost"], run.folder / "ghost.log")
    with pytest.raises(CommandError, match=r"^cannot start ghost: .*No such file.*ghost'$"):
        child.launch()
