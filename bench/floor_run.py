"""The floor's turn on a stage: a database of its own on the same server, one or two connections at once."""

import itertools
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import psycopg

from bench import floor
from bench.bodies import CALLBACK_DATA, CONTENT_TEMPLATE_ID, PRINCIPAL_ENTITY_ID, SENDER, TEXT
from bench.errors import MeasureFailed
from bench.stage import Stage
from bench.usage import cpu_seconds, plain_dsn
from worker.migrations import upgrade

DATABASE = "floor"
TEMPLATE = "floor_template"
_CONFIGURATION = ("credential", "lane", "surface")
_VALIDITY_SECONDS = 48 * 3600


@dataclass(frozen=True)
class FloorRate:
    """One run: seconds to all accepted and to all final, CPU seconds of PostgreSQL and of the clients."""

    messages: int
    connections: int
    accepted_seconds: float
    final_seconds: float
    server_cpu_seconds: float
    client_cpu_seconds: float

    @property
    def accepted_per_second(self) -> float:
        return self.messages / self.accepted_seconds

    @property
    def final_per_second(self) -> float:
        return self.messages / self.final_seconds

    @property
    def cpu_us(self) -> float:
        """Of one message, to its final report."""
        return (self.server_cpu_seconds + self.client_cpu_seconds) / self.messages * 1e6

    @property
    def server_cpu_us(self) -> float:
        return self.server_cpu_seconds / self.messages * 1e6

    def __add__(self, other: "FloorRate") -> "FloorRate":
        """Two turns with as many connections."""
        return FloorRate(
            self.messages + other.messages,
            self.connections,
            self.accepted_seconds + other.accepted_seconds,
            self.final_seconds + other.final_seconds,
            self.server_cpu_seconds + other.server_cpu_seconds,
            self.client_cpu_seconds + other.client_cpu_seconds,
        )

    def as_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "accepted_per_second": self.accepted_per_second,
            "final_per_second": self.final_per_second,
            "cpu_us_per_message": self.cpu_us,
        }


def run_floor(stage: Stage, messages: int, batch_rows: int, connections: int) -> FloorRate:
    """In a new database; as `drive_floor`."""
    return drive_floor(stage, floor_database(stage, DATABASE), messages, batch_rows, connections)


def drive_floor(stage: Stage, dsn: str, messages: int, batch_rows: int, connections: int) -> FloorRate:
    """At least so many messages through a database of `floor_database`'s: as many batches for each connection.
    Errors: MeasureFailed."""
    place = only_place(dsn)
    batches = -(-messages // (batch_rows * connections))
    shares = [[list(itertools.islice(stage.to, batch_rows)) for _ in range(batches)] for _ in range(connections)]
    postgres = stage.stack.pid_of("postgres") or 0
    before = cpu_seconds(postgres)
    times, client_cpu = _run_processes(dsn, place, shares)
    started = min(start for start, _, _ in times)
    return FloorRate(
        batches * batch_rows * connections,
        connections,
        max(accepted for _, accepted, _ in times) - started,
        max(final for _, _, final in times) - started,
        cpu_seconds(postgres) - before,
        client_cpu,
    )


def floor_database(stage: Stage, name: str) -> str:
    """The DSN of a new database with this version's tables and one surface of the stage's."""
    dsn = stage.new_database(name, _template(stage))
    copy_configuration(plain_dsn(stage.stack.database_url), dsn, stage.surface("marketing").name)
    return dsn


def _template(stage: Stage) -> str:
    """The name of a database with this version's tables, made once for each stage."""
    if not stage.rows("SELECT FROM pg_database WHERE datname = %s", TEMPLATE):
        upgrade(stage.new_database(TEMPLATE))
    return TEMPLATE


def copy_configuration(source: str, target: str, surface: str) -> None:
    """The surface of this name, with its credential and lanes, as it stands in the product's database."""
    of_surface = f"(SELECT credential_id FROM surface WHERE name = '{surface}')"
    wanted = {
        "credential": f"id = {of_surface}",
        "lane": f"credential_id = {of_surface}",
        "surface": f"name = '{surface}'",
    }
    with psycopg.connect(source) as here, psycopg.connect(target) as there:
        for table in _CONFIGURATION:
            query = f"COPY (SELECT * FROM {table} WHERE {wanted[table]}) TO STDOUT"
            with here.cursor().copy(query) as out, there.cursor().copy(f"COPY {table} FROM STDIN") as back:
                for block in out:
                    back.write(block)


def only_place(dsn: str) -> floor.Place:
    """Of the one surface that `copy_configuration` put there."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            """SELECT s.id, l.id FROM surface s JOIN lane l ON l.credential_id = s.credential_id
                   AND l.channel = s.channel AND l.message_type = s.message_type"""
        ).fetchone()
    assert row is not None  # it was copied with its lanes
    surface_id, lane_id = row
    shared = (SENDER, TEXT, CALLBACK_DATA, PRINCIPAL_ENTITY_ID, CONTENT_TEMPLATE_ID, _VALIDITY_SECONDS)
    return floor.Place(surface_id, lane_id, *shared)


class _Worker:
    """A process of floor_work.py."""

    def __init__(self, dsn: str, place: floor.Place, batches: list[list[str]], shard: int) -> None:
        command = [sys.executable, "-m", "bench.floor_work"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.tell({"dsn": dsn, "place": asdict(place), "batches": batches, "shard": shard})

    def tell(self, word: object) -> None:
        assert self._process.stdin is not None  # it is a pipe
        self._process.stdin.write(orjson.dumps(word) + b"\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """Errors: MeasureFailed where it ended instead."""
        assert self._process.stdout is not None  # it is a pipe
        if line := self._process.stdout.readline():
            return orjson.loads(line)
        raise MeasureFailed(f"the floor's process ended with {self._process.wait()}")

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def _run_processes(
    dsn: str, place: floor.Place, shares: Sequence[list[list[str]]]
) -> tuple[list[tuple[float, float, float]], float]:
    """When each process started, had all accepted, had all final; and the CPU seconds of all."""
    workers = [_Worker(dsn, place, share, shard) for shard, share in enumerate(shares)]
    try:
        for _ in ("ready", "accepted"):  # all begin each part together
            for worker in workers:
                worker.hear()
            for worker in workers:
                worker.tell("go")
        told = [worker.hear() for worker in workers]
    finally:
        for worker in workers:
            worker.end()
    return [(one["started"], one["accepted"], one["final"]) for one in told], sum(one["cpu"] for one in told)
