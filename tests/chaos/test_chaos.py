"""The short form of `make chaos`: some thousand messages, each kind of blow, the same checks."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from tests.chaos.checks import CHECKS, Check
from tests.chaos.evidence import Evidence
from tests.chaos.figures import Run, sections
from tests.chaos.plan import Blow, Intensity, Plan, make_plan, suffix_of
from tests.chaos.run import ChaosRun, chaos_stack
from tests.chaos.table import figures_table

SEED = 20261123
INTENSITY = Intensity(kills=6, flushes=1, redis_restarts=1, postgres_restarts=1, api_kills=1, beat_kills=1, outages=1)

# The first test pays for the whole run: some 45 s, and on a busy machine more.
pytestmark = pytest.mark.timeout(400)


@dataclass(frozen=True)
class Aftermath:
    plan: Plan
    run: Run
    evidence: Evidence
    checks: dict[str, Check]


@pytest.fixture(scope="module")
def aftermath(stack_folder: Path) -> Aftermath:
    plan = make_plan(SEED, 3_000, INTENSITY, validity_seconds=40)
    stack = chaos_stack(stack_folder / "data")
    try:
        run, evidence, checks = ChaosRun(plan, stack, tell=lambda _: None).run()
    finally:
        stack.stop()
    Console().print(figures_table(sections(run, evidence, checks)))  # pytest shows it with a failure
    return Aftermath(plan, run, evidence, {check.name: check for check in checks})


def test_every_blow_of_the_plan_fell(aftermath: Aftermath) -> None:
    blows = aftermath.run.blows
    assert sum(blows[blow] for blow in Blow if blow.is_worker_kill) == INTENSITY.kills
    assert sum(blows.values()) == len(aftermath.plan.strikes)


def test_every_kind_of_fault_was_met(aftermath: Aftermath) -> None:
    assert {200, 500, None} <= {call.status for call in aftermath.evidence.send_calls}
    assert any(attempt.is_doubted for attempt in aftermath.evidence.attempts)


def test_most_messages_arrived_all_the_same(aftermath: Aftermath) -> None:
    plain = [row.state for row in aftermath.evidence.messages if not suffix_of(row.to)]
    assert plain.count("delivered") > len(plain) / 2


@pytest.mark.parametrize("name", CHECKS)
def test_afterwards_there_is_none_of(aftermath: Aftermath, name: str) -> None:
    assert aftermath.checks[name].faults == []
