"""Each check can fail: made-up evidence of one sound message, and what one thing gone wrong makes of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chaos import checks
from tests.chaos.evidence import (
    Acceptance,
    Evidence,
    LogsCall,
    MessageRow,
    PushedReport,
    ReportKey,
    ReportRow,
    SubmissionRow,
)
from tests.chaos.load import Promise
from tests.chaos.plan import Send

START = datetime(2026, 11, 23, 5, 30, tzinfo=UTC)
PLAIN, ABSENT_ONCE, UNKNOWN, NEVER_HEARD_OF = "919000001234", "919000009001", "919000009003", "919000009010"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def promise(*recipients: str, answers: Sequence[dict[str, Any]] | None = None, is_single: bool = False) -> Promise:
    send = Send(0.0, "chaos-1-0", "brisk-marketing", 60, recipients, is_single, repeats=0)
    usual = {"id": "m1"} if is_single else {"id": "b1", "total": len(recipients)}
    return Promise(send, [usual] if answers is None else answers)


def message(to: str = PLAIN, state: str = "delivered", **changes: Any) -> MessageRow:
    row = MessageRow("m1", "b1", to, state, None, 1, at(60), "brisk")
    return replace(row, **changes)


def taken(to: str = PLAIN, attempt: int = 1, seconds: float = 1.0, **changes: Any) -> Acceptance:
    one = Acceptance(f"m1-{attempt}", "m1", attempt, to, at(seconds), is_delivered=True, reports_pushed=1)
    return replace(one, **changes)


def key(attempt: int = 1, status: int = 5, seconds: float = 2.0) -> ReportKey:
    return ("m1", attempt, status, at(seconds))


def recorded(report: ReportKey, group: str = "DELIVERED", seconds: float = 2.5) -> ReportRow:
    return ReportRow(report, group, "push", "applied", at(seconds))


def sound(**changes: Any) -> Evidence:
    usual: dict[str, Any] = {
        "promises": [promise(PLAIN)],
        "acceptances": [taken()],
        "send_calls": [],
        "logs_calls": [],
        "pushed": [PushedReport(key(), is_taken=True)],
        "messages": [message()],
        "attempts": [],
        "reports": [recorded(key())],
        "submissions": [SubmissionRow("s1", "brisk", "answered")],
        "tally": {("b1", "delivered", ""): 1},
        "counted": {("b1", "delivered", ""): 1},
        "calm_since": at(0),
        "kept_keys": 1,
    }
    return Evidence(**{**usual, **changes})


def test_sound_evidence_passes_every_check() -> None:
    assert [check.name for check in checks.check_all(sound()) if not check.is_met] == []


FAILED_FIRST = recorded(key(1, 9), "UNDELIVERABLE", seconds=3.0)
RETRIED = [taken(ABSENT_ONCE, 1, 1.0, is_delivered=False), taken(ABSENT_ONCE, 2, 4.0)]


def test_next_attempt_after_a_recorded_failure_is_no_second_copy() -> None:
    assert checks.twice(sound(acceptances=RETRIED, reports=[FAILED_FIRST])) == []


Rule = Callable[[Evidence], list[str]]
FAULTS: list[tuple[str, Rule, Evidence]] = [
    ("an unaccepted send", checks.lost, sound(promises=[promise(PLAIN, answers=[])])),
    ("a missing row", checks.lost, sound(promises=[promise(PLAIN, UNKNOWN)])),
    ("a missing single message", checks.lost, sound(promises=[promise(PLAIN, is_single=True)], messages=[])),
    ("a wrong total", checks.lost, sound(promises=[promise(PLAIN, answers=[{"id": "b1", "total": 2}])])),
    ("another's batch", checks.lost, sound(messages=[message(batch_id="b2")])),
    ("an unfinished message", checks.lost, sound(messages=[message(state="sending")])),
    (
        "two answers for a key",
        checks.done_twice,
        sound(promises=[promise(PLAIN, answers=[{"id": "b1", "total": 1}, {"id": "b2", "total": 1}])]),
    ),
    ("two messages for one", checks.done_twice, sound(messages=[message(), message(id="m2")])),
    ("a message that nobody sent", checks.done_twice, sound(messages=[message(), message(UNKNOWN, id="m2")])),
    ("a key too many", checks.done_twice, sound(kept_keys=2)),
    ("one ID accepted twice", checks.twice, sound(acceptances=[taken(), taken(seconds=2.0)])),
    ("a copy after a delivery", checks.twice, sound(acceptances=[taken(), taken(attempt=2, seconds=4.0)])),
    ("a copy after silence", checks.twice, sound(acceptances=RETRIED, reports=[])),
    (
        "a copy before the failure was known",
        checks.twice,
        sound(acceptances=RETRIED, reports=[recorded(key(1, 9), "UNDELIVERABLE", seconds=4.1)]),
    ),
    (
        "a copy after a report that told of no failure",
        checks.twice,
        sound(acceptances=RETRIED, reports=[recorded(key(1, 7), "PENDING", seconds=3.0)]),
    ),
    ("an acceptance after the end", checks.late, sound(acceptances=[taken(seconds=60.001)])),
    ("an acceptance of nothing", checks.late, sound(messages=[])),
    ("a report that is not there", checks.reports_recorded, sound(reports=[])),
    ("a report that is there twice", checks.reports_recorded, sound(reports=[recorded(key()), recorded(key())])),
    ("a report without a message", checks.reports_recorded, sound(unmatched_count=1)),
    ("a tally that lags", checks.tally_drift, sound(tally={("b1", "sent", ""): 1})),
    ("a tally that forgot", checks.tally_drift, sound(tally={})),
    ("metrics that lag", checks.metrics_drift, sound(told={("m",): 1}, to_tell={("m",): 2})),
    ("metrics that forgot", checks.metrics_drift, sound(to_tell={("m",): 2})),
    ("a counter that fell", checks.counters_fallen, sound(fallen_counters=["m fell"])),
    ("a delivered message that failed", checks.wrong_ends, sound(messages=[message(state="failed")])),
    ("a delivered message that expired", checks.wrong_ends, sound(messages=[message(state="expired")])),
    (
        "a failed message that expired",
        checks.wrong_ends,
        sound(messages=[message(UNKNOWN, "expired")], acceptances=[taken(UNKNOWN, is_delivered=False)]),
    ),
    (
        "a message never heard of that was delivered",
        checks.wrong_ends,
        sound(messages=[message(NEVER_HEARD_OF)], acceptances=[taken(NEVER_HEARD_OF, is_delivered=False)]),
    ),
    (
        "a message that was forgotten in calm",
        checks.never_left,
        sound(messages=[message(state="expired", expires_at=at(100))], acceptances=[], calm_since=at(20)),
    ),
    (
        "logs asked too often",
        checks.logs_overdrawn,
        sound(logs_calls=[LogsCall(at(n * 0.49), 200, ["s1"]) for n in range(121)]),
    ),
    (
        "too many within a second",
        checks.rate_exceeded,
        sound(rates={"brisk": 10}, acceptances=[taken(seconds=n / 1000) for n in range(checks.burst_of(10) + 1)]),
    ),
    (
        "too many over the run",
        checks.rate_exceeded,
        sound(rates={"brisk": 10}, acceptances=[taken(seconds=n / 20) for n in range(300)]),
    ),
    ("half a log", checks.evidence_missing, sound(dropped_count=1)),
]


@pytest.mark.parametrize(("rule", "evidence"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_fault_is_found(rule: Rule, evidence: Evidence) -> None:
    assert rule(evidence)


ENDS: list[tuple[str, Evidence]] = [
    ("never taken", sound(messages=[message(state="expired")], acceptances=[])),
    (
        "taken at the last moment, its report lost",
        sound(messages=[message(state="unconfirmed")], acceptances=[taken(seconds=59.0, reports_pushed=0)]),
    ),
    (
        "failed for good",
        sound(messages=[message(UNKNOWN, "failed")], acceptances=[taken(UNKNOWN, is_delivered=False)]),
    ),
]


@pytest.mark.parametrize("evidence", [end[1] for end in ENDS], ids=[end[0] for end in ENDS])
def test_end_is_allowed(evidence: Evidence) -> None:
    assert checks.wrong_ends(evidence) == []


def test_calls_within_the_minute_are_fine() -> None:
    assert checks.logs_overdrawn(sound(logs_calls=[LogsCall(at(n * 0.5), 200, ["s1"]) for n in range(500)])) == []


def test_most_within_counts_a_window_without_its_end() -> None:
    assert checks.most_within([at(1), at(0), at(0.5), at(1.5)], timedelta(seconds=1)) == 2
    assert checks.most_within([], timedelta(seconds=1)) == 0
