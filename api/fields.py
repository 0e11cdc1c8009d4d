"""The types of request fields: what each may hold, and the sentence a caller gets when it does not."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar
from uuid import UUID

import orjson
import phonenumbers
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from worker.dlt.ids import check_dlt_id
from worker.durations import parse_duration
from worker.recipients import BadRecipient, normalise
from worker.rows import MOST_TEXT_BYTES, text_fault
from worker.senders import check_sender
from worker.validity import check_validity

_MOST_JSON_BYTES = 64 * 1024
_BIGGEST_INT = 2**63 - 1
_SHORTEST_NUMBER = 7  # digits; fewer are a short code
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:?\d\d)")

T = TypeVar("T")


class Body(BaseModel):
    """A request body: nothing in it is guessed, converted or ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character, which cannot be stored: remove it")
    return text


def _has_content(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


def _variable(value: Any) -> str:
    if isinstance(value, str):
        return _no_nul(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError("must be text (in quotes) or a whole number")


def _of_pattern(pattern: str, sentence: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(sentence)
        return text

    return check


def _not_an_id(text: str) -> str:
    try:
        UUID(text)
    except ValueError:
        return text
    raise ValueError("must not look like an ID: names and IDs are told apart by their form")


def _keywords(value: Any) -> Any:
    if isinstance(value, str):
        value = value.split(",")
    if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        raise ValueError("must be a list of words, or one text with commas between them")
    return list(dict.fromkeys(word.strip() for word in value if word.strip()))


def _reply(text: str | None) -> str | None:
    if text is None or not text.strip():
        return None
    fault = text_fault(text)
    if fault is not None:
        raise ValueError(fault)
    return text


def _period(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be an ISO 8601 duration in quotes, such as PT30M")
    return check_validity(parse_duration(value))


def _moment(value: Any) -> Any:
    if not isinstance(value, str) or _DATE_TIME.fullmatch(value) is None:
        raise ValueError("must be an ISO 8601 time with its offset, such as 2027-01-31T09:00:00Z or ...+05:30")
    try:
        return datetime.fromisoformat(value.upper())
    except ValueError as error:
        raise ValueError(f"is not a time: {error}") from error


def _country(value: str) -> str:
    if value.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("must be a country code of two letters (ISO 3166), such as IN")
    return value.upper()


def _free_json(value: Any) -> Any:
    _check_json(value)
    try:
        size = len(orjson.dumps(value))
    except orjson.JSONEncodeError as error:
        raise ValueError("cannot be stored as JSON") from error
    if size > _MOST_JSON_BYTES:
        raise ValueError(f"has {size:,} bytes as JSON: at most {_MOST_JSON_BYTES:,} fit")
    return value


def _check_json(value: Any) -> None:
    match value:
        case str():
            _no_nul(value)
        case bool() | None:
            pass
        case int() if abs(value) > _BIGGEST_INT:
            raise ValueError("holds a number beyond 64 bits: put it in quotes")
        case float() if value - value != 0:
            raise ValueError("holds a number that JSON does not have")
        case dict():
            for key, item in value.items():
                _no_nul(key)
                _check_json(item)
        case list():
            for item in value:
                _check_json(item)


def _number_of_ours(text: str) -> str:
    """Infobip names our numbers with their country code: by any other form, what comes would pass for another's."""
    if "+" in text or (text.isdigit() and len(text) >= _SHORTEST_NUMBER):
        try:
            normalise(text, default_country=None)
        except BadRecipient as error:
            raise ValueError(
                "cannot be read as a phone number: write it with its country code, such as 919876543210"
            ) from error
    return text


Text = Annotated[str, AfterValidator(_no_nul)]
Words = Annotated[Text, AfterValidator(_has_content)]
ReplyText = Annotated[
    Text | None,
    AfterValidator(_reply),
    Field(description=f"At most {MOST_TEXT_BYTES:,} bytes in UTF-8. Empty or null: not set."),
]
Variable = Annotated[  # not a union of the two, of which pydantic would tell each by itself
    str, PlainValidator(_variable), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]})
]
CallbackData = Annotated[Text, Field(max_length=4_000)]
DltId = Annotated[str, AfterValidator(check_dlt_id), WithJsonSchema({"type": "string", "pattern": r"^\d{12,25}$"})]
KeywordList = Annotated[
    list[Annotated[Text, Field(max_length=100)]],
    BeforeValidator(_keywords),
    Field(max_length=100),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "string"}},
                {"type": "string", "description": "Comma-separated."},
            ]
        }
    ),
]
Period = Annotated[
    timedelta,
    BeforeValidator(_period),
    WithJsonSchema({"type": "string", "format": "duration", "examples": ["PT6H"]}),
]
Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Country = Annotated[str, AfterValidator(_country), Field(examples=["IN"])]
FreeJson = Annotated[Any, AfterValidator(_free_json)]
CredentialName = Annotated[
    str,
    AfterValidator(
        _of_pattern(
            r"[^\W_][\w .@()+&-]{0,99}",
            "must begin with a letter or digit and hold at most 100 letters, digits, spaces and _ . - @ ( ) + &",
        )
    ),
    AfterValidator(_not_an_id),
]
SurfaceName = Annotated[
    str,
    AfterValidator(
        _of_pattern(
            r"[A-Za-z][A-Za-z0-9_.-]{0,99}",
            "must begin with a letter and hold at most 100 letters, digits, _ . and -",
        )
    ),
    AfterValidator(_not_an_id),
]
Sender = Annotated[str, AfterValidator(check_sender)]
ApiKey = Annotated[
    str,
    AfterValidator(
        _of_pattern(r"[\x21-\x7e]{1,500}", "must be printable ASCII without spaces, at most 500 characters")
    ),
]
InboundNumber = Annotated[
    str,
    AfterValidator(_of_pattern(r"[A-Za-z0-9+]{1,20}", "must be the number or short code that handsets write to")),
    AfterValidator(_number_of_ours),
]
