"""`delivery healthcheck`: whether a process in this container lives, for who runs it and starts it again.

It asks nothing of PostgreSQL, Redis or Infobip: to start a process again does not bring those back.
"""

import time
from typing import Annotated, Literal

import typer

from cli.errors import CommandError
from cli.options import examples
from cli.readiness import answers_ok

BEAT_SECONDS = 15.0  # it turns every second, and waits some seconds for a Redis that is away
EXAMPLES = examples("delivery healthcheck api --port 8000", "delivery healthcheck worker", "delivery healthcheck beat")


def healthcheck(
    process: Annotated[Literal["api", "worker", "beat"], typer.Argument(help="Which process is asked about.")],
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="Of the API, or of the worker's metrics.", show_default="as set"),
    ] = None,
) -> None:
    """Exit with 0 if the process lives: the API answers, a worker serves its metrics, beat goes round."""
    from worker.settings import settings

    if process == "beat":
        _check_beat()
    elif process == "api":
        _check_port(port or settings().api_port, "/healthz", "the API")
    elif number := port or settings().metrics_port:
        _check_port(number, "/metrics", "the worker")
    else:
        raise CommandError("a worker without metrics cannot be asked: set DELIVERY_METRICS_PORT")


def _check_port(port: int, path: str, who: str) -> None:
    if not answers_ok(port, path):
        raise CommandError(f"{who} does not answer at http://127.0.0.1:{port}{path}")


def _check_beat() -> None:
    from worker.beat import turned_at

    at = turned_at()
    if at is None or time.time() - at > BEAT_SECONDS:
        raise CommandError("beat has not gone round " + ("yet" if at is None else f"for {time.time() - at:.0f} s"))
