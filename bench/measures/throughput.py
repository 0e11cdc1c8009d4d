"""The main run: from the first POST to all accepted, and to all final reports; between them the rival and the floor."""

from bench.bench import Bench
from bench.campaign import Campaign, pool_memory, run_campaign
from bench.figures import Figure, at_least, at_most, percentile, ratio
from bench.floor_run import FloorRate, run_floor
from bench.rival_run import RivalRate, run_rival
from bench.sizes import Sizes
from bench.stage import NO_REPORTS, Stage
from bench.usage import ALL_OURS

RIVAL = "the rival"
FLOOR = "the floor"
PRODUCT = "the product"


def measure(bench: Bench) -> list[Figure]:
    sizes = bench.sizes
    halves = (sizes.rival_messages // 2, sizes.rival_messages - sizes.rival_messages // 2)
    with bench.stage() as stage:
        stage.faults(**NO_REPORTS)
        rival = run_rival(stage, halves[0], sizes.rival_processes)
        accepted = run_campaign(stage, sizes.messages, sizes.batch_rows, awaits_reports=False)
        bench.tell(f"all accepted: {accepted.accepted_per_second:,.0f}/s")
        rival += run_rival(stage, halves[1], sizes.rival_processes)
        bench.tell(f"the rival: {rival.per_second:,.0f}/s")
        floors = _run_floors(stage, sizes)
        stage.faults()
        final = run_campaign(stage, sizes.messages, sizes.batch_rows, awaits_reports=True)
        bench.tell(f"all final: {final.final_per_second:,.0f}/s")
        floors = [before + after for before, after in zip(floors, _run_floors(stage, sizes), strict=True)]
        memory = pool_memory(stage)
    bench.costs["to all accepted"] = accepted.cost
    bench.costs["to all final"] = final.cost
    # The yardstick is the work of the database on one connection. Two at once is what two cores can do without HTTP,
    # rules or provider: each is shown beside the product too.
    one_connection = floors[0]
    return [
        *_rates(accepted, final, rival, one_connection),
        *_cpu(accepted, final, rival, one_connection),
        Figure("rival: one task, one request, two commits a message", rival.per_second, "/s", details=rival.as_json()),
        *(figure for floor in floors for figure in _floor(floor, accepted, final)),
        *_posts(accepted.post_seconds + final.post_seconds),
        Figure(
            "most resident memory of a pool process",
            max(memory.peaks, default=0.0),
            "MiB",
            (at_most(200.0),),
            details={"peaks": memory.peaks, "fair_shares": memory.shares},
        ),
    ]


def _floor(floor: FloorRate, accepted: Campaign, final: Campaign) -> list[Figure]:
    name = f"floor with {floor.connections} connection{'s' if floor.connections > 1 else ''}"
    to_accepted, to_final = floor.accepted_per_second, floor.final_per_second
    return [
        Figure(
            f"{name}, to all accepted",
            to_accepted,
            "/s",
            (),
            ratio(to_accepted, accepted.accepted_per_second),
            PRODUCT,
            floor.as_json(),
        ),
        Figure(f"{name}, to all final", to_final, "/s", (), ratio(to_final, final.final_per_second), PRODUCT),
    ]


def _posts(seconds: list[float]) -> list[Figure]:
    return [
        Figure(f"POST /v1/batches meanwhile, p{share}", percentile(seconds, share / 100), "s") for share in (50, 95)
    ]


def _run_floors(stage: Stage, sizes: Sizes) -> list[FloorRate]:
    """Half of its turn, with one connection and with two: the other half comes after the product's."""
    return [run_floor(stage, sizes.messages // 2, sizes.batch_rows, connections) for connections in (1, 2)]


def _rates(accepted: Campaign, final: Campaign, rival: RivalRate, floor: FloorRate) -> list[Figure]:
    return [
        Figure(
            "first POST to all accepted",
            accepted.accepted_per_second,
            "/s",
            (at_least(8_000), at_least(25, "ratio")),
            ratio(accepted.accepted_per_second, rival.per_second),
            RIVAL,
            {"seconds": accepted.accepted_seconds, "post_seconds": accepted.post_seconds},
        ),
        Figure(
            "first POST to all final",
            final.final_per_second,
            "/s",
            (at_least(4_000), at_least(0.5, "ratio")),
            ratio(final.final_per_second, floor.final_per_second),
            FLOOR,
            {
                "seconds": final.final_seconds,
                "accepted_per_second": final.accepted_per_second,
                "post_seconds": final.post_seconds,
            },
        ),
        Figure(
            "the same, to all accepted, beside the floor",
            accepted.accepted_per_second,
            "/s",
            (),
            ratio(accepted.accepted_per_second, floor.accepted_per_second),
            FLOOR,
        ),
    ]


def _cpu(accepted: Campaign, final: Campaign, rival: RivalRate, floor: FloorRate) -> list[Figure]:
    """All processes but the sandbox: what a busy machine changes less than the rates."""
    to_accepted, to_final = accepted.cost[ALL_OURS], final.cost[ALL_OURS]
    return [
        Figure("CPU of a message, to all accepted", to_accepted, "us", (), ratio(to_accepted, rival.cpu_us), RIVAL),
        Figure("CPU of a message, to all final", to_final, "us", (), ratio(to_final, floor.cpu_us), FLOOR),
    ]
