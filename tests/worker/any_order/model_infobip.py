"""A model of Infobip that stands where the client stands: which IDs it has seen, what its logs show, what it reports.

It behaves as Infobip does where that matters: an ID is used up by any status inside a 200, and refused with status 23
from then on; the logs show a request under the bulk ID it came by, sometimes late, a few rows a page. What becomes of a
request is told to it beforehand, as a `Fate`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any, NamedTuple
from uuid import UUID

from worker.errors import (
    CredentialRefused,
    NotSent,
    OutcomeUncertain,
    RequestRefused,
    SendError,
    Throttled,
    Violation,
)
from worker.ids import attempt_id, parse_attempt_id
from worker.infobip.account import Account
from worker.infobip.answers import Answer, LogPage
from worker.infobip.payloads import SendRequest
from worker.infobip.reports import Report, parse_item
from worker.infobip.statuses import verdict
from worker.words import Channel

ROWS_A_PAGE = 2
Attempt = tuple[UUID, int]  # message ID, attempt number


class Status(NamedTuple):
    """A status as Infobip gives it. `fails`: it tells that the attempt will not be delivered."""

    id: int
    group: int
    error: int = 0
    fails: bool = False


class Said:
    """The statuses that are drawn from, by what they mean."""

    ACCEPTED = Status(26, 1)
    PENDING = Status(7, 1)
    TO_OPERATOR = Status(2, 3)
    DELIVERED = Status(5, 3)
    AWAY = Status(9, 2, 27, fails=True)  # transient
    BAD_NUMBER = Status(52, 5, fails=True)
    REFUSED_FOR_GOOD = Status(9, 2, 4129, fails=True)
    SYSTEM_ERROR = Status(21, 5, fails=True)  # transient
    NO_CREDIT = Status(12, 5, fails=True)
    EXPIRED = Status(15, 4, fails=True)
    UNKNOWN = Status(29, 4)
    STRANGE = Status(7007, 2, fails=True)
    DUPLICATE = Status(23, 5)
    BLOCKED = Status(14, 5, fails=True)
    ON_REGISTER = Status(10, 5, fails=True)  # of those who are not to be disturbed


class Way(StrEnum):
    """What becomes of a request."""

    ANSWERED = auto()
    LOST = auto()  # it arrives, its answer does not
    LATE = auto()  # no answer; it arrives later, or never
    VANISHED = auto()  # no answer; it never arrives
    NOT_SENT = auto()
    THROTTLED = auto()
    KEY_REFUSED = auto()
    SCOPE_REFUSED = auto()
    REFUSED = auto()  # a 400 that names nobody
    REFUSED_BY_NAME = auto()


@dataclass(frozen=True)
class Fate:
    """`statuses` of its messages, oldest first, around again where there are more of them; None: accepted, and left
    out of the answer. `lag` seconds pass before the logs show it."""

    way: Way = Way.ANSWERED
    statuses: tuple[Status | None, ...] = (Said.ACCEPTED,)
    lag: float = 0.0


class Sent(NamedTuple):
    """A request as Infobip reads it: (attempt, whole seconds of validity) in the order we gave them."""

    bulk_id: UUID
    messages: list[tuple[Attempt, int]]


class Stopped(BaseException):
    """The process that sent this stands still, holding what came of it."""

    def __init__(self, sent: Sent, outcome: Answer | SendError) -> None:
        super().__init__("stopped")
        self.sent = sent
        self.outcome = outcome


class Told(NamedTuple):
    """One thing to say about an attempt. Its times are its own: the second report of the same says the same."""

    attempt: Attempt
    status: Status
    done: int | None

    @property
    def wire_id(self) -> str:
        return attempt_id(*self.attempt)

    def report(self) -> Report:
        status = self.status
        done = None if self.done is None else f"2026-11-23T12:{self.done // 60:02d}:{self.done % 60:02d}.000+0000"
        item = parse_item(
            {
                "messageId": self.wire_id,
                "status": {"id": status.id, "groupId": status.group},
                "error": {"id": status.error},
                "doneAt": done,
            }
        )
        assert isinstance(item, Report)
        return item


@dataclass
class Seen:
    """An ID that an account of Infobip's knows, under the bulk ID that brought it."""

    account: str
    bulk_id: UUID
    is_accepted: bool
    shows_at: float
    history: list[Told] = field(default_factory=list)


