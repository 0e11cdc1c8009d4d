"""The figures of a run, as its table shows them: what was injected, what it led to, what it cost. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from tests.chaos import checks
from tests.chaos.evidence import Evidence
from tests.chaos.plan import Blow, suffix_of

Section = tuple[str, Sequence[tuple[str, str]]]

_PENDING_ENROUTE = 7
_DELIVERED_TO_OPERATOR = 2


@dataclass(frozen=True)
class Run:
    """One run as it went. `blows` fell; `troubles` made the callers ask again."""

    seed: int
    seconds: float
    blows: Mapping[Blow, int]
    troubles: Mapping[str, int]


def sections(run: Run, evidence: Evidence, found: Sequence[checks.Check]) -> list[Section]:
    """Groups of (what, figure), top to bottom."""
    return [
        ("the run", _the_run(run, evidence)),
        ("blows", [(blow.value, f"{run.blows.get(blow, 0):,}") for blow in Blow]),
        ("faults of Infobip's", _faults(evidence)),
        ("doubts", _doubts(evidence)),
        ("ends", _ends(evidence)),
        ("limits", _limits(evidence)),
        ("must be zero", [(check.name, f"{len(check.faults):,}") for check in found]),
    ]


def _the_run(run: Run, evidence: Evidence) -> list[tuple[str, str]]:
    accepted = [promise for promise in evidence.promises if promise.answers]
    answers = sum(len(promise.answers) for promise in accepted)
    return [
        ("seed", str(run.seed)),
        ("seconds", f"{run.seconds:.0f}"),
        ("messages accepted by the API", f"{sum(len(promise.send.recipients) for promise in accepted):,}"),
        ("requests that brought them", f"{len(accepted):,}"),
        ("the same requests again, answered alike", f"{answers - len(accepted):,}"),
        *((f"asked again for want of a 202: {trouble}", f"{n:,}") for trouble, n in sorted(run.troubles.items())),
    ]


def _faults(evidence: Evidence) -> list[tuple[str, str]]:
    rows = [
        ("requests to send", f"{len(evidence.send_calls):,}"),
        ("calls of the logs", f"{len(evidence.logs_calls):,}"),
    ]
    sends = Counter(call.status for call in evidence.send_calls)
    logs = Counter(call.status for call in evidence.logs_calls)
    for status, words in ((500, "answered 500"), (429, "answered 429"), (None, "left silent or reset")):
        rows.append((f"{words}: sends, calls of the logs", f"{sends[status]:,}, {logs[status]:,}"))
    rows.append(("answered 400 for one poisoned message", f"{sends[400]:,}"))
    return [*rows, *_report_faults(evidence)]


def _report_faults(evidence: Evidence) -> list[tuple[str, str]]:
    pushed = Counter(report.key for report in evidence.pushed if report.is_taken)
    never = sum(not taken.reports_pushed and taken.is_delivered for taken in evidence.acceptances)
    return [
        ("reports never pushed", f"{never:,}"),
        ("reports pushed more than once", f"{sum(n > 1 for n in pushed.values()):,}"),
        ("reports that came after a newer one", f"{sum(key[2] == _PENDING_ENROUTE for key in pushed):,}"),
        ("intermediate reports", f"{sum(key[2] == _DELIVERED_TO_OPERATOR for key in pushed):,}"),
        ("reports in pushes not answered 200", f"{sum(not report.is_taken for report in evidence.pushed):,}"),
    ]


def _doubts(evidence: Evidence) -> list[tuple[str, str]]:
    outcomes = Counter(row.outcome for row in evidence.submissions)
    settled = _settled(evidence)
    return [
        ("submissions", f"{len(evidence.submissions):,}"),
        ("submissions in doubt for want of an answer", f"{outcomes['unknown_fate']:,}"),
        ("submissions in doubt for a dead process", f"{outcomes['abandoned']:,}"),
        ("attempts in doubt", f"{settled.total():,}"),
        *((how.value, f"{settled[how]:,}") for how in Settled),
    ]


class Settled(StrEnum):
    """What an attempt in doubt was settled by."""

    STATUS_23 = "settled by status 23, under the same number"
    SENT_AGAIN = "settled by going out again under the same number"
    LOGS = "settled by logs"
    PUSHED = "settled by a pushed report"
    TIME = "settled by the end of its validity"


def _settled(evidence: Evidence) -> Counter[Settled]:
    known_before = {wire_id for call in evidence.send_calls for wire_id in call.refused_as_known}
    resubmissions = _resubmissions(evidence)
    first_source: dict[str, str] = {}
    for report in sorted(evidence.reports, key=lambda report: report.received_at):
        first_source.setdefault(report.wire_id, report.source)
    settled: Counter[Settled] = Counter()
    for attempt in evidence.attempts:
        if not attempt.is_doubted:
            continue
        if attempt.wire_id in known_before:
            settled[Settled.STATUS_23] += 1
        elif attempt.submission_id in resubmissions:
            settled[Settled.SENT_AGAIN] += 1
        else:
            settled[_BY_SOURCE.get(first_source.get(attempt.wire_id, ""), Settled.TIME)] += 1
    return settled


_BY_SOURCE = {"pull": Settled.LOGS, "push": Settled.PUSHED}


def _resubmissions(evidence: Evidence) -> set[str]:
    """Submissions that have a parent and are no part of a refused one."""
    outcome_of = {row.id: row.outcome for row in evidence.submissions}
    return {
        row.id
        for row in evidence.submissions
        if row.parent_id is not None and outcome_of.get(row.parent_id) != "refused_by_infobip"
    }


def _ends(evidence: Evidence) -> list[tuple[str, str]]:
    states = Counter(row.state for row in evidence.messages)
    rows = [(state, f"{n:,}") for state, n in states.most_common()]
    accepted = {taken.to for taken in evidence.acceptances}
    never = sum(row.state == "expired" and row.to not in accepted for row in evidence.messages)
    plain = sum(row.state != "delivered" and not suffix_of(row.to) for row in evidence.messages)
    return [*rows, ("expired before Infobip had them", f"{never:,}"), ("of plain numbers, not delivered", f"{plain:,}")]


def _limits(evidence: Evidence) -> list[tuple[str, str]]:
    rows = []
    for credential, rate in evidence.rates.items():
        times = checks.paced_acceptances(evidence, credential)
        most = checks.most_within(times, timedelta(seconds=1))
        rows.append((f"{credential} ({rate} a second): all, most within a second", f"{len(times):,}, {most:,}"))
    for credential, times in sorted(checks.logs_calls(evidence).items()):
        most = checks.most_within(times, timedelta(seconds=60))
        rows.append((f"{credential}: most calls of the logs in a minute", f"{most:,}"))
    return rows
