"""From a request to send, already found valid, to records, the answer's entries and the reports to come."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from sandbox import codes
from sandbox.account import Account
from sandbox.codes import DUPLICATE_MESSAGE_ID, RefusedStatus, Status
from sandbox.faults import ReportFault
from sandbox.outcomes import DELIVERED, POISON_SUFFIX, Outcome, outcome_of, refusal_of
from sandbox.reports import KINDS, Report
from sandbox.store import Message, Record
from sandbox.wire import DeliveryReporting, Destination


@dataclass(slots=True)
class Addressed:
    """A message and whom it goes to. `refusal` is what its content earns it, whoever the recipient; `details` are
    those of its entries in the answer."""

    message: Message
    destinations: Sequence[Destination]
    delivery: DeliveryReporting
    refusal: RefusedStatus | None = None
    details: dict[str, object] | None = None


@dataclass(slots=True)
class Order:
    """A request to send, of either channel. `bulk_id` is empty where one is to be made up; `send_at_ms` 0 means now."""

    messages: list[Addressed]
    bulk_id: str
    send_at_ms: int

    @property
    def is_poisoned(self) -> bool:
        """Whether one recipient gets the whole request refused."""
        return any(
            destination["to"].endswith(POISON_SUFFIX)
            for addressed in self.messages
            for destination in addressed.destinations
        )


@dataclass(slots=True)
class Acceptance:
    """One request being taken in. `entries` are those of the answer, in the order of the request."""

    account: Account
    arrived_ms: int
    bulk_id: str
    refuse_all_with: RefusedStatus | None = None
    entries: list[dict[str, object]] = field(default_factory=list)
    _sent_ms: int = 0
    _done_ms: int = 0
    # Reports by the instant they fall due and the URL they go to. A request is of one channel.
    _reports: dict[tuple[int, str], list[Report]] = field(default_factory=dict)

    def take(self, order: Order) -> None:
        self._sent_ms = max(self.arrived_ms, order.send_at_ms)
        self._done_ms = self._sent_ms + round(self.account.faults.chosen.report_seconds * 1000)
        for addressed in order.messages:
            self._take_message(addressed)
        for (due_ms, url), reports in self._reports.items():
            self.account.pushes.schedule(due_ms, KINDS[reports[0].record.message.channel], url, reports)

    def _take_message(self, addressed: Addressed) -> None:
        for destination in addressed.destinations:
            message_id = destination.get("messageId") or str(uuid.uuid4())
            entry: dict[str, object] = {"messageId": message_id, "destination": destination["to"]}
            entry["status"] = self._take_one(addressed, destination["to"], message_id)
            if addressed.details is not None:
                entry["details"] = addressed.details
            self.entries.append(entry)

    def _take_one(self, addressed: Addressed, to: str, message_id: str) -> Status:
        """The status to answer. Whatever it is, the message id counts as used from here on, in both channels."""
        store, message = self.account.store, addressed.message
        if store.is_used(message_id):
            store.duplicates_refused_count += 1
            return DUPLICATE_MESSAGE_ID
        refusal = self.refuse_all_with or addressed.refusal or refusal_of(to)
        outcome = DELIVERED if refusal else outcome_of(to, store.count_acceptance(to), message.channel)
        record = Record(
            store.next_sequence(),
            message,
            message_id,
            self.bulk_id,
            to,
            self.arrived_ms,
            self._sent_ms,
            self.arrived_ms if refusal else self._done_ms,
            refusal or outcome.final,
            outcome.error,
            refusal is None,
        )
        store.add(record)
        if refusal:
            return refusal
        delivery = addressed.delivery
        if delivery.get("notify", True):
            self._promise(record, outcome, delivery.get("url"), delivery.get("intermediateReport", False))
        return codes.PENDING_ACCEPTED

    def _promise(self, record: Record, outcome: Outcome, url: str | None, wants_intermediate: bool) -> None:
        """Decide which reports will come of an accepted message, and where they go."""
        faults = self.account.faults
        if record.final is None:
            return
        final = Report(record, record.final, record.error, record.done_ms)
        fault = faults.next_for_report()
        if url is None or not outcome.is_pushed or fault is ReportFault.LOST:
            # Infobip still has a report that it could not bring.
            self.account.pull_queue[record.message_id] = final
        else:
            if outcome.is_repeated or fault is ReportFault.REPEATED:
                final.then = Report(record, record.final, record.error, record.done_ms)
            elif outcome.is_followed_by_older or fault is ReportFault.REORDERED:
                older_ms = min(record.sent_ms, record.done_ms - 1)
                final.then = Report(record, codes.PENDING_ENROUTE, codes.NO_ERROR, older_ms)
            self._reports.setdefault((record.done_ms, url), []).append(final)
        if url is not None and wants_intermediate and faults.is_intermediate_due():
            halfway_ms = (record.sent_ms + record.done_ms) // 2
            is_delivered = record.final["id"] == codes.DELIVERED_TO_HANDSET["id"]
            status = codes.DELIVERED_TO_OPERATOR if is_delivered else codes.PENDING_ENROUTE
            reports = self._reports.setdefault((halfway_ms, url), [])
            # With no delay at all both fall into one body: the intermediate one must still stand first.
            reports.insert(0, Report(record, status, codes.NO_ERROR, halfway_ms))
