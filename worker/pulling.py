"""Pulling: inbound messages are asked for, of the credentials to which Infobip does not push them (`inbound_pull`).

read whom to ask        also shows that the database is there: while it is away, nothing is asked for
GET an inbox            no transaction open; killed here or before the next commit: what this answer holds is lost
store it as it came   | commit        by its ID, once; killed after: a sweep goes on with it (inbound.settle_stored)
settle it             | commit        by the same function
nudge                   killed before: the tick finds the replies
GET the next inbox      and so on: never is more than one page in hand

Infobip gives each message once. It cannot be asked again for one, nor told that one has come: so what an answer holds
that is lost on its way, or with a process that is killed in the moment before the commit, is lost for good, and only a
push does not have this gap. All else is kept: a page that the database does not take stays in this process's memory,
which asks for nothing more until it is stored, and tries at each tick, and once more when it stops.

An account has an inbox for each channel (inboxes.py), and neither waits for the other: where that for MMS is refused,
as it is to a key without its scope, that for SMS is asked as ever.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, IntegrityError

from worker import inbound
from worker.db import is_away, transact
from worker.errors import CredentialRefused, SendError
from worker.glance import glance
from worker.inboxes import Inbox, InboxName, Item, KeyName, Share, Source, pulled_inboxes
from worker.infobip.account import Account
from worker.infobip.answers import InboxPage
from worker.infobip.client import Infobip
from worker.infobip.payloads import MOST_INBOX_MESSAGES
from worker.infobip.reading import BadItem
from worker.logs import Seldom, log_bug
from worker.metrics import inbound_pulls_total
from worker.secrets import SecretUnreadable, decrypt
from worker.settings import Settings
from worker.words import Channel, MessageType, SubmissionOutcome

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 10.0, 60.0  # after a first failure; it doubles with each more
# Of a key, in the same way. One without the scope of MMS, which few need, is refused for as long as it lives.
LONGEST_REFUSED_SECONDS = {Channel.SMS: LONGEST_WAIT_SECONDS, Channel.MMS: 3600.0}
UNREADABLE = "unreadable"  # how a request ended whose answer is no page

_log = structlog.get_logger()


class _Page(NamedTuple):
    """What Infobip has given away and the database does not have yet."""

    shares: list[Share]

    @property
    def named(self) -> dict[str, object]:
        """For a log."""
        return {
            "credential_ids": [str(share.source.credential_id) for share in self.shares],
            "messages": sum(len(share.items) for share in self.shares),
        }


@dataclass(slots=True)
class _Standing:
    """How it went with an inbox, or with a key to it, by this process's clock."""

    asked_at: float = 0.0
    not_before: float = 0.0
    failures: int = 0  # in a row
    complaint: Seldom = field(default_factory=Seldom)


