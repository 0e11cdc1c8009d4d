"""How much is sent in each measure."""

from dataclasses import dataclass, replace

from bench.rival.tasks import CONCURRENCY

_LEAST_TURNS = 5  # growth shows between the first and the last


@dataclass(frozen=True)
class Sizes:
    messages: int = 100_000  # of the main runs
    batch_rows: int = 10_000
    rival_messages: int = 5_000  # its rate is steady: in two halves, before and after the product's turn
    rival_processes: int = CONCURRENCY
    sandbox_requests: int = 200
    empty_requests: int = 30_000  # at an empty application, to know the load generator itself
    connections: int = 64
    webhooks: int = 24_000  # for the product, and as many for the bare endpoint
    rounds: int = 4  # turns that each of them takes
    singles: int = 20_000
    batches: int = 100
    batches_before: int = 20  # memory is compared from here on
    idle_seconds: float = 60.0
    settle_seconds: float = 5.0
    backlogs: tuple[int, int] = (100_000, 10_000_000)
    due: int = 20_000
    campaign: int = 1_000_000  # that drains while single sends pass
    singles_per_second: float = 20.0
    people: int = 1_000_000  # of whom consent is known
    bloat_messages: int = 5_000_000
    bloat_turn: int = 200_000  # tables are looked at after each


QUICK = Sizes(
    messages=2_000,
    batch_rows=1_000,
    rival_messages=100,
    rival_processes=2,
    sandbox_requests=4,
    empty_requests=1_000,
    connections=8,
    webhooks=400,
    rounds=2,
    singles=200,
    batches=4,
    batches_before=2,
    idle_seconds=1.0,
    settle_seconds=0.2,
    backlogs=(1_000, 10_000),
    due=1_000,
    campaign=10_000,
    people=10_000,
    bloat_messages=4_000,
    bloat_turn=2_000,
)


def chosen_sizes(
    *,
    is_quick: bool,
    is_scale: bool,
    messages: int | None = None,
    idle_seconds: float | None = None,
    bloat_messages: int | None = None,
) -> Sizes:
    """The usual ones, but for those that are given."""
    sizes = QUICK if is_quick else Sizes(idle_seconds=3600.0 if is_scale else Sizes.idle_seconds)
    if messages is not None:
        sizes = replace(sizes, messages=messages, batch_rows=min(sizes.batch_rows, messages))
    if idle_seconds is not None:
        sizes = replace(sizes, idle_seconds=idle_seconds)
    if bloat_messages is not None:
        turn = min(sizes.bloat_turn, -(-bloat_messages // _LEAST_TURNS))
        sizes = replace(sizes, bloat_messages=bloat_messages, bloat_turn=turn)
    return sizes
