"""How fast a demo moves."""

import pytest

from cli.demo_progress import Pace


def test_pace_counts_by_the_second() -> None:
    pace = Pace()
    assert (pace.rate, pace.history) == (0.0, ())
    for at, count in ((10.0, 0), (10.5, 100), (11.0, 400), (11.9, 400), (12.1, 500)):
        pace.look(at, count)
    assert pace.rate == pytest.approx(100 / 1.1)
    assert list(pace.history) == [400, 0, 100]
