"""How a demo looks on a terminal."""

import io
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console, RenderableType

from cli import demo_view
from cli.demo_plan import FATES, judge, make_plan
from cli.demo_progress import Snapshot, what_goes_on
from tests.cli.demo_findings import (
    NOW,
    PLAN,
    acceptances_of,
    found_as_expected,
    judge_with,
    replay_as_expected,
    replies_of,
)
from worker.states import State

GOOD = judge(PLAN, found_as_expected(PLAN), replies_of(PLAN), acceptances_of(PLAN), 0)
BAD = judge_with(lambda message: replace(message, state="sent"), "9010")
BUSY = Snapshot(
    doing=what_goes_on({"retrying": 373}, 12.0),
    elapsed_seconds=123.4,
    total=10_000,
    validity_seconds=25,
    grace_seconds=5,
    remaining_seconds=12.3,
    counts={state: 1_111 for state in State if state is not State.CANCELLED},
    reasons=[
        ("EC_ABSENT_SUBSCRIBER", 3_000),
        ("EC_TEMPLATE_NOT_MATCHED", 150),
        ("refused_by_infobip", 5),
        ("X" * 90, 1),
    ],
    request_count=1_234,
    accepted_count=12_345,
    retry_count=2_345,
    accepted_rate=1_234.5,
    finished_rate=0.2,
    accepted_history=[0, 5, 9, 2_000] * 20,
    finished_history=[1],
    next_retry_at=NOW,
    next_retry_seconds=0.6,
    notes=["data in /somewhere", "worker-marketing (pid 12345) was killed by SIGKILL; starting it again, " + "x" * 80],
)
TIMELINE = {
    "to": "919000129001",
    "timeline": [
        {"at": NOW.isoformat(), "kind": "accepted", "origin": "api"},
        {"at": (NOW + timedelta(seconds=1)).isoformat(), "kind": "attempt", "number": 1},
        {"at": (NOW + timedelta(seconds=2)).isoformat(), "kind": "accepted_by_infobip", "number": 1},
        {
            "at": (NOW + timedelta(seconds=3)).isoformat(),
            "kind": "report",
            "number": 1,
            "status": "UNDELIVERABLE_NOT_DELIVERED",
            "error": "EC_ABSENT_SUBSCRIBER",
        },
        {"at": (NOW + timedelta(seconds=4)).isoformat(), "kind": "in_doubt", "number": 2, "sentence": "Nobody knows."},
        {"at": (NOW + timedelta(seconds=5)).isoformat(), "kind": "finished", "state": "delivered"},
    ],
}


def drawn(renderable: RenderableType, width: int = 80) -> list[str]:
    console = Console(record=True, width=width, height=24, file=io.StringIO(), force_terminal=True)
    console.print(renderable)
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_live_view_fits_80_columns_and_23_lines() -> None:
    lines = drawn(demo_view.live_view(BUSY, PLAN))
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "validity      12.3 s  ━" in text
    assert re.search(r"^ retrying     1,111 ████▉$", text, re.M)
    assert "2,345 made, 1,111 scheduled, next at 09:00:00 UTC, in 0.6 s" in text
    assert "EC_ABSENT_SUBSCRIBER  The phone was off or out of coverage" in text
    assert "was killed by SIGKILL" in text
    assert "data in" not in text


def test_plan_is_shown_while_the_servers_start() -> None:
    now = replace(BUSY, doing="Starting", remaining_seconds=None, counts={}, notes=["data in /somewhere"])
    lines = drawn(demo_view.live_view(now, make_plan(5_000, "test")))
    assert len(lines) <= 23
    text = "\n".join(lines)
    assert re.search(r"^ …9009 +the whole request is refused +5 failed$", text, re.M)
    assert re.search(r"^ STOP +not asked: they opted out +40 suppressed$", text, re.M)
    assert re.search(r"^ others +delivered +3,055 delivered$", text, re.M)
    assert "data in /somewhere" in text


def test_grace_takes_the_place_of_validity() -> None:
    text = "\n".join(drawn(demo_view.live_view(replace(BUSY, remaining_seconds=-2.0), PLAN)))
    assert re.search(r"^ grace +3\.0 s  ━{26}─{18}$", text, re.M)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_summary_has_one_whole_line_for_each_outcome(width: int) -> None:
    lines = drawn(demo_view.summary_view(GOOD, width), width)
    assert len(lines) == 2 + len(FATES)
    assert max(map(len, lines)) <= width
    for fate, line in zip(FATES, lines[2:], strict=True):
        count = str(PLAN.counts[fate])
        assert re.search(rf" {re.escape(fate.says)}\b.* {count} {fate.ends_as} +{count} {fate.ends_as} +✓$", line)
    assert ("attempts" in lines[0]) == (width >= 100)


