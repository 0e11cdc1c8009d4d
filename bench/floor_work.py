"""One connection's share of the floor: `python -m bench.floor_work`, in a process of its own.

A line of JSON in: what to do. Then a word out and a word in before each of the two parts, so that several processes
begin them together, and at the end a line with the times.
"""

import resource
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import psycopg

from bench import floor
from bench.bodies import CALLBACK_DATA
from sandbox.outcomes import network_of


def main() -> None:
    job = orjson.loads(sys.stdin.buffer.readline())
    place = floor.Place(**job["place"])
    with floor.connect(job["dsn"]) as connection:
        _await_turn()
        cpu, started = _cpu_seconds(), time.time()
        sent = accept_all(connection, place, job["batches"], job["shard"])
        accepted = time.time()
        _await_turn()
        report_all(connection, sent, job["shard"])
        _tell({"started": started, "accepted": accepted, "final": time.time(), "cpu": _cpu_seconds() - cpu})


def _await_turn() -> None:
    _tell("here")
    sys.stdin.buffer.readline()


def _tell(word: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(word) + b"\n")
    sys.stdout.buffer.flush()


def accept_all(
    connection: psycopg.Connection[Any], place: floor.Place, batches: Sequence[Sequence[str]], shard: int
) -> list[tuple[UUID, str]]:
    """Copy, claim and record them. Returns (message ID, recipient) in the order of the IDs."""
    to: dict[UUID, str] = {}
    claimed = 0
    for recipients in batches:
        ids = floor.copy_batch(connection, place, recipients, datetime.now(UTC), shard)
        to.update(zip(ids, recipients, strict=True))
        # Connections share the lane, and take some of each other's.
        while claimed < len(to) and (taken := _send(connection, place, shard)):
            claimed += taken
    while _send(connection, place, shard):
        pass
    return sorted(to.items())


def _send(connection: psycopg.Connection[Any], place: floor.Place, shard: int) -> int:
    submission, ids = floor.claim(connection, place, shard)
    if ids:
        floor.record(connection, submission, ids, shard)
    return len(ids)


def report_all(connection: psycopg.Connection[Any], sent: Sequence[tuple[UUID, str]], shard: int) -> None:
    for first in range(0, len(sent), floor.REPORTED):
        floor.report(connection, [report_row(*one) for one in sent[first : first + floor.REPORTED]], shard)


def report_row(message_id: UUID, to: str) -> dict[str, Any]:
    """What the sandbox reports of a message that reached its handset."""
    done_at = datetime.now(UTC)
    return {
        "message_id": message_id,
        "attempt": 1,
        "status_id": 5,
        "status_name": "DELIVERED_TO_HANDSET",
        "status_group": "DELIVERED",
        "error_id": 0,
        "error_name": "NO_ERROR",
        "error_permanent": False,
        "callback_data": CALLBACK_DATA,
        "price": 0.0021,
        "currency": "EUR",
        "segment_count": 1,
        "mcc_mnc": "".join(network_of(to)),
        "sent_at": done_at - timedelta(seconds=0.5),
        "done_at": done_at,
    }


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
