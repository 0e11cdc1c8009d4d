"""Messages made inside the database are as if they had come in the usual way."""

import json
import subprocess
import sys

import pytest

from bench.backlog import DUE_NOW, RETRYING_LATER, Waiting, extend_batch, first_batch
from bench.stage import Stage, lane_of

_NUMBERED = 10_000
_SPECIAL = 100  # of those the sandbox would do something else with: the endings 9000 to 9099

_COUNTS = """
    SELECT b.total, count(m.id), count(a.message_id), count(DISTINCT m.recipient), count(*) FILTER (WHERE m.state = %s)
    FROM batch b JOIN message m ON m.batch_id = b.id LEFT JOIN attempt a ON a.message_id = m.id WHERE b.id = %s
    GROUP BY b.id
"""
_TALLIED = "SELECT sum(n)::int FROM tally WHERE subject_id = %s AND state = %s"


def test_a_backlog_agrees_with_its_batch_and_its_tally(stage: Stage) -> None:
    surface = stage.surface("marketing")
    batch = first_batch(stage, surface)
    made = extend_batch(stage, batch, 1, _NUMBERED, RETRYING_LATER)
    stage.wait(lambda: stage.get(f"/v1/batches/{batch}")["counts"].get("queued", 0) == 0, 20, "the first one sent")
    total, messages, attempts, recipients, retrying = stage.rows(_COUNTS, "retrying", batch)[0]
    assert made == retrying == _NUMBERED - _SPECIAL
    assert total == messages == attempts == recipients == made + 1
    for subject in (batch, lane_of(stage, surface)):
        assert stage.rows(_TALLIED, subject, "retrying")[0][0] == made
    view = stage.get(f"/v1/batches/{batch}")
    assert view["total"] == made + 1
    assert view["counts"]["retrying"] == made


@pytest.mark.parametrize(("waiting", "expected"), [(DUE_NOW, 99), (RETRYING_LATER, 0)])
def test_only_what_is_due_is_delivered(stage: Stage, waiting: Waiting, expected: int) -> None:
    batch = first_batch(stage, stage.surface("marketing"))
    extend_batch(stage, batch, 1, 99, waiting)

    def delivered() -> int:
        return int(stage.get(f"/v1/batches/{batch}")["counts"].get("delivered", 0))

    stage.wait(lambda: delivered() == expected + 1, 30, "delivered")
    assert stage.get(f"/v1/batches/{batch}")["counts"].get("retrying", 0) == 99 - expected


def test_a_claim_is_timed_and_explained_and_leaves_nothing(stage: Stage) -> None:
    surface = stage.surface("marketing")
    batch = first_batch(stage, surface)
    extend_batch(stage, batch, 1, 600, RETRYING_LATER)
    command = [sys.executable, "-m", "bench.claim_cost", str(lane_of(stage, surface)), "2"]
    done = subprocess.run(command, env=stage.stack.environment, stdout=subprocess.PIPE, timeout=60, check=True)
    told = json.loads(done.stdout)
    assert len(told["seconds"]) == 2
    assert min(told["seconds"]) > 0
    assert told["execution_ms"] > 0
    assert told["buffers"] > 0
    stage.pause(1.2)  # a tick would find what the claim left due
    assert stage.get(f"/v1/batches/{batch}")["counts"]["retrying"] == 600