class ModelInfobip:
    """`leaving` is called with each request before anything becomes of it."""

    def __init__(self, now: Callable[[], float], leaving: Callable[[Sent], None]) -> None:
        self._now = now
        self._leaving = leaving
        self.fates: list[Fate] = []  # of the next requests; then all is well
        self.log_troubles: list[Way | None] = []  # of the next calls of the logs; then all is well
        self.stops = False  # the process stops after the next request
        self.seen: dict[Attempt, Seen] = {}
        self.under_way: list[tuple[str, Sent, Fate]] = []  # requests to accounts that arrive late
        self.failures_told: set[Attempt] = set()
        self.rows_given: set[Told] = set()
        self._duplicates: list[tuple[str, UUID, Told]] = []
        self._clock = 0

    def submit(self, account: Account, channel: Channel, request: SendRequest, sent_within_seconds: float) -> Answer:
        sent = _read(request)
        self._leaving(sent)
        fate = self.fates.pop(0) if self.fates else Fate()
        outcome = self._outcome(account.identity, sent, fate)
        if self.stops:
            self.stops = False
            raise Stopped(sent, outcome)
        if isinstance(outcome, SendError):
            raise outcome
        return outcome

    def _outcome(self, account: str, sent: Sent, fate: Fate) -> Answer | SendError:
        if fate.way in (Way.ANSWERED, Way.LOST):
            answer = self.arrive(account, sent, fate)
            return answer if fate.way is Way.ANSWERED else OutcomeUncertain("no answer")
        if fate.way is Way.LATE:
            self.under_way.append((account, sent, fate))
        newest = max(range(len(sent.messages)), key=lambda index: sent.messages[index])
        return _ERRORS[fate.way](newest)

    def arrive(self, account: str, sent: Sent, fate: Fate) -> Answer:
        """Each ID is taken once, whatever its status; one that the account has used already is refused."""
        answer = Answer({}, {})
        for index, attempt in enumerate(sorted(attempt for attempt, _ in sent.messages)):
            status = fate.statuses[index % len(fate.statuses)]
            if attempt in self.seen and self.seen[attempt].account == account:
                status = Said.DUPLICATE
                self._duplicates.append((account, sent.bulk_id, Told(attempt, status, None)))
            else:
                status_or_accepted = status or Said.ACCEPTED
                seen = Seen(account, sent.bulk_id, not status_or_accepted.fails, self._now() + fate.lag)
                self._take(seen, Told(attempt, status_or_accepted, None))
            if status is not None:
                answer.verdicts[attempt_id(*attempt)] = verdict(status.id, status.group, status.error, None)
        return answer

    def _take(self, seen: Seen, told: Told) -> None:
        if seen.is_accepted:
            before = self.open_attempts(told.attempt[0])
            assert not before, f"{told.attempt} was accepted while {before} had been, and no failure of it was told"
        seen.history.append(told)
        self.seen[told.attempt] = seen

    def open_attempts(self, message_id: UUID | None = None, *, are_shown: bool = False) -> list[Attempt]:
        """Accepted, and nobody has heard of a failure; of one message or of all, in the logs or not yet."""
        return [
            attempt
            for attempt, seen in self.seen.items()
            if seen.is_accepted
            and attempt not in self.failures_told
            and message_id in (None, attempt[0])
            and (not are_shown or seen.shows_at <= self._now())
        ]

    def happens(self, attempt: Attempt, status: Status, *, is_done: bool) -> Told:
        """Something becomes of an attempt: from now on its row in the logs shows that."""
        self._clock += 1
        told = Told(attempt, status, self._clock if is_done else None)
        self.seen[attempt].history.append(told)
        return told

    def tell(self, told: Told) -> Report:
        """A report of it, on its way to us."""
        if told.status.fails:
            self.failures_told.add(told.attempt)
        return told.report()

    def log_page(
        self, account: Account, channel: Channel, ids: Sequence[UUID] | Sequence[str], cursor: str | None = None
    ) -> LogPage:
        trouble = self.log_troubles.pop(0) if self.log_troubles else None
        if trouble is not None:
            raise _ERRORS[trouble](0)
        rows = list(self._rows(account.identity, set(ids)))
        start = int(cursor or 0)
        page = rows[start : start + ROWS_A_PAGE]
        self.rows_given |= set(page)
        following = str(start + ROWS_A_PAGE) if start + ROWS_A_PAGE < len(rows) else None
        return LogPage([self.tell(row) for row in page], following)

    def _rows(self, account: str, ids: set[UUID | str]) -> Iterator[Told]:
        """Of these bulk IDs, or of these message IDs."""
        for its_account, bulk_id, told in self._duplicates:
            if its_account == account and ids & {bulk_id, told.wire_id}:
                yield told
        for attempt, seen in self.seen.items():
            if seen.account == account and ids & {seen.bulk_id, attempt_id(*attempt)} and seen.shows_at <= self._now():
                # A refused second use stands in a row of its own.
                yield next(told for told in reversed(seen.history) if told.status != Said.DUPLICATE)


_ERRORS: dict[Way, Callable[[int], SendError]] = {
    Way.LATE: lambda _: OutcomeUncertain("no answer"),
    Way.VANISHED: lambda _: OutcomeUncertain("the connection broke"),
    Way.NOT_SENT: lambda _: NotSent("no connection"),
    Way.THROTTLED: lambda _: Throttled("HTTP 429", 10.0),
    Way.KEY_REFUSED: lambda _: CredentialRefused("HTTP 401"),
    Way.SCOPE_REFUSED: lambda _: CredentialRefused("HTTP 403", only_channel=Channel.SMS),
    Way.REFUSED: lambda _: RequestRefused("HTTP 400"),
    Way.REFUSED_BY_NAME: lambda newest: RequestRefused("HTTP 400", (Violation(newest, "bad sender"),)),
}


def _read(request: SendRequest) -> Sent:
    body: dict[str, Any] = json.loads(request.body)
    by_index: dict[int, tuple[Attempt, int]] = {}
    for entry, places in zip(body["messages"], request.places, strict=True):
        validity = entry["options"]["validityPeriod"]["amount"]
        for destination, index in zip(entry["destinations"], places, strict=True):
            attempt = parse_attempt_id(destination["messageId"])
            assert attempt is not None
            by_index[index] = (attempt, validity)
    return Sent(UUID(body["options"]["schedule"]["bulkId"]), [by_index[index] for index in sorted(by_index)])
