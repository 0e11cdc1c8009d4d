"""What a message costs while few wait for a later retry, and while a hundred times as many do."""

import statistics
from dataclasses import replace
from typing import Any

from bench.backlog import RETRYING_LATER, extend_batch, first_batch, tidy
from bench.bench import Bench
from bench.campaign import run_campaign
from bench.claim_time import claim_cost
from bench.figures import Figure, Goal, at_most, ratio
from bench.stage import NO_REPORTS, Stage, Surface

_ROUNDS = 3  # the middle one counts


def measure(bench: Bench) -> list[Figure]:
    sizes = bench.sizes
    with bench.stage() as stage:
        stage.faults(**NO_REPORTS)
        surface = stage.surface("marketing")
        batch = first_batch(stage, surface)
        run_campaign(stage, sizes.due, sizes.batch_rows, awaits_reports=False, surface=surface)  # everything is warm
        found: dict[int, dict[str, Any]] = {}  # by how many wait
        waiting = numbered = 0
        for backlog in sizes.backlogs:
            waiting += extend_batch(stage, batch, numbered + 1, backlog, RETRYING_LATER)
            numbered = backlog
            tidy(stage)
            found[waiting] = _deliver(bench, stage, surface)
            bench.tell(f"{waiting:,} wait: {found[waiting]['cpu_us']:,.0f} us of PostgreSQL and workers a message")
            bench.costs[f"{waiting:,} waiting"] = found[waiting]["cost"]
    return _figures(found)


def _figures(found: dict[int, dict[str, Any]]) -> list[Figure]:
    (fewest, few), (most, many) = found.items()
    small = f"that with {fewest:,}"

    def row(name: str, key: str, unit: str, *goals: Goal) -> Figure:
        return Figure(
            name, many[key], unit, goals, ratio(many[key], few[key]), small, {"few": few[key], "many": many[key]}
        )

    claim = row("one claim of 500", "claim_ms", "ms")
    plans = {"few": few["plans"], "many": many["plans"]}
    return [
        row(f"PostgreSQL and workers, a message, {most:,} waiting", "cpu_us", "us", at_most(1.5, "ratio")),
        row("messages accepted meanwhile", "per_second", "/s"),
        replace(claim, details={**claim.details, "plans": plans}),
        row("the same by EXPLAIN ANALYZE", "execution_ms", "ms"),
        row("pages it touches", "buffers", "pages"),
    ]


def _deliver(bench: Bench, stage: Stage, surface: Surface) -> dict[str, Any]:
    sizes = bench.sizes
    runs = [
        run_campaign(stage, sizes.due, sizes.batch_rows, awaits_reports=False, surface=surface) for _ in range(_ROUNDS)
    ]
    cpu = {id(run): run.cost["postgres, us"] + run.cost["worker-marketing, us"] for run in runs}
    middle = sorted(runs, key=lambda run: cpu[id(run)])[_ROUNDS // 2]
    return {
        "cpu_us": cpu[id(middle)],
        "per_second": statistics.median(run.accepted_per_second for run in runs),
        "cost": middle.cost,
        **_claim_cost(stage, surface),
    }


def _claim_cost(stage: Stage, surface: Surface) -> dict[str, Any]:
    told = claim_cost(stage, surface)
    return {
        "claim_ms": told["seconds"][0] * 1000,
        "execution_ms": told["execution_ms"],
        "buffers": told["buffers"],
        "plans": told["plans"],
    }
