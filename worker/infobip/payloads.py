"""What we ask of Infobip, as its API takes it: sends, and questions to its logs and its inbox. The channels differ in
one table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from worker.alphabets import Language
from worker.hours import DAYS
from worker.ids import attempt_id
from worker.mms import Part, PartKind, read_mms
from worker.windows import UtcHours, Window, as_utc_window
from worker.words import Channel

MOST_VALIDITY_SECONDS = 48 * 3600  # Infobip lowers longer ones to this without a word
MOST_LOG_ROWS = 1000  # a page; Infobip's maximum
# A page. Of SMS Infobip's maximum. For MMS it names none: pictures may stand in the answer, which is lost if it takes
# too long, and 20 MMS of 1 MB each, the most that carriers take, still come in time.
MOST_INBOX_MESSAGES = {Channel.SMS: 1000, Channel.MMS: 20}
IDS_A_CALL = 47  # so many of the longest, 42 characters each, fit the 2,048 that Infobip allows


class Content(NamedTuple):
    """What recipients may share. Each field is a column of message and of batch: the claim reads them by these names,
    and messages go out together only where all of them are equal."""

    sender: str
    text: str | None  # of an SMS
    mms: str | None  # of an MMS: JSON, as it is stored
    callback_data: str | None
    principal_entity_id: str | None
    content_template_id: str | None
    transliteration: str | None
    language: str | None  # JSON: a Language


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as it leaves, with everything it inherited resolved."""

    message_id: UUID
    number: int  # of the attempt
    recipient: str
    remaining_seconds: float  # until expires_at, when it was claimed
    content: Content
    window: Window | None = None
    waited_seconds: float = 0.0  # since its turn, when it was claimed
    parts: int = 1  # that it is billed as
    open_seconds: float | None = None  # until its window closes, when it was claimed; None: it never does

    @property
    def wire_id(self) -> str:
        return attempt_id(self.message_id, self.number)

    @property
    def leaves_within_seconds(self) -> float:
        """How long it was worth sending and allowed to leave, when it was claimed."""
        return self.remaining_seconds if self.open_seconds is None else min(self.remaining_seconds, self.open_seconds)


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
    channel: Channel,
    bulk_id: UUID,
    messages: Sequence[Outgoing],
    elapsed_seconds: float,
    report_url: str,
    now: datetime,
) -> SendRequest:
    """The body for these messages; those that differ only in recipient share one entry with many destinations.

    `elapsed_seconds` have passed since the remaining validities were read; each goes out as the whole seconds left.
    `now` is asked for time zones' offsets alone: a clock that is wrong by minutes does no harm.
    """
    own = _CHANNELS[channel]
    entries: dict[tuple[Content, int, Window | None], list[int]] = {}
    for index, message in enumerate(messages):
        validity = min(int(message.remaining_seconds - elapsed_seconds), MOST_VALIDITY_SECONDS)
        entries.setdefault((message.content, validity, message.window), []).append(index)
    entry_list: list[dict[str, Any]] = [
        {
            "sender": content.sender,
            "destinations": [{"to": messages[i].recipient, "messageId": messages[i].wire_id} for i in group],
            "content": own.content(content),
            "options": _common_options(validity, window, now) | own.options(content),
            "webhooks": _webhooks(content, report_url),
        }
        for (content, validity, window), group in entries.items()
    ]
    body = {"messages": entry_list, "options": {"schedule": {"bulkId": str(bulk_id)}}}
    return SendRequest(own.send_path, orjson.dumps(body), list(entries.values()))


def log_query(channel: Channel, ids: Sequence[UUID] | Sequence[str], cursor: str | None) -> tuple[str, dict[str, str]]:
    """Path and query for a page of the log rows of these bulk IDs, or of these message IDs of ours (text)."""
    name = "messageId" if isinstance(ids[0], str) else "bulkId"
    query = {name: ",".join(map(str, ids)), "limit": str(MOST_LOG_ROWS), "useCursor": "true"}
    if cursor is not None:
        query["cursor"] = cursor
    return _CHANNELS[channel].logs_path, query


