"""Request bodies of `POST /sms/3/messages` and `POST /sms/1/preview`, as strict as Infobip's schema lets us be.

Field names are Infobip's. A field may be absent but not null, no field may be added, and types are not coerced.
`parse_send` and `parse_preview` raise `Refused` with every violation found. The bodies are typed dicts, not models: a
request of 500 messages holds some 4,000 objects, and pydantic reads them four times as fast this way.
"""

from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Literal, NotRequired
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # Before Python 3.12 pydantic cannot read typing's own.

from sandbox.clock import now_ms, parse_ms

Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
PositiveInt32 = Annotated[int, Field(ge=1, le=2**31 - 1)]
Text64 = Annotated[str, Field(max_length=64)]
Text66 = Annotated[str, Field(max_length=66)]
Text100 = Annotated[str, Field(max_length=100)]
Text200 = Annotated[str, Field(max_length=200)]
Text255 = Annotated[str, Field(max_length=255)]
Text4000 = Annotated[str, Field(max_length=4000)]
InstantMs = Annotated[int, BeforeValidator(parse_ms)]
Day = Literal["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]
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

MAX_VALIDITY_SECONDS = 48 * 3600  # Infobip lowers a longer validity to this without a word.
_UNIT_SECONDS = {"SECONDS": 1, "MINUTES": 60, "HOURS": 3600}
_MAX_SCHEDULE_AHEAD_MS = int(timedelta(days=180).total_seconds() * 1000)

# Set on the two whole bodies; the dicts inside inherit it.
_STRICT = ConfigDict(extra="forbid", strict=True)


class Destination(TypedDict):
    to: Text64
    messageId: NotRequired[Text200]
    networkId: NotRequired[Int32]


class Language(TypedDict):
    languageCode: NotRequired[Literal["NONE", "TR", "ES", "PT", "AUTODETECT"]]
    singleShift: NotRequired[bool]
    lockingShift: NotRequired[bool]


class Content(TypedDict):
    """Text or binary. One dict, since a union would name its members in the violations' paths."""

    text: NotRequired[str]
    transliteration: NotRequired[Transliteration]
    language: NotRequired[Language]
    hex: NotRequired[str]
    dataCoding: NotRequired[Int32]
    esmClass: NotRequired[Int32]


class Platform(TypedDict):
    entityId: NotRequired[Text255]
    applicationId: NotRequired[Text255]


class ValidityPeriod(TypedDict):
    amount: PositiveInt32
    timeUnit: NotRequired[Literal["SECONDS", "MINUTES", "HOURS"]]


class TimeOfDay(TypedDict):
    hour: Annotated[int, Field(ge=0, le=23)]
    minute: Annotated[int, Field(ge=0, le=59)]


# Not a class, since `from` is a word of Python.
DeliveryTimeWindow = TypedDict(
    "DeliveryTimeWindow",
    {
        "days": Annotated[list[Day], Field(min_length=1)],
        "from": NotRequired[TimeOfDay],
        "to": NotRequired[TimeOfDay],
    },
)


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


class MessageOptions(TypedDict):
    platform: NotRequired[Platform]
    validityPeriod: NotRequired[ValidityPeriod]
    deliveryTimeWindow: NotRequired[DeliveryTimeWindow]
    campaignReferenceId: NotRequired[Text255]
    regional: NotRequired[Regional]
    flash: NotRequired[bool]


class DeliveryReporting(TypedDict):
    url: NotRequired[str]
    intermediateReport: NotRequired[bool]
    notify: NotRequired[bool]


class Webhooks(TypedDict):
    delivery: NotRequired[DeliveryReporting]
    contentType: NotRequired[str]
    callbackData: NotRequired[Text4000]


class Message(TypedDict):
    sender: NotRequired[str]
    destinations: Annotated[list[Destination], Field(min_length=1)]
    content: Content
    options: NotRequired[MessageOptions]
    webhooks: NotRequired[Webhooks]


class SendingSpeedLimit(TypedDict):
    amount: PositiveInt32
    timeUnit: NotRequired[Literal["MINUTE", "HOUR", "DAY"]]


class Schedule(TypedDict):
    """`sendAt` is milliseconds since 1970 once read."""

    bulkId: NotRequired[Text100]
    sendAt: NotRequired[InstantMs]
    sendingSpeedLimit: NotRequired[SendingSpeedLimit]


class UrlTracking(TypedDict):
    shortenUrl: NotRequired[bool]
    trackClicks: NotRequired[bool]
    trackingUrl: NotRequired[str]
    removeProtocol: NotRequired[bool]
    customDomain: NotRequired[str]


class ConversionTracking(TypedDict):
    useConversionTracking: NotRequired[bool]
    conversionTrackingName: NotRequired[str]


class RequestOptions(TypedDict):
    schedule: NotRequired[Schedule]
    tracking: NotRequired[UrlTracking]
    includeSmsCountInResponse: NotRequired[bool]
    conversionTracking: NotRequired[ConversionTracking]


@with_config(_STRICT)
class SendRequest(TypedDict):
    messages: Annotated[list[Message], Field(min_length=1)]
    options: NotRequired[RequestOptions]


@with_config(_STRICT)
class PreviewRequest(TypedDict):
    text: str
    languageCode: NotRequired[Literal["TR", "ES", "PT", "AUTODETECT"]]
    transliteration: NotRequired[Transliteration]


_SEND_REQUEST = TypeAdapter(SendRequest)
_PREVIEW_REQUEST = TypeAdapter(PreviewRequest)


class Refused(Exception):
    """The request breaks Infobip's schema; `violations` are pairs of property path and sentence."""

    def __init__(self, violations: list[tuple[str, str]]) -> None:
        super().__init__(violations)
        self.violations = violations


def violations_of(error: ValidationError) -> list[tuple[str, str]]:
    """Pairs of path, written like `messages[0].destinations[1].to`, and sentence."""
    found = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
        sentence = "Infobip's API names no such field" if detail["type"] == "extra_forbidden" else detail["msg"]
        found.append((path or "body", sentence))
    return found


def parse_send(body: bytes) -> SendRequest:
    try:
        request = _SEND_REQUEST.validate_json(body)
    except ValidationError as error:
        raise Refused(violations_of(error)) from error
    violations = [
        (f"messages[{index}].{path}", sentence)
        for index, message in enumerate(request["messages"])
        for path, sentence in _broken_rules(message)
    ]
    if send_at_of(request) > now_ms() + _MAX_SCHEDULE_AHEAD_MS:
        violations.append(("options.schedule.sendAt", "must be at most 180 days ahead"))
    if violations:
        raise Refused(violations)
    return request


def parse_preview(body: bytes) -> PreviewRequest:
    try:
        return _PREVIEW_REQUEST.validate_json(body)
    except ValidationError as error:
        raise Refused(violations_of(error)) from error


def send_at_of(request: SendRequest) -> int:
    """When the request asks to be sent, in milliseconds since 1970; 0 for at once."""
    return request.get("options", {}).get("schedule", {}).get("sendAt", 0)


def seconds_of(period: ValidityPeriod | None) -> int:
    """The effective validity: 48 h by default and at most, minutes where no unit is given."""
    if period is None:
        return MAX_VALIDITY_SECONDS
    return min(period["amount"] * _UNIT_SECONDS[period.get("timeUnit", "MINUTES")], MAX_VALIDITY_SECONDS)


_TEXT_FIELDS = frozenset({"text", "transliteration", "language"})
_BINARY_FIELDS = frozenset({"hex", "dataCoding", "esmClass"})


def _broken_rules(message: Message) -> list[tuple[str, str]]:
    """What the types of one message cannot say."""
    broken: list[tuple[str, str]] = []
    content = message["content"]
    if not (
        content.keys() <= _TEXT_FIELDS if "text" in content else "hex" in content and content.keys() <= _BINARY_FIELDS
    ):
        broken.append(("content", "must be either text or binary content"))
    if (
        (options := message.get("options"))
        and (window := options.get("deliveryTimeWindow"))
        and not _is_long_enough(window)
    ):
        broken.append(("options.deliveryTimeWindow", "from and to must both be given, at least one hour apart"))
    if webhooks := message.get("webhooks"):
        if webhooks.get("contentType", "application/json") != "application/json":
            broken.append(("webhooks.contentType", "the sandbox pushes application/json only"))
        if (delivery := webhooks.get("delivery")) and "url" in delivery and not is_web_address(delivery["url"]):
            broken.append(("webhooks.delivery.url", "must be an http or https URL"))
    return broken


def _is_long_enough(window: DeliveryTimeWindow) -> bool:
    start, end = window.get("from"), window.get("to")
    if start is None or end is None:
        return start is end
    # Whether a window may cross midnight is not documented; it is let through.
    minutes = (end["hour"] * 60 + end["minute"] - start["hour"] * 60 - start["minute"]) % 1440
    return minutes >= 60


@lru_cache(maxsize=1024)
def is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            url.isascii()
            and url.isprintable()
            and " " not in url
            and parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
        )
    except ValueError:
        return False
