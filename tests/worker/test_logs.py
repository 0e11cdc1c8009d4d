"""Log lines: one JSON object each, whatever is in it; no secrets, texts or numbers, not even when something breaks."""

import json
import os
import subprocess
import sys
import time

import orjson
import pytest

from worker.logs import Seldom

WRITE = """
import structlog
from worker.logs import configure_logging
configure_logging()
log = structlog.get_logger()
structlog.contextvars.bind_contextvars(request_id="abc")
log.info("request", route="/v1/messages", status=202)
log.debug("unseen")
log.warning("odd", half="\\ud800", big=2**80, kind=ValueError)
try:
    raise KeyError("x")
except KeyError:
    log.exception("broken")
"""


def test_each_line_is_one_json_object_with_time_level_and_request() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WRITE], capture_output=True, env={"DELIVERY_LOG_FORMAT": "json", "PATH": ""}, check=True
    )
    request, odd, broken = (json.loads(line) for line in run.stderr.splitlines())
    assert request == {
        "event": "request",
        "route": "/v1/messages",
        "status": 202,
        "request_id": "abc",
        "level": "info",
        "timestamp": request["timestamp"],
    }
    assert orjson.loads(run.stderr.splitlines()[0]) == request
    assert (odd["event"], odd["big"], odd["half"]) == ("odd", 2**80, "\ud800")
    assert broken["level"] == "error"
    assert "KeyError: 'x'" in broken["exception"]


def test_line_that_cannot_be_written_is_lost_and_what_was_at_work_goes_on() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        command = [sys.executable, "-c", WRITE + "\nprint('went on')"]
        run = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=full, env={"DELIVERY_LOG_FORMAT": "json", "PATH": ""}
        )
    finally:
        os.close(full)
    assert run.stdout == b"went on\n"


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


NUMBER = "919876501234"
FAIL = f"""
from sqlalchemy import text
from worker.logs import configure_logging
configure_logging()
from worker.db import engine
from worker.tasks import _shrugging
def store_twice():
    with engine().begin() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE recipient (number text PRIMARY KEY)"))
        for _ in range(2):
            connection.execute(text("INSERT INTO recipient VALUES ('{NUMBER}')"))
with _shrugging("deliver_lane"):
    store_twice()
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_task_that_fails_says_where_and_nothing_of_the_row_that_the_database_quotes(
    form: str, database_url: str
) -> None:
    environment = {
        "DELIVERY_LOG_FORMAT": form,
        "DELIVERY_DATABASE_URL": database_url,
        "DELIVERY_REDIS_URL": "redis://127.0.0.1:9/0",
    }
    run = subprocess.run(
        [sys.executable, "-c", FAIL], capture_output=True, text=True, env={**os.environ, **environment}, check=True
    )
    for said in ("task_failed", "deliver_lane", "IntegrityError", "23505", "store_twice"):
        assert said in run.stderr
    parts = {NUMBER[start : start + 6] for start in range(len(NUMBER) - 5)}
    assert [part for part in parts if part in run.stdout + run.stderr] == []


def test_what_every_tick_would_repeat_is_said_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    seldom, now = Seldom(), time.monotonic()
    said = []
    for second in range(25):
        monkeypatch.setattr(time, "monotonic", lambda second=second: now + second)
        said.append(seldom.is_due())
    assert [second for second, was_due in enumerate(said) if was_due] == [0, 10, 20]
