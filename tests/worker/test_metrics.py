from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.samples import Sample

from worker.metrics import observe_all

BOUNDS = (0, 1, 2.5, 100)
NEAR_BOUNDS = st.sampled_from([*BOUNDS, 0.5, 1.0000001])


def histogram() -> Histogram:
    return Histogram("took_seconds", "Time.", ["kind"], buckets=BOUNDS, registry=CollectorRegistry())


def samples(made: Histogram) -> list[Sample]:
    """But for when it was made."""
    (family,) = made.collect()
    return [sample for sample in family.samples if not sample.name.endswith("_created")]


@given(st.lists(st.integers(-1000, 1000) | NEAR_BOUNDS))
def test_observing_all_at_once_is_observing_each(values: list[float]) -> None:
    each, together = histogram(), histogram()
    child = each.labels("a")
    for value in values:
        child.observe(value)
    observe_all(together.labels("a"), iter(values))
    for one, other in zip(samples(each), samples(together), strict=True):
        assert (one.name, one.labels) == (other.name, other.labels)
        assert abs(one.value - other.value) < 1e-6
