"""Delivery reports: each is stored once, and moves its message only forward.

A group of reports, from as many webhooks as came together, is one transaction: lock the messages, leave out what is
stored already, fold the rest one by one onto their messages, write. A report of an attempt that is no longer the
current one changes nothing, unless it says delivered: that wins over every other state.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker import fates, holds
from worker.columns import column, rows_of
from worker.ids import new_id
from worker.infobip.reading import BadItem
from worker.infobip.reports import Report
from worker.locking import LockedMessage, lock_chains
from worker.metrics import (
    OTHER,
    observe_all,
    price_total,
    report_lag_seconds,
    reports_total,
    submit_to_report_seconds,
    unknown_codes_total,
)
from worker.settings import Settings
from worker.states import WAITING, State, may_become
from worker.transitions import Transitions
from worker.unmatched import Unmatched, keep
from worker.words import FAILURES, MessageType, Outcome, ReportResult, Source

# The messages are locked: nobody else adds reports of theirs before this transaction ends. One row where there is none:
# the time is asked for along with them.
_STORED = text("""
    SELECT clock_timestamp() AS now, message_id, attempt, status_id, done_at
    FROM (SELECT) AS one LEFT JOIN delivery_report ON message_id = ANY(CAST(:ids AS uuid[]))
""")

_COLUMNS = {  # stored as they are read
    "message_id": "uuid",
    "attempt": "smallint",
    "status_id": "int",
    "status_name": "text",
    "status_group": "text",
    "error_id": "int",
    "error_name": "text",
    "error_permanent": "bool",
    "price": "numeric",
    "currency": "text",
    "segment_count": "int",
    "mcc_mnc": "text",
    "sent_at": "timestamptz",
    "done_at": "timestamptz",
}
_ADDED = {"id": "uuid", "callback_data": "text", "result": "text"}
_STORE = text(f"""
    INSERT INTO delivery_report ({", ".join([*_COLUMNS, *_ADDED])}, source)
    SELECT v.*, CAST(:source AS text) FROM {rows_of(**_COLUMNS, **_ADDED)} AS v
