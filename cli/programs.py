"""The processes of a stack beside its servers: how each is called, and how it shows that it is ready."""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cli.readiness import answers_ok, worker_is_ready

SEND_QUEUES = ("transactional", "marketing")
QUEUES = (*SEND_QUEUES, "upkeep")  # in this order their workers take the ports of metrics
WORKERS = tuple(f"worker-{queue}" for queue in QUEUES)


@dataclass(frozen=True)
class Program:
    """`is_ready` is asked with the path of the program's log."""

    name: str
    argv: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_ready: Callable[[Path], bool] = lambda _: True


def delivery_command() -> list[str]:
    """The console script of this very environment, so that `ps` shows `delivery worker`; without an installation,
    the module."""
    script = Path(sys.executable).with_name("delivery")
    found = str(script) if script.exists() else shutil.which("delivery")
    return [found] if found else [sys.executable, "-m", "cli.main"]


def stack_programs(
    *,
    port: int,
    sandbox_port: int,
    metrics_port: int,
    workers: int,
    sandbox_options: Sequence[str] = (),
    worker_command: Sequence[str] = (),
) -> list[Program]:
    """In the order of their start. Each worker serves its metrics on a port of its own: `metrics_port` and the two
    after it; 0 switches them off. `worker_command` stands in for the command whose `worker` runs them."""
    command = delivery_command()

    def worker(queue: str, offset: int) -> Program:
        # Three may wait for the network: for Infobip's logs, its inbox, and event endpoints.
        processes = workers if queue in SEND_QUEUES else 4
        return Program(
            f"worker-{queue}",
            [*(worker_command or command), "worker", "--queues", queue, "--processes", str(processes)],
            {"DELIVERY_METRICS_PORT": str(metrics_port + offset if metrics_port else 0)},
            worker_is_ready,
        )

    return [
        Program(
            "sandbox",
            [*command, "sandbox", "--port", str(sandbox_port), *sandbox_options],
            is_ready=_serves(sandbox_port, "/healthz"),
        ),
        Program("api", [*command, "api", "--port", str(port)], is_ready=_serves(port, "/readyz")),
        *(worker(queue, offset) for offset, queue in enumerate(QUEUES)),
        Program("beat", [*command, "beat"]),
    ]


def _serves(port: int, path: str) -> Callable[[Path], bool]:
    return lambda _: answers_ok(port, path)
