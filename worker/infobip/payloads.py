"""SMS v3 send requests, as `POST /sms/3/messages` takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from worker.ids import attempt_id

SMS_PATH = "/sms/3/messages"
MOST_VALIDITY_SECONDS = 48 * 3600  # Infobip lowers longer ones to this without a word


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as it leaves, with everything it inherited resolved."""

    message_id: UUID
    number: int  # of the attempt
    recipient: str
    sender: str
    text: str
    callback_data: str | None
    principal_entity_id: str | None
    content_template_id: str | None
    remaining_seconds: float  # until expires_at, when it was claimed

    @property
    def wire_id(self) -> str:
        return attempt_id(self.message_id, self.number)


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A request body, and which message stands at each (message, destination) place of it."""

    path: str
    body: bytes
    places: list[list[int]]

    def messages_at(self, message: int, destination: int | None) -> list[int]:
        """Indexes, in the order given, of the messages that a place in the body stands for; none for a bad place."""
        if not 0 <= message < len(self.places):
            return []
        group = self.places[message]
        if destination is None:
            return group
        return group[destination : destination + 1] if destination >= 0 else []


def sms_request(bulk_id: UUID, messages: Sequence[Outgoing], elapsed_seconds: float, report_url: str) -> SendRequest:
    """The body for these messages; those that differ only in recipient share one entry with many destinations.

    `elapsed_seconds` have passed since the remaining validities were read; each goes out as the whole seconds left.
    """
    entries: dict[tuple[Any, ...], list[int]] = {}
    for index, message in enumerate(messages):
        validity = min(int(message.remaining_seconds - elapsed_seconds), MOST_VALIDITY_SECONDS)
        shared = (
            message.sender,
            message.text,
            message.callback_data,
            message.principal_entity_id,
            message.content_template_id,
            validity,
        )
        entries.setdefault(shared, []).append(index)
    body = {
        "messages": [
            _entry(messages[group[0]], [messages[i] for i in group], shared[-1], report_url)
            for shared, group in entries.items()
        ],
        "options": {"schedule": {"bulkId": str(bulk_id)}},
    }
    return SendRequest(SMS_PATH, orjson.dumps(body), list(entries.values()))


def _entry(first: Outgoing, group: Sequence[Outgoing], validity_seconds: int, report_url: str) -> dict[str, Any]:
    options: dict[str, Any] = {"validityPeriod": {"amount": validity_seconds, "timeUnit": "SECONDS"}}
    if first.principal_entity_id:
        # Infobip requires the entity inside indiaDlt; a template alone could not be attached.
        options["regional"] = {"indiaDlt": {"principalEntityId": first.principal_entity_id}}
        if first.content_template_id:
            options["regional"]["indiaDlt"]["contentTemplateId"] = first.content_template_id
    webhooks: dict[str, Any] = {
        "delivery": {"url": report_url, "intermediateReport": True},
        "contentType": "application/json",
    }
    if first.callback_data is not None:
        webhooks["callbackData"] = first.callback_data
    return {
        "sender": first.sender,
        "destinations": [{"to": message.recipient, "messageId": message.wire_id} for message in group],
        "content": {"text": first.text},
        "options": options,
        "webhooks": webhooks,
    }
