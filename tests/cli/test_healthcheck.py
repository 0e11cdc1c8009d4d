"""`delivery healthcheck`, as a container asks it: a process of its own, and its exit code."""

import os
import subprocess
import sys
from pathlib import Path

from tests.http_servers import serving

COMMAND = [sys.executable, "-m", "cli.main", "healthcheck"]


def check(*arguments: str, **environment: str) -> tuple[int, str]:
    """Its exit code, and what it says."""
    run = subprocess.run(
        [*COMMAND, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )
    return run.returncode, run.stderr.strip()


def test_an_api_that_answers_lives() -> None:
    with serving(lambda request: (200 if request.path == "/healthz" else 404, {})) as port:
        assert check("api", "--port", str(port)) == (0, "")


def test_a_worker_that_serves_its_metrics_lives() -> None:
    with serving(lambda request: (200 if request.path == "/metrics" else 404, {})) as port:
        assert check("worker", DELIVERY_METRICS_PORT=str(port)) == (0, "")


def test_one_that_does_not_answer_is_named() -> None:
    with serving(lambda _: (503, {})) as port:
        code, said = check("api", "--port", str(port))
        assert (code, said) == (1, f"delivery: the API does not answer at http://127.0.0.1:{port}/healthz")
    code, said = check("worker", "--port", str(port))
    assert (code, "the worker does not answer" in said) == (1, True)


def test_a_worker_without_metrics_cannot_be_asked() -> None:
    code, said = check("worker", DELIVERY_METRICS_PORT="0")
    assert (code, said) == (
        1,
        "delivery: a worker without metrics cannot be asked: set DELIVERY_METRICS_PORT",
    )


def test_beat_lives_as_long_as_it_goes_round(tmp_path: Path) -> None:
    assert check("beat", TMPDIR=str(tmp_path)) == (1, "delivery: beat has not gone round yet")
    turned = tmp_path / "delivery-beat"
    turned.touch()
    assert check("beat", TMPDIR=str(tmp_path)) == (0, "")
    os.utime(turned, (1, 1))
    code, said = check("beat", TMPDIR=str(tmp_path))
    assert (code, said.startswith("delivery: beat has not gone round for ")) == (1, True)
