"""From a request to send, already found valid, to records, the answer's entries and the reports to come."""

import uuid
from dataclasses import dataclass, field
from functools import lru_cache

from sandbox import codes
from sandbox.account import Account
from sandbox.codes import DUPLICATE_MESSAGE_ID, RefusedStatus, Status
from sandbox.faults import ReportFault
from sandbox.outcomes import DELIVERED, POISON_SUFFIX, Outcome, outcome_of, refusal_of
from sandbox.reports import SMS_REPORT, Report
from sandbox.store import Record
from sandbox.text import MAX_PARTS, measure
from sandbox.wire import Content, Destination, Message, SendRequest, seconds_of, send_at_of

CHANNEL = "sms"

_measure = lru_cache(maxsize=4096)(measure)  # One text often goes to many.


def is_poisoned(request: SendRequest) -> bool:
    """Whether one recipient gets the whole request refused."""
    return any(
        destination["to"].endswith(POISON_SUFFIX)
        for message in request["messages"]
        for destination in message["destinations"]
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
    _with_count: bool = False
    # Reports by the instant they fall due and the URL they go to.
    _reports: dict[tuple[int, str], list[Report]] = field(default_factory=dict)

    def take(self, request: SendRequest) -> None:
        self._sent_ms = max(self.arrived_ms, send_at_of(request))
        self._done_ms = self._sent_ms + round(self.account.faults.chosen.report_seconds * 1000)
        self._with_count = request.get("options", {}).get("includeSmsCountInResponse", False)
        for message in request["messages"]:
            self._take_message(message)
        for (due_ms, url), reports in self._reports.items():
            self.account.pushes.schedule(due_ms, SMS_REPORT, url, reports)

    def _take_message(self, message: Message) -> None:
        content = message["content"]
        count = _message_count(content)
        refusal = self.refuse_all_with or (codes.MESSAGE_TOO_LONG if count > MAX_PARTS else None)
        for destination in message["destinations"]:
            message_id = destination.get("messageId") or str(uuid.uuid4())
            entry: dict[str, object] = {"messageId": message_id, "destination": destination["to"]}
            entry["status"] = self._take_one(message, destination, message_id, count, refusal)
            if self._with_count and "text" in content:
                entry["details"] = {"messageCount": count}
            self.entries.append(entry)

    def _take_one(
        self, message: Message, destination: Destination, message_id: str, count: int, refusal: RefusedStatus | None
    ) -> Status:
        """The status to answer. Whatever it is, the message id counts as used from here on."""
        store = self.account.store
        if store.is_used(message_id):
            store.duplicates_refused_count += 1
            return DUPLICATE_MESSAGE_ID
        to = destination["to"]
        refusal = refusal or refusal_of(to)
        outcome = DELIVERED if refusal else outcome_of(to, store.count_acceptance(to))
        options, webhooks = message.get("options", {}), message.get("webhooks", {})
        india = options.get("regional", {}).get("indiaDlt")
        record = Record(
            store.next_sequence(),
            message_id,
            self.bulk_id,
            to,
            message.get("sender"),
            CHANNEL,
            message["content"],
            webhooks.get("callbackData"),
            india["principalEntityId"] if india else None,
            india.get("contentTemplateId") if india else None,
            options.get("campaignReferenceId"),
            options.get("platform"),
            seconds_of(options.get("validityPeriod")),
            count,
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
        delivery = webhooks.get("delivery", {})
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


def _message_count(content: Content) -> int:
    if "text" not in content:
        octets = len(content["hex"].replace(" ", "")) // 2
        return 1 if octets <= 140 else -(-octets // 134)
    return _measure(content["text"], content.get("language", {}).get("languageCode"))[0]
