"""Request bodies of `POST /sms/3/messages` and `POST /sms/1/preview`. Errors of both: `Refused`."""

# ruff: noqa: N815  # Field names are Infobip's; that it is a typed dict is only seen of one that inherits nothing.

from typing import Annotated, Literal, NotRequired

from pydantic import Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # Before Python 3.12 pydantic cannot read typing's own.

from sandbox.wire import (
    STRICT,
    Destination,
    Int32,
    MessageOptions,
    RequestOptions,
    Text66,
    Violations,
    Webhooks,
    broken_settings,
    check_rules,
    read_body,
)

Transliteration = Literal[
    "NONE",
    "TURKISH",
    "GREEK",
    "CYRILLIC",
    "SERBIAN_CYRILLIC",
    "CENTRAL_EUROPEAN",
    "BALTIC",
    "NON_UNICODE",
    "PORTUGUESE",
    "COLOMBIAN",
    "BULGARIAN_CYRILLIC",
    "ALL",
]


class SmsDestination(Destination):
    networkId: NotRequired[Int32]


class Language(TypedDict):
    languageCode: NotRequired[Literal["NONE", "TR", "ES", "PT", "AUTODETECT"]]
    singleShift: NotRequired[bool]
    lockingShift: NotRequired[bool]


class SmsContent(TypedDict):
    """Text or binary. One dict, since a union would name its members in the violations' paths."""

    text: NotRequired[str]
    transliteration: NotRequired[Transliteration]
    language: NotRequired[Language]
    hex: NotRequired[str]
    dataCoding: NotRequired[Int32]
    esmClass: NotRequired[Int32]


class IndiaDlt(TypedDict):
    principalEntityId: str
    contentTemplateId: NotRequired[str]
    telemarketerId: NotRequired[str]


class TurkeyIys(TypedDict):
    brandCode: NotRequired[Int32]
    recipientType: Literal["BIREYSEL", "TACIR"]


class SouthKorea(TypedDict):
    title: NotRequired[Text66]
    resellerCode: NotRequired[Int32]


class Regional(TypedDict):
    indiaDlt: NotRequired[IndiaDlt]
    turkeyIys: NotRequired[TurkeyIys]
    southKorea: NotRequired[SouthKorea]


class SmsOptions(MessageOptions):
    regional: NotRequired[Regional]
    flash: NotRequired[bool]


class SmsMessage(TypedDict):
    sender: NotRequired[str]
    destinations: Annotated[list[SmsDestination], Field(min_length=1)]
    content: SmsContent
    options: NotRequired[SmsOptions]
    webhooks: NotRequired[Webhooks]


class ConversionTracking(TypedDict):
    useConversionTracking: NotRequired[bool]
    conversionTrackingName: NotRequired[str]


class SmsRequestOptions(RequestOptions):
    includeSmsCountInResponse: NotRequired[bool]
    conversionTracking: NotRequired[ConversionTracking]


@with_config(STRICT)
class SmsRequest(TypedDict):
    messages: Annotated[list[SmsMessage], Field(min_length=1)]
    options: NotRequired[SmsRequestOptions]


@with_config(STRICT)
class PreviewRequest(TypedDict):
    text: str
    languageCode: NotRequired[Literal["TR", "ES", "PT", "AUTODETECT"]]
    transliteration: NotRequired[Transliteration]


_SMS_REQUEST = TypeAdapter(SmsRequest)
_PREVIEW_REQUEST = TypeAdapter(PreviewRequest)


def parse_sms(body: bytes) -> SmsRequest:
    request = read_body(_SMS_REQUEST, body)
    check_rules(request["messages"], _broken_rules, request.get("options", {}))
    return request


def parse_preview(body: bytes) -> PreviewRequest:
    return read_body(_PREVIEW_REQUEST, body)


_TEXT_FIELDS = frozenset({"text", "transliteration", "language"})
_BINARY_FIELDS = frozenset({"hex", "dataCoding", "esmClass"})


def _broken_rules(message: SmsMessage) -> Violations:
    """What the types of one message cannot say."""
    content = message["content"]
    is_one_or_the_other = (
        content.keys() <= _TEXT_FIELDS if "text" in content else "hex" in content and content.keys() <= _BINARY_FIELDS
    )
    broken: Violations = [] if is_one_or_the_other else [("content", "must be either text or binary content")]
    return broken + broken_settings(message.get("options"), message.get("webhooks"))
