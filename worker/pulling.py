"""Pulling: inbound messages are asked for, of the credentials to which Infobip does not push them (`inbound_pull`).

read whom to ask        also shows that the database is there: while it is away, nothing is asked for
GET their inbox         no transaction open; killed here or before the next commit: what this answer holds is lost
store it as it came   | commit        by its ID, once; killed after: a sweep goes on with it (inbound.settle_stored)
settle it             | commit        by the same function
nudge                   killed before: the tick finds the replies

Infobip gives each message once. It cannot be asked again for one, nor told that one has come: so what an answer holds
that is lost on its way, or with a process that is killed in the moment before the commit, is lost for good, and only a
push does not have this gap. All else is kept: a page that the database does not take stays in this process's memory,
which asks for nothing more until it is stored, and tries at each tick, and once more when it stops.

The inbox is the account's, whichever of its credentials asks: it is asked once, and each message is stored for the
credential whose number it was written to.
"""

import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import Engine, text
from sqlalchemy.exc import DataError, IntegrityError

from worker import inbound
from worker.credential_rules import bare_number
from worker.db import is_away, transact
from worker.errors import CredentialRefused, SendError
from worker.glance import glance
from worker.infobip.account import Account
from worker.infobip.answers import InboxPage
from worker.infobip.client import Infobip
from worker.infobip.inbound import Inbound
from worker.infobip.payloads import MOST_INBOX_MESSAGES
from worker.infobip.reading import BadItem
from worker.logs import Seldom, log_bug
from worker.metrics import inbound_pulls_total
from worker.secrets import SecretUnreadable, decrypt
from worker.settings import Settings
from worker.words import Channel, MessageType, SubmissionOutcome

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 10.0, 60.0  # after a first failure; it doubles with each more
UNREADABLE = "unreadable"  # how a request ended whose answer is no page

_SOURCES = text(f"""
    SELECT c.id AS credential_id, c.version, c.base_url, c.api_key, c.inbound_number, l.id AS lane_id FROM credential c
    JOIN lane l ON l.credential_id = c.id
        AND l.channel = '{Channel.SMS}' AND l.message_type = '{MessageType.TRANSACTIONAL}'
    WHERE c.inbound_pull AND c.deleted_at IS NULL
    ORDER BY c.id DESC
""")

Item = Inbound | BadItem

_log = structlog.get_logger()


class _Source(NamedTuple):
    """A credential that pulls. `lane_id` is the lane that its replies take."""

    credential_id: UUID
    version: int
    base_url: str
    api_key: bytes  # encrypted
    inbound_number: str | None
    lane_id: UUID

    @property
    def key(self) -> tuple[UUID, int]:
        """A changed key or address starts afresh."""
        return self.credential_id, self.version

    @property
    def account(self) -> str:
        """Its identity. Keys that nobody can read are as one: on the shared host nothing tells whose they are, and none
        of them is asked with."""
        try:
            return Account(self.base_url, decrypt(self.api_key)).identity
        except SecretUnreadable:
            return Account(self.base_url, "").identity


class _Share(NamedTuple):
    """What of a page is for a credential."""

    source: _Source
    items: list[Item]


class _Inbox(NamedTuple):
    """What an account keeps for us, and the credentials that pull it: at least one, the newest first."""

    account: str  # its identity
    sources: list[_Source]

    def shares(self, items: Sequence[Item]) -> list[_Share]:
        """For each: the credential of the number it was written to, else the one without a number, else the newest,
        where it is `other_number`. Of two that claim the same, the newer."""
        owners = {bare_number(one.inbound_number): one for one in reversed(self.sources) if one.inbound_number}
        otherwise = next((one for one in self.sources if not one.inbound_number), self.sources[0])
        shares: dict[_Source, list[Item]] = defaultdict(list)
        for item in items:
            recipient = item.recipient if isinstance(item, Inbound) else None
            owner = owners.get(bare_number(recipient), otherwise) if recipient else otherwise
            shares[owner].append(item)
        return [_Share(owner, mine) for owner, mine in shares.items()]


class _Page(NamedTuple):
    """What Infobip has given away and the database does not have yet."""

    shares: list[_Share]

    @property
    def named(self) -> dict[str, object]:
        """For a log."""
        return {
            "credential_ids": [str(share.source.credential_id) for share in self.shares],
            "messages": sum(len(share.items) for share in self.shares),
        }


