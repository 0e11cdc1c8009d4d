"""How fast things move, and what failed lately, from one look to the next."""

import itertools
import tracemalloc
from typing import Any

import pytest

from cli.watching import Watch
from tests.cli.watch_findings import batch, lane


def test_first_look_knows_no_rate() -> None:
    seen = Watch().saw([lane()], [], 0.0)
    assert (seen.rate, dict(seen.rates), list(seen.history)) == (None, {}, [])


def test_rate_is_what_ended_between_looks() -> None:
    watch = Watch()
    watch.saw([lane("a"), lane("b")], [], 10.0)
    seen = watch.saw([lane("a", delivered=1_010, failed=10), lane("b", delivered=1_006, queued=70)], [], 12.0)
    assert seen.rates == {"lane of a": 10.0, "lane of b": 3.0}
    assert seen.rate == 13.0
    assert list(seen.history) == [13.0]


def test_rate_of_a_batch_alone_is_its_own() -> None:
    watch = Watch("1")
    watch.saw([], [batch(queued=10, delivered=0)], 0.0)
    assert watch.saw([], [batch(queued=4, delivered=6)], 2.0).rate == 3.0


def test_rate_is_that_of_the_last_seconds_only() -> None:
    watch = Watch()
    for second in range(20):
        watch.saw([lane(delivered=1_000 + min(second, 10) * 7)], [], float(second))
    assert watch.saw([lane(delivered=1_070)], [], 20.0).rate == 0.0


@pytest.mark.parametrize("delivered", [10, None])
def test_lane_that_shrinks_or_is_new_has_no_rate_below_zero(delivered: int | None) -> None:
    watch = Watch()
    watch.saw([lane("a")] if delivered else [lane("b")], [], 0.0)
    seen = watch.saw([lane("a", delivered=delivered or 10)], [], 1.0)
    assert seen.rates.get("lane of a", 0.0) == 0.0
    assert seen.rate in (0.0, None)


def test_failures_are_those_of_the_last_minutes() -> None:
    watch = Watch()
    first = watch.saw([lane(reasons={"EC_OLD": 5})], [], 0.0)
    assert (first.reasons, first.reason_seconds) == ([("EC_OLD", 5)], None)
    second = watch.saw([lane("a", {"EC_OLD": 5, "EC_NEW": 2}), lane("b", {"EC_NEW": 1})], [], 60.0)
    assert (second.reasons, second.reason_seconds) == ([("EC_NEW", 3)], 60.0)
    for second_number in range(61, 400):
        last = watch.saw([lane(reasons={"EC_OLD": 5, "EC_NEW": 3})], [], float(second_number))
    assert last.reasons == []
    assert last.reason_seconds is not None
    assert 295 <= last.reason_seconds <= 305


def test_it_may_be_left_open_all_day() -> None:
    watch = Watch()
    answers = [lane(str(n), {f"EC_{n}": n for n in range(20)}) for n in range(8)]
    clock = itertools.count()

    def look(count: int) -> int:
        for _ in range(count):
            watch.saw(answers, [batch(n) for n in range(10)], float(next(clock)))
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        warm = look(1_000)
        assert look(5_000) - warm < 50_000
    finally:
        tracemalloc.stop()


class Answers:
    """An API with these batches, newest first."""

    def __init__(self, *batches: dict[str, Any]) -> None:
        self.batches = batches

    def glance(self, path: str, state: str = "", limit: int = 0) -> Any:
        if path == "/v1/lanes":
            return {"items": []}
        found = [batch for batch in self.batches if batch["state"] == state]
        return {"items": found[:limit], "next_cursor": "next" if found[limit:] else None}


def test_what_runs_stands_before_what_is_paused_or_scheduled_and_what_is_over_nowhere() -> None:
    api = Answers(batch(7, "done"), *(batch(n, "scheduled") for n in (6, 5)), batch(4, "paused"), batch(3), batch(2))
    seen = Watch().look(api, 0.0)  # type: ignore[arg-type]
    assert [item["id"][-1] for item in seen.batches] == ["3", "2", "4", "6", "5"]
    assert not seen.has_more


def test_batch_that_runs_is_seen_however_many_others_came_after_it() -> None:
    newer = [batch(n, "scheduled" if n % 2 else "done") for n in range(300, 1, -1)]
    seen = Watch().look(Answers(*newer, batch(1)), 0.0)  # type: ignore[arg-type]
    assert seen.batches[0]["id"] == batch(1)["id"]
    assert seen.has_more


def test_batch_that_is_paused_between_two_questions_is_seen_once() -> None:
    class Pausing(Answers):
        def glance(self, path: str, state: str = "", limit: int = 0) -> Any:
            answer = super().glance(path, state, limit)
            if state == "running":
                self.batches = (batch(1, "paused"),)
            return answer

    assert [item["state"] for item in Watch().look(Pausing(batch(1)), 0.0).batches] == ["paused"]  # type: ignore[arg-type]
