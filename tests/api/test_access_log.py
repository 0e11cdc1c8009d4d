"""The form of log lines as the API writes them: one JSON object each, whatever is in it."""

import json
import os
import subprocess
import sys

import orjson

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