def inbox_query(channel: Channel, limit: int) -> tuple[str, dict[str, str]]:
    """Path and query for the next inbound messages, at most `limit` of them."""
    return _CHANNELS[channel].inbox_path, {"limit": str(limit)}


def upload_headers(content_id: str, media_type: str, byte_count: int, kept: timedelta) -> tuple[str, dict[str, str]]:
    """Path and headers for a file, which is the body as it stands. Source: provider reference, upload."""
    return "/mms/1/content", {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(byte_count),
        "X-Content-Id": content_id,
        "X-Media-Type": media_type,
        "X-Validity-Period-Minutes": str(int(kept.total_seconds() // 60)),
    }


def _common_options(validity_seconds: int, window: Window | None, now: datetime) -> dict[str, Any]:
    options: dict[str, Any] = {"validityPeriod": {"amount": validity_seconds, "timeUnit": "SECONDS"}}
    # Infobip, too, is to keep within the hours where its own form can say them; the claim does so in any case.
    hours = as_utc_window(window, now, now + timedelta(seconds=validity_seconds)) if window else None
    if hours is not None:
        options["deliveryTimeWindow"] = _delivery_time_window(hours)
    return options


def _delivery_time_window(hours: UtcHours) -> dict[str, Any]:
    return {
        "days": [DAYS[day] for day in hours.days],
        "from": {"hour": hours.opens.hour, "minute": hours.opens.minute},
        "to": {"hour": hours.closes.hour, "minute": hours.closes.minute},
    }


def _webhooks(content: Content, report_url: str) -> dict[str, Any]:
    webhooks: dict[str, Any] = {
        "delivery": {"url": report_url, "intermediateReport": True},
        "contentType": "application/json",
    }
    if content.callback_data is not None:
        webhooks["callbackData"] = content.callback_data
    return webhooks


def _sms_content(content: Content) -> dict[str, Any]:
    made: dict[str, Any] = {"text": content.text}
    if content.transliteration is not None:
        made["transliteration"] = content.transliteration
    if content.language is not None:
        language = Language(**orjson.loads(content.language))
        made["language"] = {
            "languageCode": language.code,
            "singleShift": language.single_shift,
            "lockingShift": language.locking_shift,
        }
    return made


def _sms_options(content: Content) -> dict[str, Any]:
    if not content.principal_entity_id:
        return {}
    # Infobip requires the entity inside indiaDlt; a template alone could not be attached.
    dlt = {"principalEntityId": content.principal_entity_id}
    if content.content_template_id:
        dlt["contentTemplateId"] = content.content_template_id
    return {"regional": {"indiaDlt": dlt}}


def _mms_content(content: Content) -> dict[str, Any]:
    assert content.mms is not None
    mms = read_mms(orjson.loads(content.mms))
    segments = [_segment(part) for part in mms.parts]
    return {"messageSegments": segments} if mms.title is None else {"title": mms.title, "messageSegments": segments}


_SEGMENTS: dict[PartKind, tuple[str, str]] = {
    "text": ("TEXT", "text"),
    "url": ("LINK", "contentUrl"),
    "smil": ("SMIL", "smil"),
    "uploaded": ("UPLOADED_REFERENCE", "uploadedContentId"),
}


def _segment(part: Part) -> dict[str, Any]:
    kind, name = _SEGMENTS[part.kind]
    segment = {"type": kind, name: part.value}
    if part.content_id is not None:
        segment["contentId"] = part.content_id
    if part.kind == "smil":
        segment["contentType"] = "application/smil"
    elif part.content_type is not None:
        segment["contentType"] = part.content_type
    return segment


def _mms_options(_: Content) -> dict[str, Any]:
    """None: Infobip's MMS takes no DLT IDs."""
    return {}


class _Channel(NamedTuple):
    """What a channel has of its own."""

    send_path: str
    logs_path: str
    inbox_path: str
    content: Callable[[Content], dict[str, Any]]
    options: Callable[[Content], dict[str, Any]]


_CHANNELS = {
    Channel.SMS: _Channel("/sms/3/messages", "/sms/3/logs", "/sms/1/inbox/reports", _sms_content, _sms_options),
    Channel.MMS: _Channel("/mms/2/messages", "/mms/2/logs", "/mms/1/inbox/reports", _mms_content, _mms_options),
}
