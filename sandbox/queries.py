"""Query strings of Infobip's calls, as strict as the bodies: unknown names and bad values are violations."""

import base64
import binascii
from typing import Annotated, ClassVar, Self, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from sandbox.clock import parse_ms
from sandbox.codes import GENERAL_STATUSES
from sandbox.wire import Refused, violations_of

MAX_LIST_LENGTH = 2048  # Characters of one list of ids, all together.


def _split_list(values: object) -> object:
    """Repeated parameters, comma-separated ones, or both."""
    if not isinstance(values, list):
        return values
    if len(",".join(values)) > MAX_LIST_LENGTH:
        raise ValueError(f"must have at most {MAX_LIST_LENGTH} characters in all")
    return [part for value in values for part in value.split(",") if part]


def _parse_cursor(text: object) -> int | None:
    if text == "":
        return None
    try:
        return int(
            base64.urlsafe_b64decode(
                str(text),
            ).decode("ascii")
        )
    except (ValueError, binascii.Error) as error:
        raise ValueError("is not a cursor of ours") from error


def format_cursor(sequence: int) -> str:
    return base64.urlsafe_b64encode(str(sequence).encode("ascii")).decode("ascii")


def _check_general_status(text: object) -> object:
    if text not in GENERAL_STATUSES:
        raise ValueError(f"must be one of {', '.join(GENERAL_STATUSES)}")
    return text


Ids = Annotated[list[str], BeforeValidator(_split_list)]
Limit = Annotated[int, Field(ge=1, le=1000)]
InstantMs = Annotated[int, BeforeValidator(parse_ms)]
Cursor = Annotated[int | None, BeforeValidator(_parse_cursor)]
GeneralStatus = Annotated[str, BeforeValidator(_check_general_status)]


class Query(BaseModel):
    """`lists` names the parameters that may be repeated; any other is given at most once."""

    lists: ClassVar[frozenset[str]] = frozenset()
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, frozen=True)


class LogsQuery(Query):
    """Instants are milliseconds since 1970; `cursor` is the sequence number that the last page ended with."""

    lists = frozenset({"bulkId", "messageId", "campaignReferenceId"})
    mcc: str | None = None
    mnc: str | None = None
    sender: str | None = None
    destination: str | None = None
    bulk_id: Ids | None = None
    message_id: Ids | None = None
    general_status: GeneralStatus | None = None
    sent_since: InstantMs | None = None
    sent_until: InstantMs | None = None
    limit: Limit = 50
    entity_id: str | None = None
    application_id: str | None = None
    campaign_reference_id: Ids | None = None
    use_cursor: bool = False
    cursor: Cursor = None

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.mnc is not None and self.mcc is None:
            raise ValueError("mnc needs mcc")
        if self.cursor is not None and not self.use_cursor:
            raise ValueError("cursor needs useCursor=true")
        return self


class ReportsQuery(Query):
    bulk_id: str | None = None
    message_id: str | None = None
    limit: Limit = 50
    entity_id: str | None = None
    application_id: str | None = None
    campaign_reference_id: str | None = None


class MmsInboxQuery(Query):
    """Infobip gives no limit for MMS: the one of SMS is taken."""

    limit: Limit = 50
    entity_id: str | None = None
    application_id: str | None = None


class InboxQuery(MmsInboxQuery):
    campaign_reference_id: str | None = None


Q = TypeVar("Q", bound=Query)


def parse_query(shape: type[Q], query: bytes) -> Q:
    """Errors: Refused, with every violation found."""
    values: dict[str, str | list[str]] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name in shape.lists:
            values.setdefault(name, []).append(value)  # type: ignore[union-attr]  # Lists are only made here.
        elif name in values:
            raise Refused([(name, "must be given once")])
        else:
            values[name] = value
    try:
        return shape.model_validate(values)
    except ValidationError as error:
        raise Refused(violations_of(error)) from error
