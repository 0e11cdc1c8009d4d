"""ISO 8601 durations."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.durations import BadDuration, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT10S", 10), ("PT1M", 60), ("PT1H30M", 5400), ("P1D", 86400), ("P1DT1H", 90000), ("P1W", 604800)]
    + [("pt48h", 172800), (" PT0.5S ", 0.5), ("PT0S", 0)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "10", "10S", "PT10", "P1Y", "P1M", "-PT1S", "PT1.S", "PT١S"])
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(BadDuration, match="such as PT30S"):
        parse_duration(text)


def test_an_absurd_length_is_refused() -> None:
    with pytest.raises(BadDuration):
        parse_duration("P" + "9" * 30 + "D")


@given(st.timedeltas(timedelta(0), timedelta(days=400)))
def test_what_is_written_is_read_back(span: timedelta) -> None:
    assert parse_duration(format_duration(span)) == span
