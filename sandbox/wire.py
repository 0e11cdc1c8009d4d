"""What the request bodies of both channels share, as strict as Infobip's schema lets us be.

Field names are Infobip's. A field may be absent but not null, no field may be added, and types are not coerced. A body
that breaks a rule is `Refused` with every violation found. The bodies are typed dicts, not models: a request of 500
messages holds some 4,000 objects, and pydantic reads them four times as fast this way.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Literal, NotRequired, TypeVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
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

MAX_VALIDITY_SECONDS = 48 * 3600  # Infobip lowers a longer validity to this without a word.
_UNIT_SECONDS = {"SECONDS": 1, "MINUTES": 60, "HOURS": 3600}
_MAX_SCHEDULE_AHEAD_MS = int(timedelta(days=180).total_seconds() * 1000)

# Set on whole bodies; the dicts inside inherit it.
STRICT = ConfigDict(extra="forbid", strict=True)

NO_SUCH_FIELD = "Infobip's API names no such field"

Violation = tuple[str, str]
Violations = list[Violation]
T = TypeVar("T")


class Destination(TypedDict):
    to: Text64
    messageId: NotRequired[Text200]


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


class MessageOptions(TypedDict):
    platform: NotRequired[Platform]
    validityPeriod: NotRequired[ValidityPeriod]
    deliveryTimeWindow: NotRequired[DeliveryTimeWindow]
    campaignReferenceId: NotRequired[Text255]


class DeliveryReporting(TypedDict):
    url: NotRequired[str]
    intermediateReport: NotRequired[bool]
    notify: NotRequired[bool]


class Webhooks(TypedDict):
    delivery: NotRequired[DeliveryReporting]
    contentType: NotRequired[str]
    callbackData: NotRequired[Text4000]


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


class RequestOptions(TypedDict):
    schedule: NotRequired[Schedule]
    tracking: NotRequired[UrlTracking]


class Refused(Exception):
    """The request breaks Infobip's schema; `violations` are pairs of property path and sentence."""

    def __init__(self, violations: Violations) -> None:
        super().__init__(violations)
        self.violations = violations


def violations_of(error: ValidationError) -> Violations:
    """Pairs of path, written like `messages[0].destinations[1].to`, and sentence."""
    found = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
        sentence = NO_SUCH_FIELD if detail["type"] == "extra_forbidden" else detail["msg"]
        found.append((path or "body", sentence))
    return found


def read_body(shape: TypeAdapter[T], body: bytes) -> T:
    try:
        return shape.validate_json(body)
    except ValidationError as error:
        raise Refused(violations_of(error)) from error


def check_rules(
    messages: Sequence[T], broken_rules: Callable[[T], Iterable[Violation]], options: RequestOptions
) -> None:
    """What the types of a request cannot say: `broken_rules` of each message, and when it is to be sent."""
    violations = [
        (f"messages[{index}].{path}", sentence)
        for index, message in enumerate(messages)
        for path, sentence in broken_rules(message)
    ]
    if send_at_of(options) > now_ms() + _MAX_SCHEDULE_AHEAD_MS:
        violations.append(("options.schedule.sendAt", "must be at most 180 days ahead"))
    if violations:
        raise Refused(violations)


def broken_settings(options: MessageOptions | None, webhooks: Webhooks | None) -> Violations:
    """What the types of one message's options and webhooks cannot say."""
    broken: Violations = []
    if options and (window := options.get("deliveryTimeWindow")) and not _is_long_enough(window):
        broken.append(("options.deliveryTimeWindow", "from and to must both be given, at least one hour apart"))
    if webhooks:
        if webhooks.get("contentType", "application/json") != "application/json":
            broken.append(("webhooks.contentType", "the sandbox pushes application/json only"))
        if (delivery := webhooks.get("delivery")) and "url" in delivery and not is_web_address(delivery["url"]):
            broken.append(("webhooks.delivery.url", "must be an http or https URL"))
    return broken


def send_at_of(options: RequestOptions) -> int:
    """When the request asks to be sent, in milliseconds since 1970; 0 for at once."""
    return options.get("schedule", {}).get("sendAt", 0)


def bulk_id_of(options: RequestOptions) -> str:
    """The bulk ID asked for; empty where one is to be made up."""
    return options.get("schedule", {}).get("bulkId", "")


def seconds_of(period: ValidityPeriod | None) -> int:
    """The effective validity: 48 h by default and at most, minutes where no unit is given."""
    if period is None:
        return MAX_VALIDITY_SECONDS
    return min(period["amount"] * _UNIT_SECONDS[period.get("timeUnit", "MINUTES")], MAX_VALIDITY_SECONDS)


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
