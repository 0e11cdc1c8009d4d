"""What must hold at the end of any run, whatever was done to the processes. Pure functions over the evidence.

Each gives its faults in words, one a line; none is as it should be. They look at what the sandbox and the database
hold, never at how the product works, so that no change of the product can make them agree with it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.chaos.evidence import Acceptance, Evidence, MessageRow
from tests.chaos.load import Promise
from tests.chaos.plan import suffix_of

FINAL = frozenset({"delivered", "failed", "expired", "suppressed", "cancelled", "unconfirmed"})
LOGS_CALLS_A_MINUTE = 120
_FAILURE_GROUPS = frozenset({"UNDELIVERABLE", "EXPIRED", "REJECTED"})
_ROUNDED = timedelta(milliseconds=1)  # the sandbox tells whole milliseconds


@dataclass(frozen=True, slots=True)
class Check:
    """`name` says what there must be none of; `faults` what there is."""

    name: str
    faults: Sequence[str]

    @property
    def is_met(self) -> bool:
        return not self.faults


def check_all(evidence: Evidence) -> list[Check]:
    return [Check(name, find(evidence)) for name, find in CHECKS.items()]


def lost(evidence: Evidence) -> list[str]:
    """Messages that were promised and are not there, or are not final."""
    by_batch: dict[str, list[MessageRow]] = defaultdict(list)
    by_id: dict[str, MessageRow] = {}
    for row in evidence.messages:
        by_id[row.id] = row
        if row.batch_id is not None:
            by_batch[row.batch_id].append(row)
    faults = []
    for promise in evidence.promises:
        if not promise.answers:
            faults.append(f"{promise.send.key} was never accepted")
            continue
        answer = promise.answers[0]
        rows = _promised_rows(promise, answer, by_batch, by_id)
        missing = Counter(promise.send.recipients) - Counter(row.to for row in rows)
        faults += [f"{to} of {promise.send.key} has no message" for to in missing]
        if not promise.send.is_single and not answer["total"] == len(promise.send.recipients) == len(rows):
            faults.append(f"{promise.send.key} was told a total of {answer['total']} and has {len(rows)} messages")
    faults += [f"{row.id} ({row.to}) is still {row.state}" for row in evidence.messages if row.state not in FINAL]
    return faults


def _promised_rows(
    promise: Promise,
    answer: Mapping[str, Any],
    by_batch: Mapping[str, Sequence[MessageRow]],
    by_id: Mapping[str, MessageRow],
) -> Sequence[MessageRow]:
    if promise.send.is_single:
        return [by_id[answer["id"]]] if answer["id"] in by_id else []
    return by_batch.get(answer["id"], ())


def done_twice(evidence: Evidence) -> list[str]:
    """Idempotency keys that did their work more than once."""
    faults = [
        f"{promise.send.key} was given different answers"
        for promise in evidence.promises
        if any(answer != promise.answers[0] for answer in promise.answers)
    ]
    promised = {to for promise in evidence.promises for to in promise.send.recipients}
    for to, n in Counter(row.to for row in evidence.messages).items():
        if to not in promised or n > 1:
            faults.append(f"{to} has {n} messages, {'one was' if to in promised else 'none was'} sent")
    accepted = sum(bool(promise.answers) for promise in evidence.promises)
    if evidence.kept_keys != accepted:
        faults.append(f"{evidence.kept_keys} idempotency keys are kept, {accepted} were accepted")
    return faults


def twice(evidence: Evidence) -> list[str]:
    """Second copies: an ID accepted again, or a next attempt before the last one was known to have failed."""
    faults = [
        f"{wire_id} was accepted {n} times"
        for wire_id, n in Counter(one.wire_id for one in evidence.acceptances).items()
        if n > 1
    ]
    failed_at: dict[str, datetime] = {}
    for report in evidence.reports:
        if report.group in _FAILURE_GROUPS:
            known = failed_at.get(report.wire_id, report.received_at)
            failed_at[report.wire_id] = min(known, report.received_at)
    for taken in evidence.acceptances_by_recipient().values():
        for earlier, later in pairwise(taken):
            failure = failed_at.get(earlier.wire_id)
            if earlier.is_delivered:
                faults.append(
                    f"{earlier.to} got a second copy: {later.wire_id}, though {earlier.wire_id} was delivered"
                )
            elif failure is None or failure > later.accepted_at + _ROUNDED:
                faults.append(f"{later.wire_id} left before {earlier.wire_id} was known to have failed")
    return faults


def late(evidence: Evidence) -> list[str]:
    """Messages that Infobip took when they had expired."""
    expires_at = {row.id: row.expires_at for row in evidence.messages}
    faults = []
    for taken in evidence.acceptances:
        ends = expires_at.get(taken.message_id)
        if ends is None:
            faults.append(f"{taken.wire_id} was accepted and is no message of ours")
        elif taken.accepted_at > ends:
            faults.append(f"{taken.wire_id} was accepted {(taken.accepted_at - ends).total_seconds():.3f} s late")
    return faults


def reports_recorded(evidence: Evidence) -> list[str]:
    """Reports whose push was answered 200, and that do not stand in the database exactly once."""
    recorded = Counter(row.key for row in evidence.reports)
    taken = {report.key for report in evidence.pushed if report.is_taken}
    faults = [f"a report of {key[0]}-{key[1]} with status {key[2]} is missing" for key in taken if not recorded[key]]
    faults += [f"a report of {key[0]}-{key[1]} is recorded {n} times" for key, n in recorded.items() if n > 1]
    if evidence.unmatched_count:
        faults.append(f"{evidence.unmatched_count} reports found no message")
    return faults


def tally_drift(evidence: Evidence) -> list[str]:
    """Counts of a batch or lane that the tally tells and the rows do not, or the other way round."""
    keys = set(evidence.tally) | set(evidence.counted)
    return [
        f"{subject} has {evidence.counted.get(key, 0)} {state} {reason}, its tally says {evidence.tally.get(key, 0)}"
        for key in sorted(keys)
        if evidence.tally.get(key, 0) != evidence.counted.get(key, 0)
        for subject, state, reason in [key]
    ]


def metrics_drift(evidence: Evidence) -> list[str]:
    """Totals that the metrics told last and the rows do not, or the other way round."""
    return [
        f"{' '.join(series)} is {evidence.to_tell.get(series, 0):g}, the metrics said {evidence.told.get(series, 0):g}"
        for series in sorted({*evidence.told, *evidence.to_tell})
        if evidence.told.get(series, 0) != evidence.to_tell.get(series, 0)
    ]


def counters_fallen(evidence: Evidence) -> list[str]:
    """Counters of the metrics that told less than before, at any scrape of the run."""
    return list(evidence.fallen_counters)


# How a message may end by its number's ending, beside expiring before Infobip had it; first: how it ends where Infobip
# had it in time for a report. `unconfirmed` elsewhere: a lost report of an acceptance shortly before the end.
_ENDS: Mapping[str, tuple[str, ...]] = {
    "9002": ("expired", "unconfirmed"),
    "9003": ("failed", "unconfirmed"),
    "9005": ("failed",),
    "9008": ("failed", "unconfirmed"),
    "9009": ("failed",),
    "9010": ("unconfirmed",),
}
_DELIVERED_ENDS = ("delivered", "unconfirmed")
_REPORT_SLACK = timedelta(seconds=2)


def wrong_ends(evidence: Evidence) -> list[str]:
    """Messages whose end is not the one that their number's ending allows, as far as Infobip got to know them."""
    accepted = evidence.acceptances_by_recipient()
    faults = []
    for row in evidence.messages:
        taken = accepted.get(row.to, [])
        suffix = suffix_of(row.to)
        in_time = [one for one in taken if _is_in_time(one, row, evidence.slowest_report)]
        if any(one.is_delivered and (one in in_time or one.reports_pushed) for one in taken):
            allowed: tuple[str, ...] = ("delivered",)
        elif taken and in_time == taken and suffix in _ENDS:
            allowed = _ENDS[suffix][:1]
        else:
            allowed = (*_ENDS.get(suffix, _DELIVERED_ENDS), "expired")
        if row.state not in allowed:
            faults.append(f"{row.id} ({row.to}) ended {row.state} ({row.reason}), not {' or '.join(allowed)}")
    return faults


