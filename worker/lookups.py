"""Asking Infobip's logs: about attempts of unknown fate, and about reports that have not come.

An unknown fate is settled by a row found (applied as a report with source `pull`), or, absent at each look, by going
out again under the same attempt number: Infobip refuses an ID it has seen, so even a log that was slow costs no second
copy. A look belongs to the process that took it for a minute; if that process dies, it falls due again.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine, text
from sqlmodel import Session

from worker import lanes
from worker.claims import OpenSubmission, Route, read_route, reopen
from worker.db import open_session
from worker.errors import SendError
from worker.infobip.client import BULK_IDS_A_CALL, Infobip
from worker.infobip.reports import Report
from worker.looks import LOGS_REACH_BACK, missing_report_look
from worker.reasons import BATCH_CANCELLED, UNKNOWN_FATE
from worker.reports import apply_reports
from worker.retry import LEAST_REMAINING
from worker.settings import Settings
from worker.states import State
from worker.transitions import LockedMessage, Transitions, database_now, lock
from worker.words import AttemptOutcome, MessageType, Outcome, Source

GROUP = 1000  # attempts taken at once
TAKEN_FOR = timedelta(seconds=60)
LOGS_AWAY_WAIT = timedelta(seconds=15)  # until the logs are asked again when they could not be reached
HELD_WAIT = timedelta(seconds=5)  # until it is asked again about what may not leave now

_log = structlog.get_logger()

# Doubts before missing reports: they keep messages from going out.
_TAKE = text("""
    UPDATE attempt SET look_at = statement_timestamp() + :taken_for
    FROM (
        SELECT message_id, number FROM attempt WHERE look_at <= statement_timestamp()
        ORDER BY outcome = 'in doubt' DESC, look_at LIMIT :group FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE attempt.message_id = due.message_id AND attempt.number = due.number
    RETURNING attempt.message_id, attempt.number, attempt.submission_id
""")
_SUBMISSIONS = text("SELECT id, lane_id, bulk_ids FROM submission WHERE id = ANY(:ids)")


@dataclass(frozen=True, slots=True)
class Look:
    """What is asked of one account's logs in one call: these bulk IDs, on behalf of these attempts."""

    route: Route
    bulk_ids: list[UUID]
    attempts: dict[UUID, int]  # message ID: attempt number


class Lookups:
    """The looks of one process. `send` hands a resubmission to Infobip and records the answer."""

    def __init__(
        self,
        engine: Engine,
        infobip: Infobip,
        settings: Settings,
        send: Callable[[OpenSubmission], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._infobip = infobip
        self._settings = settings
        self._send = send
        self._monotonic = monotonic

    def look(self) -> int:
        """Take the attempts whose look is due, ask, and settle what the logs tell and what they do not."""
        with open_session(self._engine) as session, session.begin():
            taken = session.execute(_TAKE, {"group": GROUP, "taken_for": TAKEN_FOR}).all()
            looks = _plan(session, taken)
        for look in looks:
            try:
                self._settle(look)
            except Exception:  # the other looks must not wait for this one's trouble; it falls due again
                _log.exception("look_failed", lane_id=str(look.route.lane_id))
        return len(taken)

    def _settle(self, look: Look) -> None:
        rows = self._ask(look)
        if rows is not None:
            self._apply(look, rows)
        for submission in self._conclude(look, are_logs_known=rows is not None):
            self._send(submission)

    def _ask(self, look: Look) -> list[Report] | None:
        """The rows of these messages; None where the logs are out of reach."""
        pages = self._infobip.logs(look.route.account, look.route.channel, look.bulk_ids)
        try:
            return [
                row for page in pages for row in page if isinstance(row, Report) and row.message_id in look.attempts
            ]
        except SendError as error:
            _log.warning("logs_unreachable", credential_id=str(look.route.credential_id), detail=error.brief)
            return None

    def _apply(self, look: Look, rows: list[Report]) -> None:
        """A log row counts as a report. One that says only what we know, that it is pending, is no news."""
        with open_session(self._engine) as session, session.begin():
            messages = lock(session, (row.message_id for row in rows))
            news = [
                row
                for row in rows
                if (message := messages.get(row.message_id)) is not None
                and (row.verdict.outcome is not Outcome.PENDING or message.state is State.SENDING)
            ]
            apply_reports(session, [(look.route.credential_id, news)], Source.PULL)

    def _conclude(self, look: Look, *, are_logs_known: bool) -> list[OpenSubmission]:
        """For each attempt that the logs did not settle: its next look, or what follows where none is left.

        Returns the submissions in which attempts go out again.
        """
        again: list[LockedMessage] = []
        with open_session(self._engine) as session, session.begin():
            transitions = Transitions(session, database_now(session))
            for message in lock(session, look.attempts).values():
                if message.number != look.attempts[message.id]:
                    continue  # it has gone on meanwhile: nobody asked about its current attempt
                if message.state is State.SENT:
                    self._wait_for_report(transitions, message, are_logs_known=are_logs_known)
                elif message.state is State.SENDING and message.attempt_outcome is AttemptOutcome.IN_DOUBT:
                    if not are_logs_known:
                        self._doubt_without_logs(transitions, message)
                    elif self._is_free_to_go(transitions, message):
                        again.append(message)
            is_probe = any(not message.is_lane_open for message in again)
            if is_probe:
                again = self._only_a_probe(session, transitions, look.route, again)
            transitions.write()
            return self._reopen(session, look.route, again, is_probe=is_probe)

    def _wait_for_report(self, transitions: Transitions, message: LockedMessage, *, are_logs_known: bool) -> None:
        now, looks = transitions.now, message.looks + are_logs_known
        delays = self._settings.missing_report_after
        following = missing_report_look(message.answered_at or now, looks, message.expires_at, delays)
        look_at = following if are_logs_known else now + LOGS_AWAY_WAIT
        transitions.settle(message.id, message.number, AttemptOutcome.ACCEPTED, look_at=look_at, looks=looks)

    def _doubt_without_logs(self, transitions: Transitions, message: LockedMessage) -> None:
        if message.doubted_at is not None and transitions.now > message.doubted_at + LOGS_REACH_BACK:
            transitions.settle(message.id, message.number, AttemptOutcome.IN_DOUBT, UNKNOWN_FATE)
            transitions.move(message, State.UNCONFIRMED, UNKNOWN_FATE)
        else:
            self._doubt_on(transitions, message, message.looks, LOGS_AWAY_WAIT)

    def _is_free_to_go(self, transitions: Transitions, message: LockedMessage) -> bool:
        """An attempt in doubt that the logs do not show. True where it was absent at each look and may leave again."""
        delays = self._settings.doubt_looks
        looks = message.looks + 1
        if looks < len(delays):
            self._doubt_on(transitions, message, looks, delays[looks] - delays[looks - 1])
        elif message.may_leave:
            return True
        elif message.is_cancelled:
            transitions.settle(message.id, message.number, AttemptOutcome.RELEASED, UNKNOWN_FATE)
            transitions.move(message, State.CANCELLED, BATCH_CANCELLED)
        elif message.expires_at < transitions.now + LEAST_REMAINING:
            transitions.settle(message.id, message.number, AttemptOutcome.RELEASED, UNKNOWN_FATE)
            transitions.move(message, State.EXPIRED, message.reason or UNKNOWN_FATE)
        else:  # its batch is paused: ask once more before it goes
            self._doubt_on(transitions, message, len(delays) - 1, HELD_WAIT)
        return False

    def _only_a_probe(
        self, session: Session, transitions: Transitions, route: Route, free: list[LockedMessage]
    ) -> list[LockedMessage]:
        """Of a held lane, one goes as its probe when that is due (nothing else may be waiting there to be one); the
        others are asked about once more."""
        probes = free[:1] if lanes.take_probe(session, route.lane_id) else []
        for message in free[len(probes) :]:
            self._doubt_on(transitions, message, len(self._settings.doubt_looks) - 1, HELD_WAIT)
        return probes

    def _doubt_on(self, transitions: Transitions, message: LockedMessage, looks: int, wait: timedelta) -> None:
        transitions.settle(
            message.id,
            message.number,
            AttemptOutcome.IN_DOUBT,
            UNKNOWN_FATE,
            look_at=transitions.now + max(wait, timedelta(seconds=1)),
            looks=looks,
        )

    def _reopen(
        self, session: Session, route: Route, messages: list[LockedMessage], *, is_probe: bool
    ) -> list[OpenSubmission]:
        """Children of the submissions whose attempts go out again; each carries all bulk IDs of its parent."""
        by_parent: dict[UUID, list[tuple[UUID, int]]] = defaultdict(list)
        for message in messages:
            assert message.submission_id is not None
            by_parent[message.submission_id].append((message.id, message.number))
        parents = session.execute(_SUBMISSIONS, {"ids": list(by_parent)}).all()
        lease, now = self._settings.lease_seconds, self._monotonic()
        return [
            reopen(session, route, row.id, row.bulk_ids, by_parent[row.id], lease, now, is_probe=is_probe)
            for row in parents
        ]


def _plan(session: Session, taken: Iterable[Any]) -> list[Look]:
    """The calls that answer for these attempts: by lane, as many bulk IDs as one call takes; transactional first."""
    attempts: dict[UUID, dict[UUID, int]] = defaultdict(dict)
    for row in taken:
        attempts[row.submission_id][row.message_id] = row.number
    by_lane: dict[UUID, list[Any]] = defaultdict(list)
    for submission in session.execute(_SUBMISSIONS, {"ids": list(attempts)}):
        by_lane[submission.lane_id].append(submission)
    looks = []
    for lane_id, submissions in by_lane.items():
        route = read_route(session, lane_id)
        if route is None:
            continue
        look = Look(route, [], {})
        for submission in submissions:
            if look.bulk_ids and len(look.bulk_ids) + len(submission.bulk_ids) > BULK_IDS_A_CALL:
                looks.append(look)
                look = Look(route, [], {})
            look.bulk_ids.extend(submission.bulk_ids)
            look.attempts.update(attempts[submission.id])
        looks.append(look)
    return sorted(looks, key=lambda look: look.route.message_type != MessageType.TRANSACTIONAL)
