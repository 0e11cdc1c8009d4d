"""A large audience in one request, stopped and started while it goes out; and the failed part of a batch, sent again by
two operators at once. What left is counted at Infobip's door."""

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from cli.programs import delivery_command
from tests.end_to_end.conftest import TOKEN, System
from tests.end_to_end.observing import query
from tests.processes import wait_for

ROWS = int(os.environ.get("DELIVERY_TEST_AUDIENCE_ROWS", "30000"))
FAILING = 1_000  # of ten times as many
LEFT = "SELECT count(*) FROM attempt a JOIN message m ON m.id = a.message_id WHERE m.batch_id = %s"
OPENED_SINCE = """
    SELECT count(*) FROM submission s JOIN attempt a ON a.submission_id = s.id JOIN message m ON m.id = a.message_id
    WHERE m.batch_id = %s AND s.opened_at > to_timestamp(%s)
"""
IN_FLIGHT = ("sending", "sent")


def audience(surface: str, text: str) -> Iterator[bytes]:
    yield orjson.dumps({"surface": surface, "text": text}) + b"\n"
    for first in range(0, ROWS, 1_000):
        rows = range(first, min(first + 1_000, ROWS))
        yield b"".join(orjson.dumps({"to": f"9196{n:06d}00"}) + b"\n" for n in rows)


class Watched:
    """A batch whose counts add up whenever somebody looks."""

    def __init__(self, system: System, batch: str, total: int) -> None:
        self._system, self._batch, self._total = system, batch, total

    def look(self) -> dict[str, Any]:
        batch = self._system.get(f"/v1/batches/{self._batch}")
        assert sum(batch["counts"].values()) == batch["total"] == self._total, batch
        return batch

    def steer(self, verb: str) -> float:
        """Returns when the answer was here."""
        self._system.post(f"/v1/batches/{self._batch}/{verb}", {}, 200)
        return time.time()

    def left(self) -> int:
        return int(query(self._system, LEFT, self._batch)[0][0])

    def settle(self) -> dict[str, Any]:
        """Once nothing is on its way any more."""
        return wait_for(lambda: (found := self.look()) and not _in_flight(found) and found, 120, every=0.2)

    def assert_nothing_left_after(self, at: float) -> None:
        assert query(self._system, OPENED_SINCE, self._batch, at)[0][0] == 0


def _in_flight(batch: dict[str, Any]) -> int:
    return sum(batch["counts"].get(state, 0) for state in IN_FLIGHT)


def test_audience_stops_where_it_is_told_to_and_goes_on(system: System) -> None:
    surface = system.surface(message_type="marketing", validity_period="PT30M")
    text = "A sale"
    account = f"/v1/credentials/{surface.replace('surface', 'account')}"
    # Slow enough to be steered, quick enough to be draining.
    system.http.patch(account, json={"messages_per_second": 2_000}).raise_for_status()
    response = system.http.post(
        "/v1/batches",
        content=audience(surface, text),
        headers={"Content-Type": "application/x-ndjson"},
        timeout=600,
    )
    assert response.status_code == 202, response.text
    accepted = response.json()
    assert (accepted["total"], accepted["accepted"], accepted["rejected_count"]) == (ROWS, ROWS, 0)
    batch = Watched(system, accepted["id"], ROWS)

    wait_for(lambda: batch.left() > 3_000, 60, every=0.05)
    paused = batch.steer("pause")
    held = batch.settle()
    batch.assert_nothing_left_after(paused)
    assert held["state"] == "paused"
    left_by_then = batch.left()
    assert held["counts"]["queued"] == ROWS - left_by_then > 0

    batch.steer("resume")
    wait_for(lambda: batch.left() > left_by_then + 3_000, 60, every=0.05)
    cancelled = batch.steer("cancel")
    assert batch.look()["state"] == "cancelled"
    batch.settle()
    batch.assert_nothing_left_after(cancelled)
    ended = wait_for(lambda: (found := batch.look()) and "queued" not in found["counts"] and found, 240, every=0.5)
    assert ended["counts"] == {"delivered": batch.left(), "cancelled": ROWS - batch.left()}
    reached = Counter(item["to"] for item in system.accepted() if item["text"] == text)
    assert (len(reached), max(reached.values())) == (batch.left(), 1)


def test_two_operators_send_the_failed_tenth_once_more_between_them(system: System) -> None:
    failing = [f"9195{n:05d}9003" for n in range(FAILING)]
    fine = [f"9194{n:06d}00" for n in range(9 * FAILING)]
    text = "Your bill"
    batch = system.batch(system.surface(validity_period="PT5M"), failing + fine, text=text)
    wait_for(lambda: system.get(f"/v1/batches/{batch}")["state"] == "done", 120, every=0.5)

    preview = system.post(f"/v1/batches/{batch}/replay", {"dry_run": True}, 200)
    assert (preview["would_replay"], preview["left_out"]) == (FAILING, [])
    assert [group["count"] for group in preview["groups"]] == [FAILING]

    shells = [replaying(system, batch) for _ in range(2)]
    answers = [orjson.loads(shell.communicate(timeout=60)[0]) for shell in shells]
    assert [shell.returncode for shell in shells] == [0, 0]
    assert sorted(answer["accepted"] for answer in answers) == [0, FAILING]
    linked = system.get(f"/v1/batches/{batch}")["replays"]
    assert linked == [next(answer["id"] for answer in answers if answer["accepted"])]
    assert system.get(f"/v1/batches/{linked[0]}")["replay_of"] == batch

    wait_for(lambda: system.get(f"/v1/batches/{linked[0]}")["state"] == "done", 60, every=0.5)
    reached = Counter(item["to"] for item in system.accepted() if item["text"] == text)
    assert reached == Counter(dict.fromkeys(failing, 2) | dict.fromkeys(fine, 1))
    again = system.post(f"/v1/batches/{batch}/replay", {}, 200)
    assert (again["id"], again["accepted"]) == (linked[0], 0)


def replaying(system: System, batch: str) -> subprocess.Popen[bytes]:
    variables = {"DELIVERY_API_URL": system.stack.api_url, "DELIVERY_API_TOKEN": TOKEN}
    command = [*delivery_command(), "replay", batch, "--yes", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **variables})