""")
Items = Sequence[Report | BadItem]
_ENDS = FAILURES | {Outcome.DELIVERED}  # of an attempt


@dataclass(frozen=True, slots=True)
class _Stored:
    report: Report
    callback_data: str | None
    result: ReportResult


def apply_reports(
    session: Session, pushes: Iterable[tuple[UUID, Items]], settings: Settings, source: Source = Source.PUSH
) -> None:
    """Store the reports of these (credential ID, items) and move their messages. The caller commits, then answers 200.

    A report counts only for messages of the credential it came for. What matches none is kept in `unmatched_report`.
    """
    pushes = list(pushes)
    counted: Counter[tuple[str, ReportResult]] = Counter()
    reports = [(credential, item) for credential, items in pushes for item in items if isinstance(item, Report)]
    messages = lock_chains(session, (report.message_id for _, report in reports))
    rows = session.execute(_STORED, {"ids": list(messages)}).all()
    known = {(row.message_id, row.attempt, row.status_id, row.done_at) for row in rows}
    transitions = Transitions(session, rows[0].now)
    stored: list[_Stored] = []
    ended: list[tuple[Report, LockedMessage]] = []
    unmatched: list[Unmatched] = []
    troubles: dict[UUID, str] = {}
    for credential, report in reports:
        message = messages.get(report.message_id)
        key = (report.message_id, report.attempt, report.status_id, report.done_at)
        if message is None or message.credential_id != credential:
            unmatched.append(Unmatched(credential, "no such message of this credential", report.body))
            result = ReportResult.UNMATCHED
        elif key in known:
            result = ReportResult.REPEATED
        else:
            known.add(key)
            result = fold(transitions, message, report, settings)
            stored.append(_Stored(report, report.callback_data or message.callback_data, result))
            if result is ReportResult.APPLIED and report.verdict.outcome in _ENDS:
                ended.append((report, message))
            is_account_trouble = report.verdict.outcome is Outcome.ACCOUNT and result is ReportResult.APPLIED
            if is_account_trouble and message.submission_id is not None:
                troubles[message.submission_id] = report.verdict.sentence
        counted[report.group_label, result] += 1
    bad = [(credential, item) for credential, items in pushes for item in items if isinstance(item, BadItem)]
    unmatched += [Unmatched(credential, item.reason, item.body) for credential, item in bad]
    counted.update([("other", ReportResult.MALFORMED)] * len(bad))
    _end_replays(transitions, messages.values())
    _store(session, stored, source)
    keep(session, unmatched)
    holds.hold_for_reports(session, troubles)
    transitions.write()
    for (group, result), n in counted.items():
        reports_total.labels(group, source.value, result.value).inc(n)
    lags = (transitions.now - row.report.done_at for row in stored if row.report.done_at is not None)
    # Infobip's clock may be ahead of ours.
    observe_all(report_lag_seconds.labels(source.value), (max(0.0, lag.total_seconds()) for lag in lags))
    _measure(ended, transitions.now)


def _measure(ended: Sequence[tuple[Report, LockedMessage]], now: datetime) -> None:
    """Of attempts that these reports ended: how long that took, and what they cost. Of an earlier attempt than the
    current one the former is not known."""
    took: dict[bool, list[float]] = {}
    for report, message in ended:
        if message.left_at is not None and report.attempt == message.number:
            took.setdefault(message.is_marketing, []).append((now - message.left_at).total_seconds())
        if report.price is not None:
            price_total.labels(_currency(report)).inc(max(0.0, float(report.price)))
    for is_marketing, seconds in took.items():
        message_type = MessageType.MARKETING if is_marketing else MessageType.TRANSACTIONAL
        observe_all(submit_to_report_seconds.labels(message_type), seconds)


def _currency(report: Report) -> str:
    code = report.currency or ""
    return code if len(code) == 3 and code.isascii() and code.isupper() and code.isalpha() else OTHER


def fold(transitions: Transitions, message: LockedMessage, report: Report, settings: Settings) -> ReportResult:
    """What one report does to its message as the reports before it left it."""
    verdict = report.verdict
    if not verdict.is_known:
        unknown_codes_total.inc()
    fates.note_block(transitions, message, verdict, report.done_at or transitions.now)
    if verdict.outcome is Outcome.DELIVERED:
        if not may_become(message.state, State.DELIVERED):
            return ReportResult.NOTED
        fates.deliver(transitions, message, report.attempt, verdict.code)
        return ReportResult.APPLIED
    if report.attempt != message.number:
        return ReportResult.LATE
    if verdict.outcome is Outcome.PENDING and message.state is State.SENDING:
        # The report overtook the answer, or settles a doubt: Infobip has the message.
        fates.accept(transitions, message, settings)
        return ReportResult.APPLIED
    if verdict.outcome in FAILURES and message.state in (State.SENDING, State.SENT):
        fates.fail(transitions, message, verdict, settings)
        return ReportResult.APPLIED
    return ReportResult.NOTED


def _end_replays(transitions: Transitions, messages: Collection[LockedMessage]) -> None:
    """Of those locked together: who waits to be sent again, while another of its chain has arrived."""
    arrived = {message.root_id for message in messages if message.state is State.DELIVERED}
    for message in messages:
        if message.state in WAITING and message.root_id in arrived:
            fates.end_replay(transitions, message)


def keep_unreadable(session: Session, credential_id: UUID, body: str) -> None:
    """A push that is not JSON: sent again it would be no better, so it is kept for a person. The caller commits."""
    keep(session, [Unmatched(credential_id, "unreadable body", body)])
    reports_total.labels("other", Source.PUSH.value, ReportResult.MALFORMED.value).inc()


def _store(session: Session, stored: list[_Stored], source: Source) -> None:
    if not stored:
        return
    columns = {name: column(getattr(row.report, name) for row in stored) for name in _COLUMNS}
    columns["id"] = column(new_id() for _ in stored)
    columns["callback_data"] = column(row.callback_data for row in stored)
    columns["result"] = column(row.result for row in stored)
    session.execute(_STORE, {**columns, "source": source.value})
