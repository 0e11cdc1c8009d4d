"""Delivery reports as they stand on the wire: pushed and pulled alike, and the same for both channels."""

from dataclasses import dataclass

from sandbox.channels import Channel
from sandbox.clock import format_ms
from sandbox.codes import MessageError, Status
from sandbox.pushes import Kind
from sandbox.store import Record

KINDS = {Channel.SMS: Kind("sms-report"), Channel.MMS: Kind("mms-report")}


@dataclass(slots=True)
class Report:
    """A delivery report. `then` leaves once the webhook has taken this one, so that it surely comes later."""

    record: Record
    status: Status
    error: MessageError
    done_ms: int
    then: "Report | None" = None

    def as_wire(self) -> dict[str, object]:
        record, message = self.record, self.record.message
        wire: dict[str, object] = {
            "bulkId": record.bulk_id,
            "price": record.price,
            "status": self.status,
            "error": self.error,
            "messageId": record.message_id,
            "to": record.to,
            "sentAt": format_ms(record.sent_ms),
            "doneAt": format_ms(self.done_ms),
            "messageCount": message.count,
            "mccMnc": record.mcc_mnc,
        }
        if message.sender is not None:
            wire["sender"] = message.sender
        if message.callback_data is not None:
            wire["callbackData"] = message.callback_data
        if message.platform is not None:
            wire["platform"] = message.platform
        if message.campaign_reference_id is not None:
            wire["campaignReferenceId"] = message.campaign_reference_id
        return wire

    def taken(self) -> "Report | None":
        self.record.reports_pushed += 1
        return self.then
