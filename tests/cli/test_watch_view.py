"""How a watch looks, on terminals of any width."""

import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console, RenderableType

from cli.watch_view import batch_view, lane_rows, watch_line, watch_view
from cli.watching import Watch
from tests.cli.watch_findings import HELD, batch, lane, seen

BUSY = seen(
    lane("kite-books", queued=123_456, retrying=7, expired=3, sent=500, due=99_000, oldest_due_seconds=312.4),
    lane("a credential with a long name \x1b[2J of a hundred letters " + "x" * 60, **HELD),
    *(lane(f"account-{number}", {f"EC_{number}": number}) for number in range(30)),
    batches=(batch(1), batch(2, "paused"), *(batch(number) for number in range(3, 12))),
)


def drawn(view: RenderableType, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=40, color_system="truecolor", force_terminal=True)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    text = re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue())
    return text.splitlines()


@pytest.mark.parametrize("width", [20, 40, 56, 64, 80, 100, 120, 200])
@pytest.mark.parametrize("trouble", [None, "cannot reach the API at http://127.0.0.1:8000: Connection refused"])
def test_no_width_is_too_narrow(width: int, trouble: str | None) -> None:
    lines = drawn(watch_view(BUSY, width, trouble), width)
    assert max(map(len, lines)) <= width
    assert not any("\x1b" in line for line in lines)
    one = seen(batches=(batch(1, queued=1, delivered=999_999),))
    assert max(map(len, drawn(batch_view(one, width, trouble), width))) <= width


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (40, ["waiting"]),
        (50, ["ended/s", "waiting"]),
        (80, ["ended/s", "waiting", "oldest due", "retrying", "expired"]),
        (120, ["ended/s", "waiting", "due", "oldest due", "under way", "retrying", "expired", "failed", "delivered"]),
    ],
)
def test_columns_give_way_where_the_terminal_is_narrow_and_numbers_stay_whole(width: int, headings: list[str]) -> None:
    lines = drawn(watch_view(seen(lane("x" * 80, queued=1_234_567)), width), width)
    (heading,) = [line for line in lines if line.startswith(" lane ")]
    assert re.split(r"\s{2,}", heading.strip())[1:] == headings
    assert any("1,234,567" in line for line in lines)


def test_held_lane_says_why_and_when_it_is_tried_again_and_stands_first() -> None:
    lines = drawn(watch_view(seen(lane("fine"), lane("held", **HELD)), 100), 100)
    assert " held sms marketing is held, account: Infobip refused the key; tried again at 12:03:04 UTC" in lines
    names = [line.split()[0] for line in lines if " sms marketing  " in line]
    assert names == ["held", "fine"]


def test_lane_on_which_nothing_was_ever_sent_is_left_out_and_counted() -> None:
    lines = drawn(watch_view(seen(lane("fine"), lane("idle", delivered=0)), 100), 100)
    assert not any("idle" in line for line in lines)
    assert " 1 more lanes" in lines


def test_lanes_have_a_sum() -> None:
    (total,) = [
        line
        for line in drawn(watch_view(seen(lane("a", queued=5), lane("b", retrying=6)), 100), 100)
        if line.startswith(" all")
    ]
    assert total.split()[2] == "11"


def test_batches_show_how_far_they_are_and_how_many_are_not_shown() -> None:
    lines = drawn(watch_view(BUSY, 100), 100)
    (first, paused, *_), (more,) = (
        [line for line in lines if "through offers" in line],
        [line for line in lines if line.endswith(" more") and "lanes" not in line],
    )
    assert first.split()[:3] == ["0190a1b2-0000-7000-8000-000000000001", "running", "75.0%"]
    assert "paused" in paused
    assert more == " 6 more"


def test_batches_beyond_those_that_were_asked_for_are_told() -> None:
    lines = drawn(watch_view(seen(batches=tuple(map(batch, range(50))), has_more=True), 100), 100)
    assert lines[-3] == " more than 45 more"


def test_held_lane_whose_time_has_come_is_due() -> None:
    past = {**HELD, "held_until": (datetime.now(UTC) - timedelta(seconds=20)).isoformat()}
    expected = "account: Infobip refused the key; the next try is due now"
    assert f" late sms marketing is held, {expected}" in drawn(watch_view(seen(lane("late", **past)), 100), 100)
    assert watch_line(seen(lane("late", **past))).endswith(expected)
    assert lane_rows(seen(lane("late", **past)))[0]["held"] == expected


def test_failures_stand_with_their_sentence() -> None:
    watch = Watch()
    watch.saw([lane()], [], 0.0)
    view = watch_view(watch.saw([lane(reasons={"opted_out": 12})], [], 30.0), 100)
    lines = drawn(view, 100)
    assert " failures in the last 30 s" in lines
    assert "        12 opted_out  The recipient has opted out of marketing from this credential" in lines


def test_trouble_stands_over_what_was_seen_before_it() -> None:
    lines = drawn(watch_view(BUSY, 100, "cannot reach the API"), 100)
    assert any("cannot reach the API; asking again" in line for line in lines)
    assert any("123,463" in line for line in lines)


def test_line_of_a_look_holds_the_sums_and_the_holds() -> None:
    line = watch_line(seen(lane("a", queued=5, retrying=2, sent=9, oldest_due_seconds=7200), lane("b", **HELD)))
    clock, words = line.split("  ", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", clock)
    assert words == (
        "0.0 ended/s; 7 waiting; 9 under way; 2 retrying; 0 expired; oldest due 2 h; "
        "b sms marketing is held, account: Infobip refused the key; tried again at 12:03:04 UTC"
    )
    assert len(watch_line(BUSY).splitlines()) == 1


def test_rows_of_a_plain_table_hold_all() -> None:
    row, *_ = lane_rows(seen(lane("b", **HELD, expired=4)))
    assert (row["lane"], row["expired"]) == ("b sms marketing", "4")
    assert row["held"] == "account: Infobip refused the key; tried again at 12:03:04 UTC"