def _is_in_time(taken: Acceptance, row: MessageRow, slowest_report: timedelta) -> bool:
    """Infobip's last word was there before the last look at its logs."""
    return taken.accepted_at + slowest_report + _REPORT_SLACK < row.expires_at


SLACK = 50  # messages
_CALM_ENOUGH = timedelta(seconds=75)


def never_left(evidence: Evidence) -> list[str]:
    """Messages that expired without Infobip ever having them, though faults were over long before."""
    taken = {one.to for one in evidence.acceptances}
    return [
        f"{row.id} ({row.to}) expired untried, {(row.expires_at - evidence.calm_since).total_seconds():.0f} s into calm"
        for row in evidence.messages
        if row.state == "expired" and row.to not in taken and row.expires_at > evidence.calm_since + _CALM_ENOUGH
    ]


def logs_overdrawn(evidence: Evidence) -> list[str]:
    """Credentials that asked Infobip's logs more often than it allows, in any minute."""
    faults = []
    for credential, times in logs_calls(evidence).items():
        most = most_within(times, timedelta(seconds=60))
        if most > LOGS_CALLS_A_MINUTE:
            faults.append(f"{credential} asked Infobip's logs {most} times in a minute")
    return faults


def logs_calls(evidence: Evidence) -> dict[str, list[datetime]]:
    """When each credential asked Infobip's logs, whatever they answered."""
    owner = {row.id: row.credential for row in (*evidence.submissions, *evidence.messages)}
    asked: dict[str, list[datetime]] = defaultdict(list)
    for call in evidence.logs_calls:
        for credential in {owner.get(asked_for, "nobody") for asked_for in (*call.bulk_ids, *call.message_ids)}:
            asked[credential].append(call.at)
    return asked


