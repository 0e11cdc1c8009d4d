"""Sending: open a submission in a lane, hand it to Infobip, record the answer. Again, while there is more.

take tokens             killed here, or before unused ones are given back: a moment's worth of the rate is lost
open a submission     | commit        killed before: nothing happened; a probe that is committed has spent its turn
leave some behind     | commit        what is late, or barred by now; killed before: never sent, they are in doubt like
                                      those they left with
POST to Infobip         no transaction open; killed here or before the next commit: the lease runs out,
                        recovery.abandon puts its attempts in doubt, and Infobip's logs are asked
record the answer     | commit        killed after: all is told
send its parts          of a refused request; killed before: they are open, and their leases run out
postpone the others   | commit        that were due with it, and had missed their windows; killed before: they still are
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

import structlog
from sqlalchemy import Engine
from sqlmodel import Session

from worker import answers, holds, missed_windows
from worker.boundaries import Boundary, reached
from worker.claims import Claimed, claim
from worker.db import open_session, transact
from worker.errors import SendError
from worker.infobip.client import Infobip
from worker.infobip.payloads import Outgoing, SendRequest, send_request
from worker.lanes import Route, read_route
from worker.metrics import enqueue_to_submit_seconds, observe_all, remaining_validity_seconds, submission_messages
from worker.rates import Grant, Rates
from worker.resubmission import resubmit
from worker.retry import LEAST_REMAINING
from worker.segments import MOST_PARTS
from worker.settings import Settings
from worker.submissions import OpenSubmission
from worker.words import RateUnit

T = TypeVar("T")

SHORT_WAIT_SECONDS = 0.03  # for tokens; a nudge would take as long to come back
MANY_ATTEMPTS = 4  # from then on a label tells no more apart
GATE_HOLDS_SECONDS = 0.5  # what waits longer for its request is asked about again: what is paused stops within a second

_log = structlog.get_logger()


class _ProbeTaken(Exception):
    """Another process sends the lane's probe, or it is not due yet: what was opened for it is taken back."""


