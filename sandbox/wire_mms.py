"""Request bodies of `POST /mms/2/messages`.

India's DLT has no place in them: Infobip's schema names no `indiaDlt` for MMS, nor for its SMS failover. Infobip's
documents differ on `sender`: its schema leaves it optional, its Java client requires it, and so do we.
"""

# ruff: noqa: N815  # Field names are Infobip's; that it is a typed dict is only seen of one that inherits nothing.

from collections.abc import Callable, Iterator
from typing import Annotated, Literal, NotRequired, cast

from pydantic import Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # Before Python 3.12 pydantic cannot read typing's own.

from sandbox.wire import (
    NO_SUCH_FIELD,
    STRICT,
    Destination,
    Int32,
    MessageOptions,
    RequestOptions,
    Text64,
    Text66,
    Text200,
    ValidityPeriod,
    Violation,
    Webhooks,
    broken_settings,
    check_rules,
    is_web_address,
    read_body,
)

SMIL_TYPE = "application/smil"
MAX_GROUP_SIZE = 200

Text4096 = Annotated[str, Field(max_length=4096)]
IsUploaded = Callable[[str], bool]


class MmsDestination(TypedDict):
    """One recipient or a group. One dict, since a union would name its members in the violations' paths."""

    to: NotRequired[Text64]
    messageId: NotRequired[Text200]
    group: NotRequired[Annotated[list[Destination], Field(min_length=1, max_length=MAX_GROUP_SIZE)]]


class Segment(TypedDict):
    """One of four kinds, which `_SEGMENT_FIELDS` tells apart; one dict for the same reason."""

    type: Literal["TEXT", "LINK", "SMIL", "UPLOADED_REFERENCE"]
    contentId: NotRequired[str]
    contentType: NotRequired[str]
    text: NotRequired[Text4096]
    contentUrl: NotRequired[str]
    smil: NotRequired[str]
    uploadedContentId: NotRequired[str]


# By type: the fields that a segment must have, and those that it may have.
_SEGMENT_FIELDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "TEXT": (frozenset({"text"}), frozenset({"contentId"})),
    "LINK": (frozenset({"contentUrl"}), frozenset({"contentType", "contentId"})),
    "SMIL": (frozenset({"smil", "contentType"}), frozenset({"contentId"})),
    "UPLOADED_REFERENCE": (frozenset({"uploadedContentId"}), frozenset({"contentId"})),
}


class MmsContent(TypedDict):
    title: NotRequired[Text66]
    messageSegments: Annotated[list[Segment], Field(min_length=1)]


class MmsSouthKorea(TypedDict):
    resellerCode: NotRequired[Int32]


class MmsRegional(TypedDict):
    southKorea: NotRequired[MmsSouthKorea]


class SmsFailover(TypedDict):
    sender: NotRequired[str]
    text: str
    validityPeriod: NotRequired[ValidityPeriod]
    regional: NotRequired[MmsRegional]


class MmsOptions(MessageOptions):
    smsFailover: NotRequired[SmsFailover]
    regional: NotRequired[MmsRegional]


class MmsMessage(TypedDict):
    sender: str
    destinations: Annotated[list[MmsDestination], Field(min_length=1)]
    content: MmsContent
    options: NotRequired[MmsOptions]
    webhooks: NotRequired[Webhooks]


@with_config(STRICT)
class MmsRequest(TypedDict):
    messages: Annotated[list[MmsMessage], Field(min_length=1)]
    options: NotRequired[RequestOptions]


_MMS_REQUEST = TypeAdapter(MmsRequest)


def parse_mms(body: bytes, is_uploaded: IsUploaded) -> MmsRequest:
    """`is_uploaded` says whether content of that ID is at hand. Errors: Refused."""
    request = read_body(_MMS_REQUEST, body)
    check_rules(request["messages"], lambda message: _broken_rules(message, is_uploaded), request.get("options", {}))
    return request


def recipients_of(message: MmsMessage) -> list[Destination]:
    """Everyone the message goes to, members of groups among them, in the order given."""
    found: list[Destination] = []
    for destination in message["destinations"]:
        if "group" in destination:
            found += destination["group"]
        else:
            found.append(cast(Destination, destination))  # The rules have seen to it that it is one.
    return found


def _broken_rules(message: MmsMessage, is_uploaded: IsUploaded) -> Iterator[Violation]:
    """What the types of one message cannot say."""
    for index, destination in enumerate(message["destinations"]):
        if ("group" in destination) == ("to" in destination) or {"group", "messageId"} <= destination.keys():
            yield f"destinations[{index}]", "must be either one recipient or a group"
    seen_ids: set[str] = set()
    for index, segment in enumerate(message["content"]["messageSegments"]):
        path = f"content.messageSegments[{index}]"
        for name, sentence in _broken_segment(segment, is_uploaded):
            yield f"{path}.{name}", sentence
        content_id = segment.get("contentId")
        if content_id is not None and content_id in seen_ids:
            yield f"{path}.contentId", "must be unique within the message"
        elif content_id is not None:
            seen_ids.add(content_id)
    yield from broken_settings(message.get("options"), message.get("webhooks"))


def _broken_segment(segment: Segment, is_uploaded: IsUploaded) -> Iterator[Violation]:
    required, optional = _SEGMENT_FIELDS[segment["type"]]
    for name in sorted(required - segment.keys()):
        yield name, "Field required"
    for name in sorted(segment.keys() - required - optional - {"type"}):
        yield name, NO_SUCH_FIELD
    if segment["type"] == "SMIL" and segment.get("contentType", SMIL_TYPE) != SMIL_TYPE:
        yield "contentType", f"must be {SMIL_TYPE}"
    if segment["type"] == "LINK" and not is_web_address(segment.get("contentUrl", "http://absent")):
        yield "contentUrl", "must be an http or https URL"
    uploaded = segment.get("uploadedContentId")
    if segment["type"] == "UPLOADED_REFERENCE" and uploaded is not None and not is_uploaded(uploaded):
        yield "uploadedContentId", "was never uploaded, or no longer is"
