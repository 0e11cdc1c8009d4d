"""Asking Infobip's logs: about attempts of unknown fate, and about reports that have not come.

An unknown fate is settled by a row found (applied as a report with source `pull`), or, absent at each look, by going
out again under the same attempt number (resubmission.py): Infobip refuses an ID it has seen, so even a log that was
slow costs no second copy. A look belongs to the process that took it for as long as a lease; if that process dies at
any line here, it falls due again.

    take what is due       | commit        look_plans.py
    ask, page by page        within the account's 120 calls a minute, no transaction open
    apply the rows found   | commit        as reports
    conclude               | commit        the next look, absent, or the end: conclusions.py
    nudge                    killed before: the tick finds what is absent, for a minute; then there is another look
"""

import time
from collections.abc import Callable, Iterator, Set
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import Engine
from sqlmodel import Session

from worker import conclusions, look_plans, submissions
from worker.boundaries import Boundary, reached
from worker.db import database_now, is_away, open_session, transact
from worker.errors import SendError
from worker.glance import glance
from worker.infobip.answers import LogPage
from worker.infobip.client import Infobip
from worker.infobip.reports import Report
from worker.locking import lock, lock_chains
from worker.log_budget import LogBudget
from worker.logs import log_bug
from worker.look_plans import Look
from worker.reports import apply_reports
from worker.settings import Settings
from worker.states import State
from worker.transitions import Transitions
from worker.words import UNSETTLED, Outcome, Source

BUDGET_WAIT = timedelta(seconds=3)  # until an account is asked again whose budget is spent
FIRST_WAIT_SECONDS = 2.0  # for a call within the budget, to begin a look about doubts
LONGEST_WAIT_SECONDS = 5.0  # for a call within the budget, once a look has begun

_log = structlog.get_logger()


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
            if not look_plans.is_due(connection):
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
            except Exception as error:  # the other looks must not wait for this one's trouble; it falls due again
                if is_away(error):
                    _log.warning("database_away", task="look", lane_id=str(look.route.lane_id))
                else:
                    log_bug(_log, "look_failed", error, lane_id=str(look.route.lane_id))
        return made

    def _take(self) -> list[Look]:
        with open_session(self._engine) as session, session.begin():
            return look_plans.take(session, timedelta(seconds=self._settings.lease_seconds))

    def _postpone(self, look: Look) -> None:
        """A crash before its commit: the look falls due when its lease is over."""
        with open_session(self._engine) as session, session.begin():
            look_plans.postpone(session, look, BUDGET_WAIT)

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
            if error.retry_after_seconds is not None:
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

        def work(session: Session) -> list[Report]:
            messages = lock_chains(session, (row.message_id for row in rows))  # at once all that apply_reports locks
            news = [
                row
                for row in rows
                if (message := messages.get(row.message_id)) is not None
                and (row.verdict.outcome is not Outcome.PENDING or message.state is State.SENDING)
            ]
            apply_reports(session, [(look.route.credential_id, news)], self._settings, Source.PULL)
            reached(Boundary.LOOK_WRITTEN)
            return news

        news = transact(self._engine, work)
        reached(Boundary.LOOK_COMMITTED)
        return {row.message_id for row in news if row.verdict.outcome is not Outcome.DUPLICATE}

    def _conclude(self, look: Look, told: Set[UUID], *, are_logs_known: bool) -> bool:
        """For each attempt that the logs did not settle: its next look, or what follows where none is left. True where
        some are to go out again.
        """
        is_former, settings = look.kind.is_of_former_account, self._settings
        with open_session(self._engine) as session, session.begin():
            transitions = Transitions(session, database_now(session))
            absent: set[UUID | None] = set()  # the submissions they are of
            for message in lock(session, look.attempts.keys() - told).values():
                if (message.number, message.looks) != look.attempts[message.id]:
                    continue  # it has gone on meanwhile: nobody asked about its current attempt, or another just did
                if message.state is State.SENT:
                    conclusions.no_report_yet(
                        transitions, message, settings, are_logs_known=are_logs_known, is_former=is_former
                    )
                elif message.state is State.SENDING and message.attempt_outcome in UNSETTLED:
                    if are_logs_known:
                        if conclusions.absent_once_more(transitions, message, settings):
                            absent.add(message.submission_id)
                    elif is_former:
                        conclusions.doubt_for_good(transitions, message, settings)
                    else:
                        conclusions.doubt_without_logs(transitions, message)
            transitions.write()
            submissions.mark_absent(session, absent)
            reached(Boundary.LOOK_WRITTEN)
        reached(Boundary.LOOK_COMMITTED)
        return bool(absent)
