"""What processes use, by the kernel's books."""

import subprocess
import sys

from bench.usage import cpu_seconds, descendants, own_mebibytes, peak_mebibytes, resident_mebibytes
from tests.processes import wait_for

_BURN = "import time\nends = time.process_time() + 0.2\nwhile time.process_time() < ends: pass\n"
# A parent that waits for one child and keeps another; says so when the first is gone.
_FAMILY = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {_BURN!r}])
kept = subprocess.Popen([sys.executable, "-c", {_BURN!r} + "input()"], stdin=subprocess.PIPE)
print("reaped", flush=True)
input()
"""


def test_a_process_counts_with_its_children_dead_or_alive() -> None:
    command = [sys.executable, "-c", _FAMILY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdout.readline()
        (kept,) = descendants(parent.pid)
        wait_for(lambda: cpu_seconds(kept) >= 0.2)
        assert cpu_seconds(parent.pid) >= 0.4
        assert peak_mebibytes(kept) >= resident_mebibytes(kept) > own_mebibytes(kept) / 2 > 0
        parent.stdin.write(b"\n")


def test_a_process_that_is_gone_uses_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert cpu_seconds(process.pid) == peak_mebibytes(process.pid) == own_mebibytes(process.pid) == 0
    assert descendants(process.pid) == []
