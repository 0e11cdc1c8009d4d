"""The main run with one pool process for each send queue, and with two."""

from bench.bench import Bench
from bench.campaign import Campaign, run_campaign
from bench.figures import Figure, ratio
from bench.stage import NO_REPORTS

_COUNTS = (1, 2)


def measure(bench: Bench) -> list[Figure]:
    runs: list[Campaign] = []
    for workers in _COUNTS:
        with bench.stage(workers) as stage:
            stage.faults(**NO_REPORTS)
            run = run_campaign(stage, bench.sizes.messages, bench.sizes.batch_rows, awaits_reports=False)
        bench.costs[f"{workers} pool process{'es' if workers > 1 else ''}"] = run.cost
        runs.append(run)
    one, two = (run.accepted_per_second for run in runs)
    return [
        Figure("first POST to all accepted, one pool process", one, "/s"),
        Figure("the same, two pool processes", two, "/s", (), ratio(two, one), "one process"),
    ]
