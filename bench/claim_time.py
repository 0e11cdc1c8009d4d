"""What a claim costs, in a process with the environment of the stack's own."""

import subprocess
import sys
from typing import Any

import orjson

from bench.errors import MeasureFailed
from bench.stage import Stage, Surface, lane_of

_MOST_SECONDS = 120.0


def claim_cost(stage: Stage, surface: Surface, times: int = 1) -> dict[str, Any]:
    """What bench/claim_cost.py tells of so many claims. Errors: MeasureFailed."""
    command = [sys.executable, "-m", "bench.claim_cost", str(lane_of(stage, surface)), str(times)]
    done = subprocess.run(
        command, env=stage.stack.environment, stdout=subprocess.PIPE, timeout=_MOST_SECONDS, check=False
    )
    if done.returncode:
        raise MeasureFailed("the claim could not be explained")
    told: dict[str, Any] = orjson.loads(done.stdout)
    return told