@dataclass(slots=True)
class _Standing:
    """How it went with an account, or with a key of it, by this process's clock."""

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
        self._standings: dict[str | tuple[UUID, int], _Standing] = {}  # by account, and by the key of their source

    def pull(self, budget_seconds: float) -> None:
        """Ask each account that is due for a page, in turn, and those that have more again, until the time is up.

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
            if page.pending_count or len(page.messages) >= MOST_INBOX_MESSAGES:
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

    def _due(self) -> list[_Inbox]:
        """Those that answered last time first, and among them whoever was asked longest ago: neither a silent account
        nor a long queue keeps the others waiting for more than a tick."""
        with glance(self._engine) as connection:
            sources = [_Source(**row._mapping) for row in connection.execute(_SOURCES)]
        by_account: dict[str, list[_Source]] = defaultdict(list)
        for source in sources:
            by_account[source.account].append(source)
        known: list[str | tuple[UUID, int]] = [*by_account, *(source.key for source in sources)]
        self._standings = {one: self._standings.get(one, _Standing()) for one in known}
        inboxes = [_Inbox(account, its) for account, its in by_account.items()]
        return sorted(
            filter(self._is_due, inboxes),
            key=lambda inbox: (self._is_failing(inbox), self._standings[inbox.account].asked_at),
        )

    def _is_due(self, inbox: _Inbox) -> bool:
        now = self._monotonic()
        return self._standings[inbox.account].not_before <= now and any(
            self._standings[source.key].not_before <= now for source in inbox.sources
        )

    def _is_failing(self, inbox: _Inbox) -> bool:
        return self._standings[inbox.account].failures > 0 or all(
            self._standings[source.key].failures for source in inbox.sources
        )

    def _ask(self, inbox: _Inbox, ends: float) -> InboxPage | None:
        """With the newest key that has not to wait; where it is refused, with the next. None where no page came: said,
        and waited for; the other accounts are asked."""
        account = self._standings[inbox.account]
        account.asked_at = self._monotonic()
        for source in inbox.sources:
            key = self._standings[source.key]
            if not key.not_before <= self._monotonic() < ends:
                continue
            try:
                page = self._infobip.inbox(Account(source.base_url, decrypt(source.api_key)))
            except (CredentialRefused, SecretUnreadable) as error:
                self._note(key, source, error)
            except SendError as error:  # of the account, or of the way there: no other key would do better
                self._note(account, source, error)
                return None
            except Exception as error:
                self._wait(account)
                log_bug(_log, "task_failed", error, task="pull", credential_id=str(source.credential_id))
                return None
            else:
                key.failures = 0
                self._note_page(account, source, page)
                return page
        return None

    def _note(self, standing: _Standing, source: _Source, error: SendError | SecretUnreadable) -> None:
        """Why no page came, and whom it makes wait."""
        if isinstance(error, SendError):
            inbound_pulls_total.labels(error.code).inc()
            self._wait(standing, error.retry_after_seconds)
            said = {"code": error.code, "detail": _detail(error)}
        else:
            self._wait(standing)
            said = {"detail": str(error)}
        if standing.complaint.is_due():
            _log.warning("inbox_unreachable", credential_id=str(source.credential_id), **said)

    def _note_page(self, account: _Standing, source: _Source, page: InboxPage) -> None:
        """What is no page is kept for a person, and waited for: whatever a proxy answers must not fill the table."""
        inbound_pulls_total.labels(SubmissionOutcome.ANSWERED if page.is_readable else UNREADABLE).inc()
        if page.is_readable:
            account.failures = 0
        else:
            self._wait(account)
            _log.warning("inbox_unreadable", credential_id=str(source.credential_id))

    def _wait(self, standing: _Standing, seconds: float | None = None) -> None:
        """For as long as Infobip asks, else longer with each failure in a row."""
        grown = min(FIRST_WAIT_SECONDS * 2.0 ** min(standing.failures, 10), LONGEST_WAIT_SECONDS)
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

    def _store_alone(self, source: _Source, item: Item, patience_seconds: float) -> None:
        """What the database refuses by itself is kept for a person."""
        try:
            self._write([_Share(source, [item])], patience_seconds)
        except (DataError, IntegrityError):
            body = json.loads(json.dumps(asdict(item), default=str))
            self._write([_Share(source, [BadItem("the database refused it", body)])], patience_seconds)

    def _write(self, shares: Sequence[_Share], patience_seconds: float) -> None:
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


def _detail(error: SendError) -> str:
    if isinstance(error, CredentialRefused):
        return f"{error.brief}; sends are not held for it, since the API key may only lack the scope of the inbox"
    return error.brief
