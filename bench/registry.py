"""The measures by name, in the order in which they are taken and shown."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.bench import Bench
from bench.figures import Figure
from bench.measures import (
    backlog,
    batches,
    bloat,
    consents,
    idle,
    one_time_passwords,
    sandbox_alone,
    singles,
    throughput,
    two_workers,
    webhooks,
)


@dataclass(frozen=True)
class Measure:
    name: str
    take: Callable[[Bench], list[Figure]]


MEASURES = (
    Measure("sandbox", sandbox_alone.measure),
    Measure("throughput", throughput.measure),
    Measure("webhooks", webhooks.measure),
    Measure("singles", singles.measure),
    Measure("batches", batches.measure),
    Measure("consents", consents.measure),
    Measure("idle", idle.measure),
)
SCALE_MEASURES = (
    Measure("backlog", backlog.measure),
    Measure("otp", one_time_passwords.measure),
    Measure("workers", two_workers.measure),
    Measure("bloat", bloat.measure),
    Measure("idle", idle.measure),
)


def chosen(only: list[str] | None, *, is_scale: bool) -> list[Measure]:
    """Errors: ValueError naming what there is no measure of."""
    known = SCALE_MEASURES if is_scale else MEASURES
    if not only:
        return list(known)
    names = {measure.name: measure for measure in (*MEASURES, *SCALE_MEASURES, *known)}
    unknown = [name for name in only if name not in names]
    if unknown:
        raise ValueError(f"no measure is called {', '.join(unknown)}; there are {', '.join(names)}")
    return [names[name] for name in only]
