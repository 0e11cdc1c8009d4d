"""A running system, and a Prometheus that scrapes all of its processes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cli.ports import free_port
from cli.programs import WORKERS, stack_programs
from cli.stack import Stack
from tests.end_to_end.conftest import System, running, short_options
from tests.grafana.prometheus import asked_for, scraping
from tests.processes import wait_for
from tests.tools import needed


@contextmanager
def watched_system(folder: Path, database_url: str, **environment: str) -> Iterator[tuple[System, str, float]]:
    """The system, Prometheus' address, and since when it has seen the system whole."""
    needed("prometheus")
    ports = {worker: free_port() for worker in WORKERS}
    options = short_options(folder, DELIVERY_DATABASE_URL=database_url, **environment)
    programs = [
        replace(program, environment={"DELIVERY_METRICS_PORT": str(ports[program.name])})
        if program.name in ports
        else program
        for program in stack_programs(port=options.port, sandbox_port=options.sandbox_port, metrics_port=0, workers=2)
    ]
    targets = {"api": [f"127.0.0.1:{options.port}"], "worker": [f"127.0.0.1:{port}" for port in ports.values()]}
    watching = folder / "prometheus"
    watching.mkdir()
    with running(Stack(options, programs)) as system, scraping(targets, watching) as url:
        system.stack.wait_ready()
        wait_for(lambda: asked_for(url, "query", query="delivery:batches:max")["result"], 30, every=0.5)
        yield system, url, time.time()
