"""Logs hold no secrets, texts or numbers, not even when something breaks."""

import subprocess
import sys
import time

import pytest

from worker.errors import RequestRefused
from worker.logs import Seldom

BREAK = """
import logging, structlog
from worker.logs import configure_logging
configure_logging()
def work(api_key, text):
    raise RuntimeError("broken")
try:
    work("planted-key", "planted text to 919900000001")
except RuntimeError:
    structlog.get_logger().exception("task_failed")
    logging.getLogger("celery").exception("Task raised unexpected")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_local_variables(form: str) -> None:
    environment = {"DELIVERY_LOG_FORMAT": form, "PATH": ""}
    run = subprocess.run([sys.executable, "-c", BREAK], capture_output=True, text=True, env=environment)
    assert "RuntimeError" in run.stderr
    assert "planted-key" not in run.stderr.replace('work("planted-key"', "")
    assert "api_key =" not in run.stderr


def test_a_log_line_leaves_out_infobips_own_words() -> None:
    error = RequestRefused("HTTP 400: E400. 919900000001 is not valid. Your code is 4711")
    assert error.brief == "HTTP 400"


def test_what_every_tick_would_repeat_is_said_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    seldom, now = Seldom(10), time.monotonic()
    said = []
    for second in range(25):
        monkeypatch.setattr(time, "monotonic", lambda second=second: now + second)
        said.append(seldom.is_due())
    assert [second for second, was_due in enumerate(said) if was_due] == [0, 10, 20]
