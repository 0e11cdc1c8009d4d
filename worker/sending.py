"""Sending: claim what is due in a lane, hand it to Infobip, record the answer. Again, while there is more.

open a submission     | commit        killed before: nothing happened
POST to Infobip         no transaction open; killed here or before the next commit: the lease runs out,
                        recovery.abandon puts its attempts in doubt, and Infobip's logs are asked
record the answer     | commit        killed after: all is told
"""

import time
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import structlog
from sqlalchemy import Engine
from sqlmodel import Session

from worker import answers, lanes
from worker.claims import OpenSubmission, Route, claim, read_route
from worker.db import open_session, transact
from worker.errors import SendError
from worker.infobip.client import Infobip
from worker.infobip.payloads import SendRequest, sms_request
from worker.metrics import submission_messages
from worker.rates import Rates
from worker.settings import Settings

LEAST_REMAINING_SECONDS = 1.0
DRY_BUCKET_SECONDS = 0.05  # pause before tokens are asked for again

_log = structlog.get_logger()


class Sender:
    """One process's way out: its database engine, its connections to Infobip, the shared rates.

    `nudge` tells other processes that a lane has more than this one can claim at once.
    """

    def __init__(
        self,
        engine: Engine,
        infobip: Infobip,
        rates: Rates,
        settings: Settings,
        nudge: Callable[[UUID, str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._infobip = infobip
        self._rates = rates
        self._settings = settings
        self._nudge = nudge
        self._monotonic = monotonic

    def deliver(self, lane_id: UUID, budget_seconds: float) -> None:
        """Send what is due in the lane, until nothing is; or until the time is up, then a nudge takes it on."""
        ends = self._monotonic() + budget_seconds
        while (route := self._read_route(lane_id)) is not None:
            if self._monotonic() >= ends:
                self._nudge(lane_id, route.message_type)
                return
            size = self._settings.submission_size
            wanted = 1 if route.is_held else self._rates.take(route.credential_id, route.messages_per_second, size)
            if not wanted:
                time.sleep(DRY_BUCKET_SECONDS)
                continue
            submission = self._claim(route, wanted)
            claimed = len(submission.messages) if submission else 0
            if not route.is_held:
                self._rates.give_back(route.credential_id, route.messages_per_second, wanted - claimed)
            if submission is None:
                return
            if claimed == size:
                self._nudge(lane_id, route.message_type)
            self.send(submission)

    def send(self, submission: OpenSubmission) -> None:
        """Hand one open submission to Infobip and record what it says; parts of a refused one follow at once."""
        waiting = [submission]
        while waiting:
            waiting.extend(self._send_one(waiting.pop()))

    def _read_route(self, lane_id: UUID) -> Route | None:
        with open_session(self._engine) as session:
            return read_route(session, lane_id)

    def _claim(self, route: Route, limit: int) -> OpenSubmission | None:
        # Committed before the request leaves: a crash must find what may be out there.
        def work(session: Session) -> OpenSubmission | None:
            if route.is_held and not lanes.take_probe(session, route.lane_id):
                return None
            lease = self._settings.lease_seconds
            return claim(session, route, limit, lease, self._monotonic(), is_probe=route.is_held)

        return transact(self._engine, work)

    def _send_one(self, submission: OpenSubmission) -> list[OpenSubmission]:
        """Post one submission and record what came of it; returns the submissions that a refusal opened."""
        elapsed = self._monotonic() - submission.opened_monotonic
        if elapsed > self._settings.lease_seconds / 2:
            return self._record(lambda session: answers.record_unsent(session, submission, self._settings))
        submission = self._leave_late_ones(submission, elapsed)
        if not submission.messages:
            return []
        submission_messages.observe(len(submission.messages))
        route = submission.route
        # The body has to be there before the first of its messages expires; the answer may come later.
        sent_within = min(message.remaining_seconds for message in submission.messages) - elapsed
        try:
            answer = self._infobip.submit(route.account, route.channel, self._request(submission, elapsed), sent_within)
        except SendError as caught:
            error = caught
        else:
            return self._record(lambda session: answers.record_answer(session, submission, answer, self._settings))
        _log.info("submission_failed", submission_id=str(submission.id), code=error.code, detail=error.brief)
        return self._record(
            lambda session: answers.record_error(session, submission, error, self._settings, self._monotonic)
        )

    def _leave_late_ones(self, submission: OpenSubmission, elapsed: float) -> OpenSubmission:
        """Release the messages that have less than a second left by now; their neighbours go."""
        late = {m.message_id for m in submission.messages if m.remaining_seconds - elapsed < LEAST_REMAINING_SECONDS}
        if not late:
            return submission
        self._record(lambda session: answers.record_unsent(session, submission, self._settings, only=late))
        return replace(submission, messages=[m for m in submission.messages if m.message_id not in late])

    def _record(self, work: Callable[[Session], list[OpenSubmission]]) -> list[OpenSubmission]:
        """Commit what came of a submission. The answer is worth waiting for a database that restarts: without it,
        hundreds of messages would be in doubt. Done twice it changes nothing more.
        """
        return transact(self._engine, work, patience_seconds=self._settings.lease_seconds / 4)

    def _request(self, submission: OpenSubmission, elapsed_seconds: float) -> SendRequest:
        route = submission.route
        reports = self._settings.webhook_url(route.credential_id, route.webhook_token, "reports")
        return sms_request(submission.id, submission.messages, elapsed_seconds, reports)