def test_summary_of_a_difference_tells_both_states_and_an_example() -> None:
    text = "\n".join(drawn(demo_view.summary_view(BAD, 80)))
    assert re.search(r"9 unconfirmed +8 unconfirmed +✗\n +1 sent\n", text)
    (faulty,) = [row for row in BAD.rows if row.faults]
    faults = drawn(demo_view.faults_view(BAD.rows, "/tmp/demo/logs"))
    assert faults[0] == " …9010: 1 of 9 not as expected"
    assert faults[1] == f"   {faulty.faults[0][0]}  is sent, expected unconfirmed"
    assert " logs, kept: /tmp/demo/logs" in faults


def test_checks_and_last_line_read_in_80_columns() -> None:
    story = [f"worker-{number} was killed" for number in range(9)]
    lines = drawn(demo_view.checks_view(GOOD, story))
    assert lines[1] == " ✓ nobody got two copies: 0 duplicates refused by Infobip"
    assert lines[-2:] == [" · and 3 more such lines", ""]
    assert max(map(len, lines)) <= 80
    assert drawn(demo_view.last_line(GOOD)) == ["demo: 300 of 300 as expected"]
    assert drawn(demo_view.last_line(None)) == ["demo: stopped before its end"]


@pytest.mark.parametrize("width", [60, 80, 160])
def test_preview_tells_what_failed_and_why_and_what_is_left_out(width: int) -> None:
    preview = {
        **replay_as_expected(PLAN).preview,
        "would_replay": 765,
        "segments": 1_530,
        "groups": [{"state": "failed", "reason": "EC_TEMPLATE_NOT_MATCHED", "count": 1_150}],
    }
    lines = drawn(demo_view.preview_view(preview, {"delivered": 4_055, "failed": 765, "suppressed": 180}), width)
    assert max(map(len, lines)) <= width
    text = re.sub(r"\s+", " ", "\n".join(lines))
    assert "765 of 5,000 failed or expired, for these reasons" in text
    assert "1,530 segments to send again: some 1.50 EUR by the prices so far" in text
    assert "failed 1,150 EC_TEMPLATE_NOT_MATCHED The text" in text
    assert "left out 9 unconfirmed may have arrived" in text
    assert "left out 4,055 delivered nobody" in text


def test_preview_without_prices_says_so() -> None:
    preview = {**replay_as_expected(PLAN).preview, "cost": None}
    assert any(line.endswith("no price is known yet") for line in drawn(demo_view.preview_view(preview, {"failed": 1})))


def test_timeline_is_a_line_for_each_event() -> None:
    lines = drawn(demo_view.timeline_view(TIMELINE))
    assert lines[:5] == [
        " One of them, +919000129001, from 09:00:00 UTC on:",
        "   0.000 s  ○ accepted by the API",
        "   1.000 s  ↑ attempt 1 leaves",
        "   2.000 s  · attempt 1 accepted by Infobip",
        "   3.000 s  ✗ attempt 1: UNDELIVERABLE_NOT_DELIVERED EC_ABSENT_SUBSCRIBER",
    ]
    assert lines[5] == "   4.000 s  · in doubt Nobody knows."
    assert lines[6] == "   5.000 s  ■ finished: delivered"


@pytest.mark.parametrize("width", [40, 60])
def test_narrow_terminal_loses_ends_of_lines_and_nothing_wraps(width: int) -> None:
    assert len(drawn(demo_view.live_view(BUSY, PLAN), width)) == len(drawn(demo_view.live_view(BUSY, PLAN)))
    assert len(drawn(demo_view.timeline_view(TIMELINE), width)) == len(drawn(demo_view.timeline_view(TIMELINE)))


def test_progress_line_says_in_a_line_what_the_screen_shows() -> None:
    now = replace(BUSY, counts={"retrying": 612, "delivered": 4_083}, elapsed_seconds=12.34)
    assert demo_view.progress_line(now) == " 12.3 s  12 s valid  612 retrying, 4,083 delivered; 2,345 retries"
    assert demo_view.progress_line(replace(now, remaining_seconds=-2.0)).startswith(" 12.3 s   3 s grace  ")
    assert demo_view.progress_line(replace(now, doing="Starting", remaining_seconds=None)) == " 12.3 s  Starting"


@pytest.mark.parametrize(
    ("count", "total", "drawn_as"),
    [(0, 100, ""), (1, 100_000, "▏"), (50, 100, "█████"), (55, 100, "█████▌"), (100, 100, "██████████"), (0, 0, "")],
)
def test_bar_shows_whatever_is_there(count: int, total: int, drawn_as: str) -> None:
    assert demo_view.bar(count, total, width=10) == drawn_as
