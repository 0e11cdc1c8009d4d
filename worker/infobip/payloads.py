"""What we ask of Infobip, as its API takes it: sends, and questions to its logs and its inbox. The channels differ in
one table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from worker.ids import attempt_id
from worker.words import Channel

MOST_VALIDITY_SECONDS = 48 * 3600  # Infobip lowers longer ones to this without a word
MOST_LOG_ROWS = 1000  # a page; Infobip's maximum
MOST_INBOX_MESSAGES = 1000  # a page; Infobip's maximum
IDS_A_CALL = 47  # so many of the longest, 42 characters each, fit the 2,048 that Infobip allows


class Content(NamedTuple):
    """What recipients may share. Each field is a column of message and of batch: the claim reads them by these names,
    and messages go out together only where all of them are equal."""

    sender: str
    text: str
    callback_data: str | None
    principal_entity_id: str | None
    content_template_id: str | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as it leaves, with everything it inherited resolved."""

    message_id: UUID
    number: int  # of the attempt
    recipient: str
    remaining_seconds: float  # until expires_at, when it was claimed
    content: Content

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


def send_request(
    channel: Channel, bulk_id: UUID, messages: Sequence[Outgoing], elapsed_seconds: float, report_url: str
) -> SendRequest:
    """The body for these messages; those that differ only in recipient share one entry with many destinations.

    `elapsed_seconds` have passed since the remaining validities were read; each goes out as the whole seconds left.
    """
    own = _CHANNELS[channel]
    entries: dict[tuple[Content, int], list[int]] = {}
    for index, message in enumerate(messages):
        validity = min(int(message.remaining_seconds - elapsed_seconds), MOST_VALIDITY_SECONDS)
        entries.setdefault((message.content, validity), []).append(index)
    body = {
        "messages": [
            own.entry(
                content,
                validity,
                [{"to": messages[i].recipient, "messageId": messages[i].wire_id} for i in group],
                report_url,
            )
            for (content, validity), group in entries.items()
        ],
        "options": {"schedule": {"bulkId": str(bulk_id)}},
    }
    return SendRequest(own.send_path, orjson.dumps(body), list(entries.values()))


def log_query(channel: Channel, ids: Sequence[UUID] | Sequence[str], cursor: str | None) -> tuple[str, dict[str, str]]:
    """Path and query for a page of the log rows of these bulk IDs, or of these message IDs of ours (text)."""
    name = "messageId" if isinstance(ids[0], str) else "bulkId"
    query = {name: ",".join(map(str, ids)), "limit": str(MOST_LOG_ROWS), "useCursor": "true"}
    if cursor is not None:
        query["cursor"] = cursor
    return _CHANNELS[channel].logs_path, query


def inbox_query(limit: int) -> tuple[str, dict[str, str]]:
    """Path and query for the next inbound messages, at most `limit` of them."""
    return "/sms/1/inbox/reports", {"limit": str(limit)}


def _sms_entry(
    content: Content, validity_seconds: int, destinations: list[dict[str, str]], report_url: str
) -> dict[str, Any]:
    options: dict[str, Any] = {"validityPeriod": {"amount": validity_seconds, "timeUnit": "SECONDS"}}
    if content.principal_entity_id:
        # Infobip requires the entity inside indiaDlt; a template alone could not be attached.
        options["regional"] = {"indiaDlt": {"principalEntityId": content.principal_entity_id}}
        if content.content_template_id:
            options["regional"]["indiaDlt"]["contentTemplateId"] = content.content_template_id
    webhooks: dict[str, Any] = {
        "delivery": {"url": report_url, "intermediateReport": True},
        "contentType": "application/json",
    }
    if content.callback_data is not None:
        webhooks["callbackData"] = content.callback_data
    return {
        "sender": content.sender,
        "destinations": destinations,
        "content": {"text": content.text},
        "options": options,
        "webhooks": webhooks,
    }


class _Channel(NamedTuple):
    """What a channel has of its own."""

    send_path: str
    logs_path: str
    entry: Callable[[Content, int, list[dict[str, str]], str], dict[str, Any]]


_CHANNELS = {Channel.SMS: _Channel("/sms/3/messages", "/sms/3/logs", _sms_entry)}
