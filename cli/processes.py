"""Processes as the kernel tells of them: who runs, under which command line, and who dies with whom."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_PROC = Path("/proc")
_HAS_PROC = (_PROC / "self/stat").exists()
# Numbers of <linux/prctl.h>.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def command_lines() -> Iterator[tuple[int, str]]:
    """Every process id with its command line; zombies have none and are left out."""
    if _HAS_PROC:
        for folder in _PROC.iterdir():
            if folder.name.isdigit() and (line := command_line(int(folder.name))):
                yield int(folder.name), line
        return
    for row in _ps("-ax", "-o", "pid=,command=").splitlines():
        pid, _, line = row.strip().partition(" ")
        yield int(pid), line


def command_line(pid: int) -> str:
    """The command line of a process, words parted by spaces; empty if there is no such process."""
    if _HAS_PROC:
        try:
            return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""
    return _ps("-o", "command=", "-p", str(pid)).strip()


def _ps(*arguments: str) -> str:
    """For systems without /proc."""
    command = ["ps", "-ww", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def is_alive(pid: int) -> bool:
    """False for a zombie too: in a container nobody may ever reap it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return not _HAS_PROC


def marked_processes(mark: str) -> list[int]:
    """Processes, this one excepted, that were started with `mark` (NAME=VALUE) in their environment."""
    if not _HAS_PROC:
        return []
    found = []
    for folder in _PROC.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def send_signal(pid: int, number: int) -> None:
    """Sends a signal to a process that may have gone meanwhile."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def wait_until_gone(pids: list[int], seconds: float) -> list[int]:
    """Waits for processes that need not be ours. Gives those that are left."""
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def stop_strangers(pids: list[int], *steps: tuple[int, float]) -> None:
    """Sends each (signal, seconds to wait) in turn to those still alive, SIGKILL at the end."""
    for number, seconds in (*steps, (signal.SIGKILL, 2.0)):
        for pid in pids:
            send_signal(pid, number)
        pids = wait_until_gone(pids, seconds)


def die_with_parent(number: int) -> Callable[[], None] | None:
    """A `preexec_fn` that has the kernel send `number` to the child when the thread that started it ends.
    None where the kernel has no such thing; stale servers and children are then found at the next start."""
    if sys.platform != "linux":
        return None
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return arrange


def adopt_orphans() -> None:
    """Processes whose parent dies below us become our children, so that they can be reaped."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap_orphans(known: set[int]) -> None:
    """Reaps dead children that are none of `known`, whose status somebody else waits for."""
    if sys.platform != "linux":
        return
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None or dead.si_pid in known:
                return
            os.waitpid(dead.si_pid, os.WNOHANG)
        except ChildProcessError:
            return
