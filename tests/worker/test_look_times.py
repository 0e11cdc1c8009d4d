"""When Infobip's logs are asked."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from worker.look_times import LAST_LOOK_AFTER, missing_report_look

ACCEPTED = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
DELAYS = [10 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR]


def looks(expires_at: datetime) -> list[timedelta]:
    times = [missing_report_look(ACCEPTED, n, expires_at, DELAYS) for n in range(10)]
    return [at - ACCEPTED for at in times if at is not None]


def test_at_the_backed_off_times_and_once_more_at_expiry() -> None:
    assert looks(ACCEPTED + 40 * HOUR) == [*DELAYS, 40 * HOUR]


def test_looks_past_expiry_are_left_out() -> None:
    assert looks(ACCEPTED + 2 * HOUR) == [10 * MINUTE, HOUR, 2 * HOUR]


def test_last_look_is_before_the_logs_forget() -> None:
    assert looks(ACCEPTED + 60 * HOUR) == [*DELAYS, LAST_LOOK_AFTER]


@given(st.timedeltas(timedelta(seconds=1), 60 * HOUR), st.lists(st.timedeltas(timedelta(0), 60 * HOUR), min_size=1))
def test_looks_come_later_and_later_and_end(validity: timedelta, delays: list[timedelta]) -> None:
    times = [missing_report_look(ACCEPTED, n, ACCEPTED + validity, delays) for n in range(len(delays) + 2)]
    found = [at for at in times if at is not None]
    assert found == sorted(set(found))
    assert found[-1] == ACCEPTED + min(validity, LAST_LOOK_AFTER)
    assert times[-1] is None
