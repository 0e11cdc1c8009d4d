"""Delivery reports as they stand on the wire, pushed and pulled alike."""

from dataclasses import dataclass

from sandbox.clock import format_ms
from sandbox.codes import MessageError, Status
from sandbox.pushes import Kind
from sandbox.store import Record

SMS_REPORT = Kind("sms-report")


@dataclass(slots=True)
class Report:
    """A delivery report. `then` leaves once the webhook has taken this one, so that it surely comes later."""

    record: Record
    status: Status
    error: MessageError
    done_ms: int
    then: "Report | None" = None

    def as_wire(self) -> dict[str, object]:
        record = self.record
        wire: dict[str, object] = {
            "bulkId": record.bulk_id,
            "price": record.price,
            "status": self.status,
            "error": self.error,
            "messageId": record.message_id,
            "to": record.to,
            "sentAt": format_ms(record.sent_ms),
            "doneAt": format_ms(self.done_ms),
            "messageCount": record.message_count,
            "mccMnc": record.mcc_mnc,
        }
        if record.sender is not None:
            wire["sender"] = record.sender
        if record.callback_data is not None:
            wire["callbackData"] = record.callback_data
        if record.platform is not None:
            wire["platform"] = record.platform
        if record.campaign_reference_id is not None:
            wire["campaignReferenceId"] = record.campaign_reference_id
        return wire

    def taken(self) -> "Report | None":
        self.record.reports_pushed += 1
        return self.then