class Pulls:
    """One process's pulls. `nudge` tells a lane's workers that it has replies to send."""

    def __init__(
        self,
        engine: Engine,
        infobip: Infobip,
        settings: Settings,
        nudge: Callable[[UUID, str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._infobip = infobip
        self._settings = settings
        self._nudge = nudge
        self._monotonic = monotonic
        self._unstored: _Page | None = None
        self._standings: dict[InboxName | KeyName, _Standing] = {}

    def pull(self, budget_seconds: float) -> None:
        """Ask each inbox that is due for a page, in turn, and those that have more again, until the time is up.

        Errors: what the database raised. Then nothing more was asked for, and a page that it did not take is kept.
        """
        ends = self._monotonic() + budget_seconds
        if (kept := self._unstored) is not None:
            self._store(kept)
            self._settle(kept, ends)
        waiting = deque(self._due())
        while waiting and self._monotonic() < ends:
            inbox = waiting.popleft()
            page = self._ask(inbox, ends)
            if page is None or not page.messages:
                continue
            self._unstored = taken = _Page(inbox.shares(page.messages))
            try:
                self._store(taken, patience_seconds=self._settings.lease_seconds / 4)
            except Exception:
                _log.warning("inbound_in_memory", **taken.named)
                raise
            self._settle(taken, ends)
            if page.pending_count or len(page.messages) >= MOST_INBOX_MESSAGES[inbox.channel]:
                waiting.append(inbox)

    def stop(self) -> None:
        """The last try of a process that ends. Never raises."""
        page = self._unstored
        if page is None:
            return
        try:
            self._store(page)
        except Exception as error:
            log_bug(_log, "inbound_lost", error, **page.named)

    def _due(self) -> list[Inbox]:
        """Those that answered last time first, and among them those of whoever was asked longest ago: neither a silent
        account nor a long queue keeps the others waiting for more than a tick."""
        with glance(self._engine) as connection:
            inboxes = pulled_inboxes(connection)
        known: list[InboxName | KeyName] = [inbox.name for inbox in inboxes]
        known += [inbox.key_name(source) for inbox in inboxes for source in inbox.sources]
        self._standings = {one: self._standings.get(one, _Standing()) for one in known}
        return sorted(filter(self._is_due, inboxes), key=self._turn)

    def _turn(self, inbox: Inbox) -> tuple[bool, float, float]:
        """The least is first. An account has one turn for both of its inboxes."""
        account_asked_at = max(self._standings[inbox.account, channel].asked_at for channel in Channel)
        return self._is_failing(inbox), account_asked_at, self._standings[inbox.name].asked_at

    def _is_due(self, inbox: Inbox) -> bool:
        now = self._monotonic()
        return self._standings[inbox.name].not_before <= now and any(
            self._standings[inbox.key_name(source)].not_before <= now for source in inbox.sources
        )

    def _is_failing(self, inbox: Inbox) -> bool:
        return self._standings[inbox.name].failures > 0 or all(
            self._standings[inbox.key_name(source)].failures for source in inbox.sources
        )

    def _ask(self, inbox: Inbox, ends: float) -> InboxPage | None:
        """With the newest key that has not to wait; where it is refused, with the next. None where no page came: said,
        and waited for; the other inboxes are asked."""
        standing = self._standings[inbox.name]
        standing.asked_at = self._monotonic()
        for source in inbox.sources:
            key = self._standings[inbox.key_name(source)]
            if not key.not_before <= self._monotonic() < ends:
                continue
            try:
                page = self._infobip.inbox(Account(source.base_url, decrypt(source.api_key)), inbox.channel)
            except (CredentialRefused, SecretUnreadable) as error:
                self._note(key, inbox, source, error)
            except SendError as error:  # of the inbox, or of the way there: no other key would do better
                self._note(standing, inbox, source, error)
                return None
            except Exception as error:
                self._wait(standing)
                log_bug(_log, "task_failed", error, task="pull", **_named(inbox, source))
                return None
            else:
                key.failures = 0
                self._note_page(inbox, source, page)
                return page
        return None

    def _note(self, standing: _Standing, inbox: Inbox, source: Source, error: SendError | SecretUnreadable) -> None:
        """Why no page came, and whom it makes wait."""
        if isinstance(error, SendError):
            inbound_pulls_total.labels(error.code).inc()
            is_refused = isinstance(error, CredentialRefused)
            longest = LONGEST_REFUSED_SECONDS[inbox.channel] if is_refused else LONGEST_WAIT_SECONDS
            self._wait(standing, error.retry_after_seconds, longest=longest)
            said = {"code": error.code, "detail": _detail(error)}
        else:
            self._wait(standing)
            said = {"detail": str(error)}
        if standing.complaint.is_due():
            _log.warning("inbox_unreachable", **_named(inbox, source), **said)

    def _note_page(self, inbox: Inbox, source: Source, page: InboxPage) -> None:
        """What is no page is kept for a person, and waited for: whatever a proxy answers must not fill the table."""
        inbound_pulls_total.labels(SubmissionOutcome.ANSWERED if page.is_readable else UNREADABLE).inc()
        standing = self._standings[inbox.name]
        if page.is_readable:
            standing.failures = 0
        else:
            self._wait(standing)
            _log.warning("inbox_unreadable", **_named(inbox, source))

    def _wait(self, standing: _Standing, seconds: float | None = None, longest: float = LONGEST_WAIT_SECONDS) -> None:
        """For as long as Infobip asks, else longer with each failure in a row."""
        grown = min(FIRST_WAIT_SECONDS * 2.0 ** min(standing.failures, 10), longest)
        standing.failures += 1
        standing.not_before = self._monotonic() + (grown if seconds is None else seconds)

    def _store(self, page: _Page, *, patience_seconds: float = 0.0) -> None:
        """Commit a page, and keep it no longer. Errors: what the database raised; then it is still kept."""
        try:
            self._write(page.shares, patience_seconds)
        except (DataError, IntegrityError) as error:
            log_bug(_log, "task_failed", error, task="pull", **page.named)
            for share in page.shares:
                for item in share.items:
                    self._store_alone(share.source, item, patience_seconds)
        self._unstored = None

    def _store_alone(self, source: Source, item: Item, patience_seconds: float) -> None:
        """What the database refuses by itself is kept for a person."""
        try:
            self._write([Share(source, [item])], patience_seconds)
        except (DataError, IntegrityError):
            body = json.loads(json.dumps(asdict(item), default=str))
            self._write([Share(source, [BadItem("the database refused it", body)])], patience_seconds)

    def _write(self, shares: Sequence[Share], patience_seconds: float) -> None:
        pushes = [(share.source.credential_id, share.items) for share in shares]
        transact(self._engine, lambda session: inbound.store(session, pushes), patience_seconds=patience_seconds)

    def _settle(self, page: _Page, ends: float) -> None:
        """What is stored, whoever stored it. A fault in it is the sweep's to meet again; the pulls go on."""
        try:
            while inbound.settle_stored(self._engine, self._settings) and self._monotonic() < ends:
                pass
        except Exception as error:
            if is_away(error):
                raise
            log_bug(_log, "task_failed", error, task="settle_inbound")
        for share in page.shares:
            self._nudge(share.source.lane_id, MessageType.TRANSACTIONAL)


def _named(inbox: Inbox, source: Source) -> dict[str, object]:
    """For a log."""
    return {"credential_id": str(source.credential_id), "channel": inbox.channel}


def _detail(error: SendError) -> str:
    if isinstance(error, CredentialRefused):
        return f"{error.brief}; sends are not held for it, since the API key may only lack the scope of the inbox"
    return error.brief
