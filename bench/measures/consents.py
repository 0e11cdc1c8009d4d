"""What consent costs: the claim, and a campaign, with a million people known and with none."""

import statistics

from bench.backlog import RETRYING_LATER, extend_batch, first_batch
from bench.bench import Bench
from bench.campaign import run_campaign
from bench.claim_time import claim_cost
from bench.figures import Figure, at_least, ratio
from bench.stage import NO_REPORTS, Stage, Surface

_CLAIMS = 20  # of which the middle one counts
_ROUNDS = 3

# Half of them are those whom the campaigns go to, half those who wait for the claims; all of them may be sent to.
_KNOW = """
    INSERT INTO consent (recipient, credential_id, state, source, blocked)
    SELECT to_recipient || lpad(g::text, 8, '0'), '{credential}', 'opted_in', 'api', false
    FROM generate_series(1, {people} / 2) AS g, unnest(ARRAY['9198', '9199']) AS to_recipient
"""


def measure(bench: Bench) -> list[Figure]:
    """The campaigns with none, with all, and with none again: the two ends tell what the machine did meanwhile."""
    sizes = bench.sizes
    with bench.stage() as stage:
        stage.faults(**NO_REPORTS)
        surface = stage.surface("marketing")
        batch = first_batch(stage, surface)
        extend_batch(stage, batch, 1, sizes.due, RETRYING_LATER)
        run_campaign(stage, sizes.due, sizes.batch_rows, awaits_reports=False, surface=surface)  # everything is warm
        found: dict[str, list[float]] = {}
        claims: dict[str, list[float]] = {}
        for knows in ("nobody", "all", "nobody again"):
            if knows == "all":
                stage.execute(_KNOW.format(credential=surface.credential_id, people=sizes.people))
            else:
                stage.execute("TRUNCATE consent")
            for table in ("consent", "message", "attempt"):
                stage.execute(f"VACUUM (ANALYZE) {table}")
            if knows == "all":
                claims = claim_cost(stage, surface, times=_CLAIMS)
            found[knows] = _campaigns(bench, stage, surface)
    all_known, nobody = claims["seconds"], claims["seconds_with_nobody_known"]
    return [
        _figure(f"claimed, {sizes.people:,} people known", _speeds(all_known), _speeds(nobody)),
        _figure("accepted meanwhile", found["all"], [*found["nobody"], *found["nobody again"]]),
    ]


def _speeds(seconds: list[float]) -> list[float]:
    return [500 / of_one for of_one in seconds]


def _figure(name: str, known: list[float], nobody: list[float]) -> Figure:
    value, rival = statistics.median(known), statistics.median(nobody)
    details = {"known": known, "nobody": nobody}
    return Figure(name, value, "/s", (at_least(0.9, "ratio"),), ratio(value, rival), "that with nobody", details)


def _campaigns(bench: Bench, stage: Stage, surface: Surface) -> list[float]:
    sizes = bench.sizes
    return [
        run_campaign(stage, sizes.due, sizes.batch_rows, awaits_reports=False, surface=surface).accepted_per_second
        for _ in range(_ROUNDS)
    ]
