"""Ends a process that the bench has started."""

import subprocess
from typing import Any

_STOP_SECONDS = 10.0


def end(process: "subprocess.Popen[Any]") -> None:
    """Asked first, then made to."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
