"""`delivery demo` as a whole: its ports, and real runs."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.account import temporary_folder
from cli.demo import DemoOptions, _stack_options
from cli.demo_plan import FATES
from cli.demo_replay import SENT_AGAIN
from cli.environment import without_settings

REPLAYED_COUNT = sum(fate.ends_as in SENT_AGAIN for fate in FATES)
COMMAND = [sys.executable, "-m", "cli.main", "demo", "--messages", "300", "--workers", "1"]


def test_ports_not_asked_for_are_free_ones_and_never_the_same() -> None:
    options = _stack_options(DemoOptions(port=8001, metrics_port=0), Path("data"), "token")
    assert (options.port, options.metrics_port) == (8001, 0)
    assert options.sandbox_port != 8001
    free = _stack_options(DemoOptions(), Path("data"), "token")
    assert len({free.port, free.sandbox_port, *(free.metrics_port + offset for offset in range(3))}) == 5


@pytest.fixture
def temporary() -> Iterator[Path]:
    """For TMPDIR: a folder that the servers' account can pass through."""
    made = temporary_folder("delivery-test-")
    yield made
    shutil.rmtree(made, ignore_errors=True)


def demo(temporary: Path) -> subprocess.Popen[str]:
    """A shell that is set up for another database must not matter."""
    root = str(Path(__file__).parents[2])
    environment = {"PYTHONPATH": root, "TMPDIR": str(temporary), "DELIVERY_DATABASE_URL": "postgresql://elsewhere/db"}
    return subprocess.Popen(
        COMMAND,
        cwd=temporary,
        env={**without_settings(os.environ), **environment, "DELIVERY_RETRY_SCHEDULE": "PT1H"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.timeout(120)
def test_demo_ends_as_expected_in_plain_lines_and_leaves_no_folder(temporary: Path) -> None:
    with demo(temporary) as process:
        out, err = process.communicate()
    lines = out.splitlines()
    assert (process.returncode, lines[-1]) == (0, "demo: 300 of 300 as expected"), out + err
    assert "\x1b" not in out
    assert sum("s valid" in line for line in lines) > 10
    assert len([line for line in lines if line.endswith("✓")]) == len(FATES) + REPLAYED_COUNT
    assert "attempt 2: DELIVERED_TO_HANDSET" in out
    assert re.search(r"^ STOP .* 2 suppressed +2 suppressed +✓$", out, re.M)
    assert "✓ nothing of the batch went to the 2 who had opted out" in out
    assert "✓ each STOP and START of a handset was answered once, in 4 replies" in out
    assert "✓ ordered twice, sent once: the second order found all 50 replayed already" in out
    assert "✓ nothing changed in the first batch: its 239 delivered ones were left alone" in out
    assert max(len(line) for line in lines if not re.match(r" *[\d.]+ s  ", line)) <= 80
    assert list(temporary.glob("delivery-demo-*")) == []


@pytest.mark.timeout(60)
def test_ctrl_c_stops_the_demo_and_leaves_no_folder(temporary: Path) -> None:
    with demo(temporary) as process:
        assert process.stderr is not None
        while "logs in" not in process.stderr.readline():  # the servers run, the rest starts
            pass
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert process.returncode == 1
    assert out.splitlines()[-1] == "demo: stopped before its end"
    assert list(temporary.glob("delivery-demo-*")) == []