def rate_exceeded(evidence: Evidence) -> list[str]:
    """Credentials that gave Infobip more than their rate allows, in a second or over the run."""
    faults = []
    for credential, rate in evidence.rates.items():
        times = paced_acceptances(evidence, credential)
        if not times:
            continue
        most, most_allowed = most_within(times, timedelta(seconds=1)), burst_of(rate)
        if most > most_allowed:
            faults.append(f"{credential} handed over {most} messages within a second, at most {most_allowed} are fine")
        seconds = (times[-1] - times[0]).total_seconds()
        if len(times) > rate * (seconds + 1) + SLACK:
            faults.append(f"{credential} handed over {len(times)} messages in {seconds:.1f} s at {rate} a second")
    return faults


def paced_acceptances(evidence: Evidence, credential: str) -> list[datetime]:
    """When Infobip took each message of this credential, in order."""
    ours = {row.id for row in evidence.messages if row.credential == credential}
    return sorted(taken.accepted_at for taken in evidence.acceptances if taken.message_id in ours)


def burst_of(rate: int) -> int:
    """The most messages that may arrive within one second: a second's worth, another that was saved or is overdrawn
    (worker/rates.py), and a little that the way to Infobip pushed together."""
    return 2 * rate + SLACK


def most_within(times: Sequence[datetime], span: timedelta) -> int:
    """The most instants in any window of this length, its start included, its end not."""
    times = sorted(times)
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= span:
            first += 1
        most = max(most, last - first + 1)
    return most


def evidence_missing(evidence: Evidence) -> list[str]:
    """A check of half a log proves nothing."""
    return [f"the sandbox dropped {evidence.dropped_count} entries of its log"] if evidence.dropped_count else []


CHECKS: Mapping[str, Callable[[Evidence], list[str]]] = {
    "lost: promised, and not there or not final": lost,
    "twice: accepted again, not known to have failed": twice,
    "late: accepted after expires_at": late,
    "idempotency keys that did their work twice": done_twice,
    "reports missing, or recorded twice": reports_recorded,
    "tally drift": tally_drift,
    "metrics that disagree with the database": metrics_drift,
    "counters of metrics that fell": counters_fallen,
    "ends that Infobip knows better": wrong_ends,
    "expired untried, long after the last fault": never_left,
    f"credentials with over {LOGS_CALLS_A_MINUTE} calls of the logs a minute": logs_overdrawn,
    "credentials over their rate": rate_exceeded,
    "entries missing from the sandbox's log": evidence_missing,
}
