"""`delivery demo`: its plan, its judgement, its looks, and one real run."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from cli import demo_calls, demo_view
from cli.demo import DemoOptions, _stack_options
from cli.demo_calls import Calls
from cli.demo_plan import (
    CONTENT_TEMPLATE_ID,
    FATES,
    LEAST_MESSAGES,
    PRINCIPAL_ENTITY_ID,
    Acceptance,
    FoundMessage,
    FoundReport,
    Plan,
    Verdict,
    judge,
    make_plan,
)
from cli.demo_progress import Pace
from cli.demo_view import Snapshot
from cli.errors import CommandError
from sandbox.outcomes import outcome_of, refusal_of
from worker.states import State

NOW = datetime(2027, 1, 31, 9, 0, tzinfo=UTC)
PLAN = make_plan(300, "test")
SIZES = [LEAST_MESSAGES, 300, 5_000, 10_000]


# The plan


@pytest.mark.parametrize("total", SIZES)
def test_every_outcome_is_in_the_plan_and_the_counts_add_up(total: int) -> None:
    plan = make_plan(total, "test")
    assert plan.total == sum(plan.counts.values()) == total
    assert min(plan.counts.values()) >= 1
    assert Counter(message.to[-4:] for message in plan.messages)["9009"] == 5
    assert max(plan.counts, key=lambda fate: plan.counts[fate]).suffix == ""


@pytest.mark.parametrize("total", SIZES)
def test_recipients_are_indian_numbers_each_asked_once(total: int) -> None:
    recipients = [message.to for message in make_plan(total, "test").messages]
    assert len(set(recipients)) == total
    assert all(re.fullmatch(r"\+91[6-9]\d{9}", to) for to in recipients)


def test_only_chosen_numbers_end_as_the_sandbox_s_table_says() -> None:
    suffixes = {fate.suffix for fate in FATES if fate.suffix}
    for message in PLAN.messages:
        assert (message.to[-4:] in suffixes) == bool(message.fate.suffix)
        if not message.fate.suffix:
            assert refusal_of(message.to) is None
            assert outcome_of(message.to, 1) == outcome_of("+919876543210", 1)


def test_every_message_has_callback_data_of_its_own_and_dlt_ids_have_19_digits() -> None:
    assert len({message.callback_data for message in PLAN.messages}) == PLAN.total
    assert json.loads(PLAN.messages[7].callback_data) == {"run": "test", "message": 7}
    assert re.fullmatch(r"\d{19}", PRINCIPAL_ENTITY_ID)
    assert re.fullmatch(r"\d{19}", CONTENT_TEMPLATE_ID)


def test_fates_are_mixed_and_the_plan_is_the_same_each_time() -> None:
    assert make_plan(300, "test") == PLAN
    assert len({message.fate.suffix for message in PLAN.messages[:100]}) > 5


@pytest.mark.parametrize("total", [LEAST_MESSAGES - 1, 10_001])
def test_plan_that_fits_no_batch_is_refused(total: int) -> None:
    with pytest.raises(ValueError, match="a demo has"):
        make_plan(total, "test")


# Expected against actual


def found_as_expected(plan: Plan) -> list[FoundMessage]:
    return [
        FoundMessage(
            id=f"id-{index}",
            to=wanted.to.removeprefix("+"),
            state=wanted.fate.ends_as,
            attempts=wanted.fate.least_attempts,
            callback_data=wanted.callback_data,
            expires_at=NOW + timedelta(seconds=25),
            reports=[
                FoundReport(number, group, "pull" if wanted.fate.is_pulled else "push", wanted.callback_data)
                for number, group in enumerate(wanted.fate.reports, 1)
            ],
        )
        for index, wanted in enumerate(plan.messages)
    ]


def acceptance(to: str) -> Acceptance:
    return Acceptance(to, NOW + timedelta(seconds=1), 24, PRINCIPAL_ENTITY_ID, CONTENT_TEMPLATE_ID)


def acceptances_of(plan: Plan) -> list[Acceptance]:
    return [
        acceptance(wanted.to.removeprefix("+"))
        for wanted in plan.messages
        if wanted.fate.suffix not in ("9005", "9009")
        for _ in range(wanted.fate.least_attempts)
    ]


def judge_with(change: Callable[[FoundMessage], FoundMessage], suffix: str) -> Verdict:
    """The verdict where the first message of that suffix came out otherwise."""
    found = found_as_expected(PLAN)
    index = next(index for index, wanted in enumerate(PLAN.messages) if wanted.fate.suffix == suffix)
    found[index] = change(found[index])
    return judge(PLAN, found, acceptances_of(PLAN), 0)


def test_agreement_is_told_in_the_last_line_and_ends_with_0() -> None:
    verdict = judge(PLAN, found_as_expected(PLAN), acceptances_of(PLAN), 0)
    assert verdict.is_good
    assert verdict.exit_code == 0
    assert verdict.last_line == "demo: 300 of 300 as expected"


def doubled_delivery(message: FoundMessage) -> FoundMessage:
    return replace(message, reports=[*message.reports, FoundReport(1, "DELIVERED", "pull", message.callback_data)])


def without_callback_data(message: FoundMessage) -> FoundMessage:
    return replace(message, reports=[replace(report, callback_data="other") for report in message.reports])


@pytest.mark.parametrize(
    ("suffix", "change", "fault"),
    [
        ("9010", lambda m: replace(m, state="sent"), "is sent, expected unconfirmed"),
        ("", lambda m: replace(m, state="failed"), "is failed, expected delivered"),
        ("", lambda m: replace(m, callback_data=None), "lost its callback data"),
        ("9001", lambda m: replace(m, attempts=1), "had 1 attempts, expected 2"),
        ("9002", lambda m: replace(m, attempts=1), "had 1 attempts, expected 2 or more"),
        ("", lambda m: replace(m, attempts=2), "had 2 attempts, expected 1"),
        ("9003", lambda m: replace(m, reports=()), "lacks a report that says UNDELIVERABLE"),
        ("9006", doubled_delivery, "has 2 reports that say DELIVERED: one is recorded twice"),
        ("9007", without_callback_data, "has a report without its callback data"),
        (
            "9004",
            lambda m: replace(m, reports=[replace(m.reports[0], source="push")]),
            "has no report from Infobip's logs",
        ),
        ("9008", lambda m: replace(m, to="919999999999"), "has no message"),
    ],
)
def test_one_message_that_differs_is_named_and_ends_with_1(
    suffix: str, change: Callable[[FoundMessage], FoundMessage], fault: str
) -> None:
    verdict = judge_with(change, suffix)
    assert verdict.exit_code == 1
    assert verdict.last_line.startswith("demo: 299 of 300 as expected")
    (differing,) = [row for row in verdict.rows if not row.is_as_expected]
    assert differing.fate.suffix == suffix
    assert [words for _, words in differing.faults] == [fault]


def test_message_found_twice_is_a_fault() -> None:
    found = found_as_expected(PLAN)
    verdict = judge(PLAN, [*found, found[0]], acceptances_of(PLAN), 0)
    assert verdict.last_line == "demo: 299 of 300 as expected"


PLAIN = next(wanted.to.removeprefix("+") for wanted in PLAN.messages if not wanted.fate.suffix)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (acceptance(PLAIN), "1 recipients were sent more copies than they have attempts"),
        (replace(acceptance(PLAIN), content_template_id=None), "1 sends left without their DLT IDs"),
        (replace(acceptance(PLAIN), validity_seconds=48 * 3600), "1 sends outlived their message's validity"),
        (replace(acceptance(PLAIN), accepted_at=NOW + timedelta(minutes=1)), "1 sends outlived"),
    ],
)
def test_broken_promise_at_infobip_ends_with_1(extra: Acceptance, words: str) -> None:
    verdict = judge(PLAN, found_as_expected(PLAN), [*acceptances_of(PLAN), extra], 0)
    assert verdict.exit_code == 1
    assert verdict.last_line.startswith("demo: 300 of 300 as expected, but ")
    assert any(check.words.startswith(words) for check in verdict.checks if not check.is_met)


# The looks

GOOD = judge(PLAN, found_as_expected(PLAN), acceptances_of(PLAN), 0)
BAD = judge_with(lambda message: replace(message, state="sent"), "9010")
BUSY = Snapshot(
    doing=demo_view.what_goes_on({"retrying": 373}, 12.0),
    elapsed_seconds=123.4,
    total=10_000,
    validity_seconds=25,
    grace_seconds=5,
    remaining_seconds=12.3,
    counts={state: 1_111 for state in State if state not in (State.SUPPRESSED, State.CANCELLED)},
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
    assert re.search(r"^ others +delivered +3,095 delivered$", text, re.M)
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
    faults = drawn(demo_view.faults_view(BAD, "/tmp/demo/logs"))
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


def test_pace_counts_by_the_second() -> None:
    pace = Pace()
    assert (pace.rate, pace.history) == (0.0, ())
    for at, count in ((10.0, 0), (10.5, 100), (11.0, 400), (11.9, 400), (12.1, 500)):
        pace.look(at, count)
    assert pace.rate == pytest.approx(100 / 1.1)
    assert list(pace.history) == [400, 0, 100]


# Calls and ports


class _Flaky(BaseHTTPRequestHandler):
    answers = (503, 409, 201)
    seen: list[tuple[str | None, bytes]] = []  # noqa: RUF012 - the test empties it

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.headers["Idempotency-Key"], body))
        self.send_response(self.answers[len(self.seen) - 1])
        if len(self.seen) == 2:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(b'{"id": "x"}')

    def do_GET(self) -> None:
        self.send_response(422)
        self.end_headers()
        self.wfile.write(b"no such field")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def flaky_url() -> Iterator[str]:
    _Flaky.seen.clear()
    with HTTPServer(("127.0.0.1", 0), _Flaky) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_call_is_made_again_with_its_key_until_it_is_answered(flaky_url: str) -> None:
    watched = []
    calls = Calls(flaky_url, flaky_url, "token", lambda: watched.append(True))
    assert calls.create("/v1/batches", {"surface": "demo"}, "key-1") == {"id": "x"}
    calls.close()
    assert _Flaky.seen == [("key-1", b'{"surface":"demo"}')] * 3
    assert len(watched) == 2


def test_call_that_is_refused_ends_with_the_answer(flaky_url: str) -> None:
    calls = Calls(flaky_url, flaky_url, "token", lambda: None)
    with pytest.raises(CommandError, match="GET /v1/batches was answered 422: no such field"):
        calls.read("/v1/batches")
    calls.close()


def test_call_to_nobody_ends_when_patience_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_calls, "PATIENCE_SECONDS", 0.3)
    calls = Calls("http://127.0.0.1:1", "http://127.0.0.1:1", "token", lambda: None)
    assert calls.glance("/v1/batches") is None
    with pytest.raises(CommandError, match=r"GET http://127\.0\.0\.1:1/v1/batches failed for 0\.3 s"):
        calls.read("/v1/batches")
    calls.close()


def test_ports_not_asked_for_are_free_ones_and_never_the_same() -> None:
    options = _stack_options(DemoOptions(port=8001, metrics_port=0), Path("data"), "token")
    assert (options.port, options.metrics_port) == (8001, 0)
    assert options.sandbox_port != 8001
    free = _stack_options(DemoOptions(), Path("data"), "token")
    assert len({free.port, free.sandbox_port, *(free.metrics_port + offset for offset in range(3))}) == 5


# Real processes

COMMAND = [sys.executable, "-m", "cli.main", "demo", "--messages", "300", "--workers", "1"]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """For TMPDIR: a folder that the servers' account can pass through."""
    with tempfile.TemporaryDirectory(prefix="delivery-test-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o711)
        yield Path(made)


def demo(temporary: Path) -> subprocess.Popen[str]:
    """A shell that is set up for another database must not matter."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DELIVERY_")}
    root = str(Path(__file__).parents[2])
    environment = {"PYTHONPATH": root, "TMPDIR": str(temporary), "DELIVERY_DATABASE_URL": "postgresql://elsewhere/db"}
    return subprocess.Popen(
        COMMAND,
        cwd=temporary,
        env={**clean, **environment, "DELIVERY_RETRY_SCHEDULE": "PT1H"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.timeout(120)
def test_demo_ends_as_expected_in_plain_lines_and_leaves_no_folder(temporary: Path) -> None:
    with demo(temporary) as process:
        out, err = process.communicate()
    lines = out.splitlines()
    assert (process.returncode, lines[-1]) == (0, "demo: 300 of 300 as expected"), out + err
    assert "\x1b" not in out
    assert sum("s valid" in line for line in lines) > 10
    assert len([line for line in lines if line.endswith("✓")]) == len(FATES)
    assert "attempt 2: DELIVERED_TO_HANDSET" in out
    assert max(len(line) for line in lines if not re.match(r" *[\d.]+ s  ", line)) <= 80
    assert list(temporary.glob("delivery-demo-*")) == []


@pytest.mark.timeout(60)
def test_ctrl_c_stops_the_demo_and_leaves_no_folder(temporary: Path) -> None:
    with demo(temporary) as process:
        assert process.stderr is not None
        while "logs in" not in process.stderr.readline():  # the servers run, the rest starts
            pass
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert process.returncode == 1
    assert out.splitlines()[-1] == "demo: stopped before its end"
    assert list(temporary.glob("delivery-demo-*")) == []