class Dispatcher:
    """One process's way out: its database engine, its connections to Infobip, the shared rates.

    `nudge` tells this and other processes to look at a lane, after so many seconds.
    """

    def __init__(
        self,
        engine: Engine,
        infobip: Infobip,
        rates: Rates,
        settings: Settings,
        nudge: Callable[[UUID, str, float], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._infobip = infobip
        self._rates = rates
        self._settings = settings
        self._nudge = nudge
        self._monotonic = monotonic

    def deliver(self, lane_id: UUID, budget_seconds: float) -> None:
        """Send what is due in the lane, until nothing is. A nudge takes it on when the time is up, and when the rate
        allows no more for now: others' lanes must not wait for this one's tokens.
        """
        ends = self._monotonic() + budget_seconds
        reach: int | None = None  # further where what is due next is barred, or has missed its window
        while (route := self._read_route(lane_id)) is not None:
            if self._monotonic() >= ends:
                self._nudge(lane_id, route.message_type, 0.0)
                return
            if route.is_held:
                claimed = self._open_probe(route, reach)
            else:
                grant = self._take_tokens(route)
                if not grant.messages and grant.wait_seconds <= SHORT_WAIT_SECONDS:
                    time.sleep(grant.wait_seconds)
                    continue
                if not grant.messages:
                    self._nudge(lane_id, route.message_type, grant.wait_seconds)
                    return
                claimed = self._open(route, grant.messages, reach)
            if claimed.submission is None and not claimed.others:
                return
            reach = self._settings.submission_size if claimed.others else None
            if claimed.submission is not None:
                if self._is_full(claimed.submission, claimed.others):
                    self._nudge(lane_id, route.message_type, 0.0)
                self.send(claimed.submission)
            if claimed.missed:
                self._postpone(claimed.missed)

    def send(self, submission: OpenSubmission) -> None:
        """Hand one open submission to Infobip and record what it says; parts of a refused one follow at once."""
        waiting = [submission]
        while waiting:
            parts = self._send_one(waiting.pop())
            self._charge(submission.route, sum(_tokens(part) for part in parts))
            waiting.extend(parts)

    def _read_route(self, lane_id: UUID) -> Route | None:
        with open_session(self._engine) as session:
            return read_route(session, lane_id)

    def _take_tokens(self, route: Route) -> Grant:
        size = self._settings.submission_size
        return self._rates.take(route.credential_id, route.messages_per_second, size, route.message_type)

    def _is_full(self, submission: OpenSubmission, others: int) -> bool:
        """There may be more of it: no other message would have fitted, however many parts it takes."""
        most_of_one = MOST_PARTS if submission.route.rate_unit is RateUnit.SEGMENTS else 1
        return _tokens(submission) + others > self._settings.submission_size - most_of_one

    def _charge(self, route: Route, tokens: int) -> None:
        """More than was taken; where it is negative, less."""
        self._rates.charge(route.credential_id, route.messages_per_second, tokens)

    def _open(self, route: Route, limit: int, reach: int | None) -> Claimed:
        claimed = self._commit_open(lambda session: self._next(session, route, limit, reach))
        # Less, where fewer are due or the next one takes too many parts; more, where the first one does: what is
        # overdrawn, the next ones wait for.
        self._charge(route, (_tokens(claimed.submission) if claimed.submission else 0) - limit)
        return claimed

    def _open_probe(self, route: Route, reach: int | None) -> Claimed:
        """One message of a held lane, for the one process that may send it now. Where there is none to send, the probe
        is not spent."""

        def work(session: Session) -> Claimed:
            claimed = self._next(session, route, 1, reach, is_probe=True)
            if claimed.submission is not None and not holds.take_probe(session, route.lane_id):
                raise _ProbeTaken
            return claimed

        try:
            claimed = self._commit_open(work)
        except _ProbeTaken:
            return Claimed(None)
        self._charge(route, _tokens(claimed.submission) if claimed.submission else 0)
        return claimed

    def _next(
        self, session: Session, route: Route, limit: int, reach: int | None, *, is_probe: bool = False
    ) -> Claimed:
        """What is absent from Infobip's logs goes before what is due: it has waited longer."""
        settings, now = self._settings, self._monotonic()
        again = resubmit(session, route, limit, now, settings, is_probe=is_probe)
        if again is not None:
            return Claimed(again)
        return claim(session, route, limit, settings.lease_seconds, now, is_probe=is_probe, reach=reach)

    def _commit_open(self, open_one: Callable[[Session], Claimed]) -> Claimed:
        """Committed before the request leaves: a crash must find what may be out there."""

        def work(session: Session) -> Claimed:
            claimed = open_one(session)
            if claimed.submission is not None:
                reached(Boundary.CLAIM_WRITTEN)
            return claimed

        claimed = transact(self._engine, work)
        if claimed.submission is not None:
            reached(Boundary.CLAIM_COMMITTED)
        return claimed

    def _postpone(self, missed: Sequence[UUID]) -> None:
        transact(self._engine, lambda session: missed_windows.postpone(session, missed))

    def _send_one(self, submission: OpenSubmission) -> list[OpenSubmission]:
        """Post one submission and record what came of it; returns the submissions that a refusal opened."""
        settings = self._settings
        submission = self._leave_barred_ones(submission)
        elapsed = self._monotonic() - submission.opened_monotonic
        submission = self._leave_late_ones(submission, elapsed)
        if not submission.messages:
            return []
        submission_messages.observe(len(submission.messages))
        route = submission.route
        # The body has to be there before the first of its messages expires, and before the first window closes; the
        # answer may come later.
        sent_within = min(message.leaves_within_seconds for message in submission.messages) - elapsed
        try:
            answer = self._infobip.submit(route.account, route.channel, self._request(submission, elapsed), sent_within)
        except SendError as caught:
            error = caught
        else:
            reached(Boundary.ANSWER_RECEIVED)
            self._record(lambda session: answers.record_answer(session, submission, answer, settings))
            _measure(submission, elapsed)
            self._tell_answered(submission)
            return []
        reached(Boundary.ANSWER_RECEIVED)
        _log.info("submission_failed", submission_id=str(submission.id), code=error.code, detail=error.brief)
        if error.retry_after_seconds is not None and not submission.is_probe:  # one message says nothing of the rate
            self._rates.slow_down(route.credential_id, route.messages_per_second)
        return self._record(lambda session: answers.record_error(session, submission, error, settings, self._monotonic))

    def _tell_answered(self, submission: OpenSubmission) -> None:
        """Whose request it was, its task has bound to the line."""
        seconds = round(self._monotonic() - submission.opened_monotonic, 3)
        ids = {"submission_id": str(submission.id), "lane_id": str(submission.route.lane_id)}
        _log.info("submission_answered", **ids, messages=len(submission.messages), seconds=seconds)

    def _leave_barred_ones(self, submission: OpenSubmission) -> OpenSubmission:
        """Parts of a refused request wait for each other: what is paused or barred meanwhile does not go."""
        if self._monotonic() - submission.opened_monotonic <= GATE_HOLDS_SECONDS:
            return submission
        barred = self._record(lambda session: answers.release_barred(session, submission, self._settings))
        return _without(submission, barred)

    def _leave_late_ones(self, submission: OpenSubmission, elapsed: float) -> OpenSubmission:
        """Release the messages that have less than a second left by now, of their validity or until their window
        closes, and past half its lease all; their neighbours go."""
        least = LEAST_REMAINING.total_seconds()
        is_late = elapsed > self._settings.lease_seconds / 2
        late = {m.message_id for m in submission.messages if is_late or m.leaves_within_seconds - elapsed < least}
        if not late:
            return submission
        self._record(lambda session: answers.record_unsent(session, submission, self._settings, only=late))
        return _without(submission, late)

    def _record(self, work: Callable[[Session], T]) -> T:
        """Commit what came of a submission. The answer is worth waiting for a database that restarts: without it,
        hundreds of messages would be in doubt. What it does where its first commit stands: answers.py.
        """

        def write(session: Session) -> T:
            followed = work(session)
            reached(Boundary.ANSWER_WRITTEN)
            return followed

        followed = transact(self._engine, write, patience_seconds=self._settings.lease_seconds / 4)
        reached(Boundary.ANSWER_COMMITTED)
        return followed

    def _request(self, submission: OpenSubmission, elapsed_seconds: float) -> SendRequest:
        route = submission.route
        reports = self._settings.webhook_url(route.credential_id, route.webhook_token, "reports")
        now = datetime.now(UTC)
        return send_request(route.channel, submission.id, submission.messages, elapsed_seconds, reports, now)


def _measure(submission: OpenSubmission, elapsed: float) -> None:
    """Of attempts that Infobip has answered, however often they went out before: what nobody answered, or what was
    refused with others, has not come there yet."""
    route, by_number = submission.route, defaultdict[int, list[Outgoing]](list)
    for message in submission.messages:
        by_number[message.number].append(message)
    for number, attempts in by_number.items():
        left = remaining_validity_seconds.labels(route.message_type, _ordinal(number))
        observe_all(left, (message.remaining_seconds - elapsed for message in attempts))
    waited = enqueue_to_submit_seconds.labels(route.channel, route.message_type)
    observe_all(waited, (message.waited_seconds + elapsed for message in by_number[1]))


def _ordinal(number: int) -> str:
    return str(number) if number < MANY_ATTEMPTS else f"{MANY_ATTEMPTS}+"


def _tokens(submission: OpenSubmission) -> int:
    """What it costs of the credential's rate."""
    if submission.route.rate_unit is RateUnit.SEGMENTS:
        return sum(message.parts for message in submission.messages)
    return len(submission.messages)


def _without(submission: OpenSubmission, left: Set[UUID]) -> OpenSubmission:
    return replace(submission, messages=[m for m in submission.messages if m.message_id not in left])
