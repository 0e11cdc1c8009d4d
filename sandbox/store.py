"""Every message the account has sent: accepted ones, and those refused one by one in the answer.

A record knows its future from the start (`done_ms`, `final`), so its status is a matter of what time it is: nothing has
to be updated when a report falls due.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from sandbox import codes
from sandbox.channels import Channel
from sandbox.codes import MessageError, Status
from sandbox.outcomes import network_of
from sandbox.wire import Platform

PRICE: dict[str, object] = {"pricePerMessage": 0.0021, "currency": "EUR"}
MMS_PRICE: dict[str, object] = {"pricePerMessage": 0.035, "currency": "EUR"}
NO_PRICE: dict[str, object] = {"pricePerMessage": 0.0, "currency": "EUR"}

_PRICES = {Channel.SMS: PRICE, Channel.MMS: MMS_PRICE}


@dataclass(slots=True)
class Message:
    """What all recipients of one message share. `content` is as it stands on the wire, `text` the first of its texts;
    `count` is of the parts that a recipient is billed."""

    channel: Channel
    sender: str | None
    content: Mapping[str, object]
    text: str | None
    callback_data: str | None
    principal_entity_id: str | None
    content_template_id: str | None
    campaign_reference_id: str | None
    platform: Platform | None
    validity_seconds: int
    count: int


@dataclass(slots=True)
class Record:
    """One message to one recipient. `final` is None where it stays pending for ever."""

    sequence: int
    message: Message
    message_id: str
    bulk_id: str
    to: str
    accepted_ms: int
    sent_ms: int
    done_ms: int
    final: Status | None
    error: MessageError
    is_accepted: bool = True
    reports_pushed: int = 0

    def is_done(self, at_ms: int) -> bool:
        return self.final is not None and at_ms >= self.done_ms

    def status(self, at_ms: int) -> Status:
        return self.final if self.final is not None and at_ms >= self.done_ms else codes.PENDING_ENROUTE

    @property
    def mcc_mnc(self) -> str:
        mcc, mnc = network_of(self.to)
        return mcc + mnc

    @property
    def price(self) -> dict[str, object]:
        return _PRICES[self.message.channel] if self.is_accepted else NO_PRICE


class Store:
    """Records in the order they came, with the indexes that the logs need."""

    def __init__(self) -> None:
        self._next_sequence = 0
        self.clear()

    def clear(self) -> None:
        """Sequence numbers go on, so that a cursor of before cannot point into what comes after."""
        self._first_sequence = self._next_sequence
        self._records: list[Record] = []
        self._by_message_id: dict[str, Record] = {}
        self._by_bulk_id: dict[str, list[Record]] = {}
        self.acceptances: dict[str, int] = {}
        self.accepted_count = 0
        self.refused_count = 0
        self.duplicates_refused_count = 0

    def next_sequence(self) -> int:
        self._next_sequence += 1
        return self._next_sequence - 1

    def add(self, record: Record) -> None:
        self._records.append(record)
        self._by_message_id[record.message_id] = record
        self._by_bulk_id.setdefault(record.bulk_id, []).append(record)
        if record.is_accepted:
            self.accepted_count += 1
        else:
            self.refused_count += 1

    def count_acceptance(self, to: str) -> int:
        """The number of this attempt: 1 for the first acceptance of the recipient."""
        attempt = self.acceptances[to] = self.acceptances.get(to, 0) + 1
        return attempt

    def is_used(self, message_id: str) -> bool:
        return message_id in self._by_message_id

    def get(self, message_id: str) -> Record | None:
        return self._by_message_id.get(message_id)

    def of_bulk(self, bulk_id: str) -> list[Record]:
        return self._by_bulk_id.get(bulk_id, [])

    def oldest_first(self, from_sequence: int = 0) -> Iterator[Record]:
        return islice(self._records, max(0, from_sequence - self._first_sequence), None)

    def newest_first(self) -> Iterator[Record]:
        return reversed(self._records)
