"""Surfaces: channel, message type, credential, sender, and what their messages inherit."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, model_validator

from api.fields import Body, CallbackData, Country, DltId, Period, Sender, SurfaceName, Text
from api.schemas.content import LanguageIn, OffReason, WindowIn
from worker.transliteration import Transliteration
from worker.words import Channel, DltPolicy, MessageType

_LATER = "is not available in this release"


def _only(*kept: Any) -> AfterValidator:
    """Values that change nothing yet. A promise that nobody keeps is refused, not stored."""

    def check(value: Any) -> Any:
        if value not in kept:
            alternatives = " or ".join("null" if item is None else repr(item).replace("'", '"') for item in kept)
            raise ValueError(f"{_LATER}: leave it out, or give {alternatives}")
        return value

    return AfterValidator(check)


class _Details(Body):
    description: Annotated[Text | None, Field(max_length=1_000)] = None
    principal_entity_id: DltId | None = None
    content_template_id: DltId | None = None
    callback_data: CallbackData | None = None
    validity_period: Annotated[Period | None, Field(description="ISO 8601, PT10S to PT48H.")] = None
    default_country: Annotated[Country | None, Field(description="Reads national numbers, those without `+`.")] = None
    countries: Annotated[list[str], _only([])] = Field(default_factory=list)
    require_opt_in: Annotated[bool, Field(description="Marketing goes to those alone who have opted in.")] = False
    dlt: Annotated[
        DltPolicy,
        Field(description="A text to +91 that fits no registered template is rejected, warned of, or not looked at."),
    ] = DltPolicy.OFF
    transliteration: Transliteration | None = None
    language: LanguageIn | None = None
    sending_window: Annotated[
        WindowIn | None, Field(description="When its messages may leave; `off`: not even India's hours hold.")
    ] = None
    window_off_reason: OffReason = None
    fallback_sender: Annotated[
        Sender | None, Field(description="Of an MMS surface: who sends the SMS in an MMS's place; else its sender.")
    ] = None


class SurfaceIn(_Details):
    name: SurfaceName
    channel: Channel
    message_type: MessageType
    credential: Annotated[Text, Field(description="Name or id.")]
    sender: Sender


class SurfaceChanges(_Details):
    """Only what is given changes."""

    name: SurfaceName = ""
    sender: Sender = ""

    @model_validator(mode="before")
    @classmethod
    def _lane_stays(cls, body: Any) -> Any:
        for name in ("channel", "message_type", "credential"):
            if isinstance(body, dict) and name in body:
                raise ValueError(f"{name} cannot be changed, since it says where waiting messages go: create a surface")
        return body


class SurfaceOut(BaseModel):
    id: UUID
    name: str
    description: str | None
    channel: Channel
    message_type: MessageType
    credential: Annotated[str, Field(description="Its name.")]
    credential_id: UUID
    sender: str
    principal_entity_id: str | None
    content_template_id: str | None
    callback_data: str | None
    validity_period: str | None
    default_country: str | None
    countries: list[str]
    require_opt_in: bool
    dlt: DltPolicy
    transliteration: str | None
    language: Any
    sending_window: Any
    window_off_reason: str | None
    fallback_sender: str | None
    created_at: datetime
    updated_at: datetime


class SurfaceList(BaseModel):
    items: list[SurfaceOut]
    next_cursor: str | None
