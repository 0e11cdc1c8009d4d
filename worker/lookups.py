"""Asking Infobip's logs: about attempts of unknown fate, and about reports that have not come.

An unknown fate is settled by a row found (applied as a report with source `pull`), or, absent at each look, by going
out again under the same attempt number (resubmission.py): Infobip refuses an ID it has seen, so even a log that was
slow costs no second copy. A look belongs to the process that took it for as long as a lease; if that process dies at
any line here, it falls due again.

    take what is due       | commit
    ask, page by page        within the account's 120 calls a minute, no transaction open
    apply the rows found   | commit        as reports
    conclude               | commit        the next look, absent, or the end
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine, text
from sqlmodel import Session

from worker.answers import stay_in_doubt
from worker.boundaries import Boundary, reached
from worker.claims import Route, read_route
from worker.db import open_session
from worker.errors import SendError, Throttled
from worker.glance import glance
from worker.ids import attempt_id
from worker.infobip.client import IDS_A_CALL, MOST_LOG_ROWS, Infobip, LogPage
from worker.infobip.reports import Report
from worker.looks import ABSENT_FOR, LOGS_REACH_BACK, missing_report_look
from worker.rates import LogBudget
from worker.reasons import ACCOUNT_CHANGED, BATCH_CANCELLED, UNKNOWN_FATE
from worker.reports import apply_reports
from worker.retry import LEAST_REMAINING
from worker.settings import Settings
from worker.states import State
from worker.transitions import LockedMessage, Transitions, database_now, lock
from worker.words import UNSETTLED, AttemptOutcome, MessageType, Outcome, Source

GROUP = 1000  # attempts taken at once
CALLS_A_LOOK = 5  # or so, and it is answered whole
LOGS_AWAY_WAIT = timedelta(seconds=15)  # until an account's logs are asked again that did not answer
BUDGET_WAIT = timedelta(seconds=3)  # and where its budget is spent
FIRST_WAIT_SECONDS = 2.0  # for a call within the budget, to begin a look about doubts
LONGEST_WAIT_SECONDS = 5.0  # for a call within the budget, once a look has begun

_log = structlog.get_logger()

# An absent attempt is in doubt again while the logs are asked: their last word does not count twice.
_TAKE = """
    UPDATE attempt SET look_at = statement_timestamp() + :lease,
        outcome = CASE outcome WHEN 'absent' THEN 'in doubt' ELSE outcome END
    FROM (
        SELECT message_id, number FROM attempt WHERE look_at <= statement_timestamp() AND {which}
        ORDER BY look_at LIMIT :group FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE attempt.message_id = due.message_id AND attempt.number = due.number
    RETURNING attempt.message_id, attempt.number, attempt.looks, attempt.submission_id,
              attempt.outcome = 'in doubt' AS is_doubt
"""
_IS_DUE = text("SELECT true FROM attempt WHERE look_at <= statement_timestamp() ORDER BY look_at LIMIT 1")
_TAKE_DOUBTS = text(_TAKE.format(which="outcome IN ('in doubt', 'absent')"))
_TAKE_REPORTS = text(_TAKE.format(which="outcome = 'accepted'"))
# Not asked about after all. What has gone on meanwhile is left alone, and so is what others have their hands on.
_POSTPONE = text("""
    UPDATE attempt SET look_at = statement_timestamp() + :wait
    FROM (
        SELECT message_id, number FROM attempt
        WHERE message_id = ANY(:ids) AND look_at IS NOT NULL FOR UPDATE SKIP LOCKED
    ) AS taken
    WHERE attempt.message_id = taken.message_id AND attempt.number = taken.number
""")
_MARK_ABSENT = text("""
    UPDATE submission SET absent_until = statement_timestamp() + :absent_for
    WHERE id IN (SELECT id FROM submission WHERE id = ANY(:ids) ORDER BY id FOR UPDATE)
""")
_SUBMISSIONS = text("""
    SELECT id, lane_id, bulk_ids, credential_version, message_count FROM submission WHERE id = ANY(:ids) ORDER BY id
""")


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be asked together."""

    lane_id: UUID
    is_about_doubts: bool
    is_of_former_account: bool  # which this credential cannot ask any more
    # So few of their submissions' messages that asking for each costs fewer calls than the pages of all. Not for
    # doubts: whatever IDs a request may have arrived under, its bulk ID names it.
    is_sparse: bool


@dataclass(slots=True)
class Look:
    """What is asked of one account's logs, on behalf of these attempts."""

    kind: Kind
    route: Route
    bulk_ids: list[UUID] = field(default_factory=list)
    attempts: dict[UUID, tuple[int, int]] = field(default_factory=dict)  # message ID: attempt number, looks so far
    message_count: int = 0

    def has_room_for(self, submission: Any, attempts: int) -> bool:
        if not self.attempts:
            return True
        if self.kind.is_sparse:
            return len(self.attempts) + attempts <= CALLS_A_LOOK * IDS_A_CALL
        ids, messages = len(self.bulk_ids) + len(submission.bulk_ids), self.message_count + submission.message_count
        return ids <= IDS_A_CALL and messages <= CALLS_A_LOOK * MOST_LOG_ROWS

    def add(self, submission: Any, attempts: dict[UUID, tuple[int, int]]) -> None:
        self.bulk_ids.extend(submission.bulk_ids)
        self.attempts.update(attempts)
        self.message_count += submission.message_count

    def questions(self) -> Iterator[list[UUID] | list[str]]:
        """The IDs of one call each; a call may have several pages."""
        if self.kind.is_sparse:
            wire_ids = [attempt_id(message_id, number) for message_id, (number, _) in self.attempts.items()]
            yield from (wire_ids[start : start + IDS_A_CALL] for start in range(0, len(wire_ids), IDS_A_CALL))
        else:
            yield from (self.bulk_ids[start : start + IDS_A_CALL] for start in range(0, len(self.bulk_ids), IDS_A_CALL))


class _BudgetSpent(Exception):
    """The account's logs were asked as often as they may be."""


class Lookups:
    """The looks of one process. `nudge` tells a lane's workers that something is to go out again."""

    def __init__(
        self,
        engine: Engine,
        infobip: Infobip,
        budget: LogBudget,
        settings: Settings,
        nudge: Callable[[UUID, str], None],
    ) -> None:
        self._engine = engine
        self._infobip = infobip
        self._budget = budget
        self._settings = settings
        self._nudge = nudge

    def look(self) -> int:
        """Take the attempts whose look is due, ask, and settle what the logs tell and what they do not.

        Returns how many looks were made: 0 where nothing is due, or no account may be asked now.
        """
        with glance(self._engine) as connection:
            if not connection.execute(_IS_DUE).first():
                return 0
        looks = self._take()
        if looks:
            reached(Boundary.LOOK_TAKEN)
        spent: set[str] = set()  # accounts whose budget is
        silent: set[str] = set()  # and those that do not answer
        made = 0
        for look in looks:
            account = look.route.account.identity
            if account in spent:
                self._postpone(look)
                continue
            try:
                if not self._settle(look, may_ask=account not in silent):
                    silent.add(account)
                made += 1
            except _BudgetSpent:
                spent.add(account)
                self._postpone(look)
            except Exception:  # the other looks must not wait for this one's trouble; it falls due again
                _log.exception("look_failed", lane_id=str(look.route.lane_id))
        return made

    def _take(self) -> list[Look]:
        """Doubts before missing reports: they keep messages from going out."""
        values = {"lease": timedelta(seconds=self._settings.lease_seconds)}
        with open_session(self._engine) as session, session.begin():
            taken = list(session.execute(_TAKE_DOUBTS, {**values, "group": GROUP}))
            if len(taken) < GROUP:
                taken += session.execute(_TAKE_REPORTS, {**values, "group": GROUP - len(taken)})
            return _plan(session, taken)

    def _postpone(self, look: Look) -> None:
        with open_session(self._engine) as session, session.begin():
            session.execute(_POSTPONE, {"wait": BUDGET_WAIT, "ids": list(look.attempts)})

    def _settle(self, look: Look, *, may_ask: bool) -> bool:
        """False where the logs were to be asked and did not answer to their end: what they told is settled, the rest
        waits. Errors: _BudgetSpent before anything was asked.
        """
        rows: list[Report] = []
        is_former = look.kind.is_of_former_account
        are_logs_known = may_ask and not is_former and self._ask(look, rows)
        reached(Boundary.LOGS_READ)
        told = self._apply(look, rows) if rows else set()
        if self._conclude(look, told, are_logs_known=are_logs_known):
            self._nudge(look.route.lane_id, look.route.message_type)
        return are_logs_known or is_former

    def _ask(self, look: Look, rows: list[Report]) -> bool:
        """Collect the rows of these attempts. False where the logs could not be read to their end: what is not among
        the rows may yet be there. Errors: _BudgetSpent before the first call.
        """
        has_begun = False
        try:
            for page in self._pages(look):
                has_begun = True
                rows += [row for row in page.rows if isinstance(row, Report) and row.message_id in look.attempts]
        except _BudgetSpent:
            if not has_begun:
                raise
            return False
        except SendError as error:
            _log.warning("logs_unreachable", credential_id=str(look.route.credential_id), detail=error.brief)
            if isinstance(error, Throttled):
                self._budget.overdrawn(look.route.account.identity, error.retry_after_seconds)
            return False
        return True

    def _pages(self, look: Look) -> Iterator[LogPage]:
        """Errors: SendError; _BudgetSpent."""
        # A doubt is worth a moment; and a look that has begun a while: the next one would read the same pages again.
        route, patience = look.route, FIRST_WAIT_SECONDS if look.kind.is_about_doubts else 0.0
        for ids in look.questions():
            cursor: str | None = None
            while True:
                self._spend(look, patience)
                page = self._infobip.log_page(route.account, route.channel, ids, cursor)
                yield page
                patience = LONGEST_WAIT_SECONDS
                cursor = page.cursor
                if cursor is None:
                    break

    def _spend(self, look: Look, patience_seconds: float) -> None:
        """One call of the account's budget. Errors: _BudgetSpent."""
        ends = time.monotonic() + patience_seconds
        while wait := self._budget.take(look.route.account.identity, is_for_doubts=look.kind.is_about_doubts):
            if time.monotonic() + wait > ends:
                raise _BudgetSpent
            time.sleep(wait)

    def _apply(self, look: Look, rows: list[Report]) -> set[UUID]:
        """A log row counts as a report; one that says only what we know, that it is pending, is no news. Returns the
        messages that had news."""
        with open_session(self._engine) as session, session.begin():
            messages = lock(session, (row.message_id for row in rows))
            news = [
                row
                for row in rows
                if (message := messages.get(row.message_id)) is not None
                and (row.verdict.outcome is not Outcome.PENDING or message.state is State.SENDING)
            ]
            apply_reports(session, [(look.route.credential_id, news)], Source.PULL)
            reached(Boundary.LOOK_WRITTEN)
        reached(Boundary.LOOK_COMMITTED)
        return {row.message_id for row in news if row.verdict.outcome is not Outcome.DUPLICATE}

    def _conclude(self, look: Look, told: Set[UUID], *, are_logs_known: bool) -> bool:
        """For each attempt that the logs did not settle: its next look, or what follows where none is left. True where
        some are to go out again.
        """
        with open_session(self._engine) as session, session.begin():
            transitions = Transitions(session, database_now(session))
            absent: set[UUID] = set()  # the submissions they are of
            for message in lock(session, look.attempts.keys() - told).values():
                if (message.number, message.looks) != look.attempts[message.id]:
                    continue  # it has gone on meanwhile: nobody asked about its current attempt, or another just did
                if message.state is State.SENT:
                    self._wait_for_report(transitions, message, look, are_logs_known=are_logs_known)
                elif message.state is State.SENDING and message.attempt_outcome in UNSETTLED:
                    if are_logs_known:
                        absent |= self._absent_once_more(transitions, message)
                    elif look.kind.is_of_former_account:
                        self._doubt_for_good(transitions, message)
                    else:
                        self._doubt_without_logs(transitions, message)
            transitions.write()
            if absent:
                session.execute(_MARK_ABSENT, {"ids": list(absent), "absent_for": ABSENT_FOR})
            reached(Boundary.LOOK_WRITTEN)
        reached(Boundary.LOOK_COMMITTED)
        return bool(absent)

    def _wait_for_report(
        self, transitions: Transitions, message: LockedMessage, look: Look, *, are_logs_known: bool
    ) -> None:
        now, looks = transitions.now, message.looks + are_logs_known
        look_at: datetime | None = now + LOGS_AWAY_WAIT
        if are_logs_known or look.kind.is_of_former_account:
            delays = self._settings.missing_report_after
            looks = looks if are_logs_known else len(delays) + 1
            look_at = missing_report_look(message.answered_at or now, looks, message.expires_at, delays)
        transitions.settle(message.id, message.number, AttemptOutcome.ACCEPTED, look_at=look_at, looks=looks)

    def _absent_once_more(self, transitions: Transitions, message: LockedMessage) -> set[UUID]:
        """The logs do not show it. After the last of its looks it may go out again, if it still may leave: then the
        submission is returned that it was in."""
        delays = self._settings.doubt_looks
        looks = min(message.looks + 1, len(delays))
        if looks < len(delays):
            stay_in_doubt(transitions, message, looks, delays[looks] - delays[looks - 1])
        elif message.is_cancelled:
            transitions.settle(message.id, message.number, AttemptOutcome.RELEASED, UNKNOWN_FATE)
            transitions.move(message, State.CANCELLED, BATCH_CANCELLED)
        elif message.expires_at < transitions.now + LEAST_REMAINING:
            transitions.settle(message.id, message.number, AttemptOutcome.RELEASED, UNKNOWN_FATE)
            transitions.move(message, State.EXPIRED, message.reason or UNKNOWN_FATE)
        elif not message.may_leave:  # its batch is paused: the last look is made again
            stay_in_doubt(transitions, message, len(delays) - 1, ABSENT_FOR)
        else:
            stay_in_doubt(transitions, message, looks, ABSENT_FOR, outcome=AttemptOutcome.ABSENT)
            assert message.submission_id is not None
            return {message.submission_id}
        return set()

    def _doubt_without_logs(self, transitions: Transitions, message: LockedMessage) -> None:
        if message.doubted_at is not None and transitions.now > message.doubted_at + LOGS_REACH_BACK:
            self._leave_unconfirmed(transitions, message, UNKNOWN_FATE)
        else:
            stay_in_doubt(transitions, message, message.looks, LOGS_AWAY_WAIT)

    def _doubt_for_good(self, transitions: Transitions, message: LockedMessage) -> None:
        """The account that may have it cannot be asked, and another must not get it: only a report can tell now."""
        if transitions.now >= message.expires_at + self._settings.report_grace:
            self._leave_unconfirmed(transitions, message, ACCOUNT_CHANGED)
        else:
            stay_in_doubt(transitions, message, message.looks, max(self._settings.report_grace, LOGS_AWAY_WAIT))

    def _leave_unconfirmed(self, transitions: Transitions, message: LockedMessage, reason: str) -> None:
        transitions.settle(message.id, message.number, AttemptOutcome.IN_DOUBT, reason)
        transitions.move(message, State.UNCONFIRMED, reason)


def _plan(session: Session, taken: Iterable[Any]) -> list[Look]:
    """The looks that answer for these attempts, each of one kind; doubts first, and among them transactional ones."""
    attempts: dict[UUID, dict[UUID, tuple[int, int]]] = defaultdict(dict)
    doubts: set[UUID] = set()
    for row in taken:
        attempts[row.submission_id][row.message_id] = (row.number, row.looks)
        if row.is_doubt:
            doubts.add(row.submission_id)
    routes: dict[UUID, Route | None] = {}
    filling: dict[Kind, Look] = {}
    looks: list[Look] = []
    for submission in session.execute(_SUBMISSIONS, {"ids": list(attempts)}):
        asked = attempts[submission.id]
        if submission.lane_id not in routes:
            routes[submission.lane_id] = read_route(session, submission.lane_id)
        route = routes[submission.lane_id]
        if route is None:
            continue
        is_doubt = submission.id in doubts
        is_former = submission.credential_version < route.account_since
        is_sparse = not is_doubt and len(asked) / IDS_A_CALL < submission.message_count / MOST_LOG_ROWS
        kind = Kind(route.lane_id, is_doubt, is_former, is_sparse)
        if kind not in filling or not filling[kind].has_room_for(submission, len(asked)):
            filling[kind] = Look(kind, route)
            looks.append(filling[kind])
        filling[kind].add(submission, asked)
    return sorted(looks, key=_urgency)


def _urgency(look: Look) -> tuple[bool, bool]:
    return not look.kind.is_about_doubts, look.route.message_type != MessageType.TRANSACTIONAL
