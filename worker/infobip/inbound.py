"""Inbound messages as Infobip sends them: a strange field costs that field, never the message, and a strange message
never its neighbours.

An SMS has one shape, pushed or asked for (`MO_JSON_2`). An MMS has "message" where an SMS has "text": pushed
(`MO_MMS_2`) it is a list of parts, asked for it is a text that holds JSON with "mms_parts" and a "subject".
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from worker.infobip.reading import (
    BadItem,
    Unreadable,
    as_decimal,
    as_instant,
    as_int,
    as_object,
    as_text,
    read_json,
    results_of,
    storable,
)
from worker.recipients import BadRecipient, normalise
from worker.words import Channel

# Characters kept, so that no message fills a row without bound.
MOST_TEXT = 10_000  # an SMS has at most 25 parts, some 3,800 characters; the rest is room for an MMS
MOST_ID = 200  # as for the IDs we choose; the database's index takes no text of any length
MOST_ADDRESS = 64
MOST_CALLBACK_DATA = 4000
MOST_WORD = 100  # a currency, a content type
MOST_MEDIA_VALUE = 2048  # an address; a value inline is only kept to be recognised
MOST_MEDIA = 50  # parts; an MMS of 1 MB, which is the most that carriers take, has fewer


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message from a handset, all of it storable. Price is of the message, in major currency units."""

    provider_id: str  # Infobip's; where it has none of a sane length, a digest that is the same each time it comes
    channel: Channel
    sender: str  # a phone number or short code as digits, anything else as it came
    recipient: str | None  # our number, likewise
    text: str | None
    media: list[dict[str, Any]] | None  # {"content_type", "url" or "value", "is_cut" where that was too long}
    received_at: datetime | None  # by Infobip; aware UTC
    segment_count: int | None
    price: Decimal | None
    currency: str | None
    callback_data: str | None


def parse_inbound(body: bytes) -> list[Inbound | BadItem]:
    """The messages of one push, in the order given. Shape: {"results": [{"messageId", "from", "to", "text"}]}.

    Errors: Unreadable if the body is not JSON or "results" is not a list.
    Source: Infobip, inbound SMS and inbound MMS.
    """
    return parse_messages(read_json(body))


def parse_messages(document: Any) -> list[Inbound | BadItem]:
    """The messages of a push, or of a page of the inbox. Errors: Unreadable if it has no "results" list."""
    return [_parse_item(item) for item in results_of(document)]


def as_address(value: Any) -> str | None:
    """A phone number in the form in which recipients are stored, a short code as digits, else what came. None where
    that names nobody: blank, or longer than any address."""
    text = (as_text(value) or "").strip()
    if not 0 < len(text) <= MOST_ADDRESS:
        return None
    try:
        return normalise(text, default_country=None)
    except BadRecipient:
        digits = text.removeprefix("+")
        return digits if digits.isascii() and digits.isdigit() else text


def _parse_item(item: Any) -> Inbound | BadItem:
    if not isinstance(item, dict):
        return BadItem("not an object", item)
    sender = as_address(item.get("from"))
    if sender is None:
        return BadItem("it does not say who wrote it", item)
    text, message = _cut(item.get("text"), MOST_TEXT), item.get("message")
    media: list[dict[str, Any]] = []
    channel = Channel.SMS
    if not text and isinstance(message, str | list | dict):
        channel = Channel.MMS
        text, media = _mms_content(message)
    elif not text:
        text = _rebuilt(item) or text
    price = as_object(item.get("price"))
    amount = as_decimal(price.get("pricePerMessage"))
    return Inbound(
        provider_id=_identity(item),
        channel=channel,
        sender=sender,
        recipient=as_address(item.get("to")),
        text=text,
        media=media or None,
        received_at=as_instant(item.get("receivedAt")),
        segment_count=as_int(item.get("smsCount" if channel is Channel.SMS else "mmsCount")),
        price=amount,
        currency=_cut(price.get("currency"), MOST_WORD) if amount is not None else None,
        callback_data=_cut(item.get("callbackData"), MOST_CALLBACK_DATA),
    )


def _identity(item: dict[str, Any]) -> str:
    given = (as_text(item.get("messageId")) or "").strip()
    if 0 < len(given) <= MOST_ID:
        return given
    named = given.encode() or orjson.dumps(storable(item), option=orjson.OPT_SORT_KEYS)
    return f"sha256:{hashlib.sha256(named).hexdigest()}"


def _rebuilt(item: dict[str, Any]) -> str | None:
    """The text of an SMS from the keyword that Infobip found at its head, and the rest."""
    parts = [as_text(item.get("keyword")), as_text(item.get("cleanText"))]
    return " ".join(part for part in parts if part)[:MOST_TEXT] or None


def _mms_content(message: str | list[Any] | dict[str, Any]) -> tuple[str | None, list[dict[str, Any]]]:
    """Its text parts as one text, and what else it has. Without a word in them, what was written is the subject. A text
    that holds no parts is taken for what was written."""
    document = {"mms_parts": message} if isinstance(message, list) else _document(message)
    parts = document.get("mms_parts")
    if not isinstance(parts, list):
        return _cut(message, MOST_TEXT), []
    texts: list[str] = []
    media: list[dict[str, Any]] = []
    for part in map(as_object, parts):
        text = as_text(part.get("value"))
        if text is not None and _is_text(part):
            texts.append(text)
        elif part and len(media) < MOST_MEDIA:
            media.append(_medium(part))
    written = "\n".join(texts)[:MOST_TEXT] if texts else None
    if not (written or "").strip():
        written = _cut(document.get("subject"), MOST_TEXT) or written
    return written, media


def _document(message: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(message, dict):
        return message
    try:
        return as_object(read_json(message.encode(errors="replace")))
    except Unreadable:
        return {}


def _is_text(part: dict[str, Any]) -> bool:
    """Also of a part that names no type and links to nothing: what it holds was written by hand."""
    kind = (as_text(part.get("contentType")) or "").partition(";")[0].strip().lower()
    return kind == "text/plain" or (not kind and part.get("url") is None)


def _medium(part: dict[str, Any]) -> dict[str, Any]:
    medium: dict[str, Any] = {"content_type": _cut(part.get("contentType"), MOST_WORD)}
    for key in ("url", "value"):
        whole = as_text(part.get(key))
        if whole is not None:
            medium[key] = whole[:MOST_MEDIA_VALUE]
            if len(whole) > MOST_MEDIA_VALUE:
                medium["is_cut"] = True
    return medium


def _cut(value: Any, most: int) -> str | None:
    text = as_text(value)
    return text if text is None else text[:most]
