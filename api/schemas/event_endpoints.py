"""Event endpoints: where events are pushed to, and how that goes."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, model_validator

from api.fields import Body, CredentialName, Moment, Text
from worker.push_targets import check_url
from worker.settings import settings
from worker.words import EventType

KINDS = tuple(dict.fromkeys(word.kind for word in EventType))


def _types(words: list[str]) -> list[str]:
    for word in words:
        if word not in (*EventType, *KINDS):
            raise ValueError(f'"{word[:50]}" is no type of events: take a whole one, or one of {", ".join(KINDS)}')
    return list(dict.fromkeys(words))


Name = Annotated[CredentialName, Field(examples=["journeys"])]
Url = Annotated[
    str,
    AfterValidator(lambda text: check_url(text, settings().allowed_event_hosts)),
    Field(
        examples=["https://journeys.example.com/events"],
        description="https, to a public host; others need DELIVERY_ALLOWED_EVENT_HOSTS.",
    ),
]
Types = Annotated[
    list[Text],
    AfterValidator(_types),
    Field(
        examples=[["message", "inbound.opt_out"]],
        description="What it is told: whole types, or the part before the dot. Empty: everything.",
    ),
]
_After = Annotated[Text | None, Field(max_length=500, description="A cursor of the feed: what follows it is pushed.")]
_From = Annotated[Moment | None, Field(alias="from", description="What was told at this time or later is pushed.")]


class EventEndpointIn(Body):
    """Without `after` and `from` it is told what happens from now on."""

    name: Name
    url: Url
    types: Types = Field(default_factory=list)
    after: _After = None
    from_: _From = None

    @model_validator(mode="after")
    def _one_place(self) -> "EventEndpointIn":
        if self.after is not None and self.from_ is not None:
            raise ValueError("give after or from, not both: each says where it begins")
        return self


class EventEndpointChanges(Body):
    """Only what is given changes."""

    name: Name = ""
    url: Url = ""
    types: Types = Field(default_factory=list)


class PlaceIn(Body):
    """Where to go on: exactly one of the two."""

    after: _After = None
    from_: _From = None

    @model_validator(mode="after")
    def _one_place(self) -> "PlaceIn":
        if (self.after is None) == (self.from_ is None):
            raise ValueError("give after (a cursor) or from (a time), one of them")
        return self


class EndpointState(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"


class EventEndpointOut(BaseModel):
    id: UUID
    name: str
    url: str
    types: Annotated[list[str], Field(description="Empty: everything.")]
    state: EndpointState
    disabled_at: datetime | None
    disabled_reason: Annotated[str | None, Field(description="null: a person did it.")]
    failures: Annotated[int, Field(description="Pushes in a row that did not arrive.")]
    failing_since: datetime | None
    next_try_at: Annotated[
        datetime | None, Field(description="While it fails; null: as soon as there is something to tell.")
    ]
    cursor: Annotated[str, Field(description="It has been told everything up to here: a cursor of `GET /v1/events`.")]
    backlog: Annotated[int, Field(description="Events of any type behind that, counted up to 1,000.")]
    previous_secret_until: Annotated[
        datetime | None, Field(description="Until then the secret before the current one signs too.")
    ]
    created_at: datetime
    updated_at: datetime


class EventEndpointWithSecret(EventEndpointOut):
    secret: Annotated[str, Field(description="Checks the signatures. Shown only now: keep it.")]


class EventEndpointList(BaseModel):
    items: list[EventEndpointOut]
    next_cursor: str | None


class DeliveryState(StrEnum):
    OPEN = "open"  # pushed until it arrives
    DELIVERED = "delivered"
    DROPPED = "dropped"  # its endpoint was changed, disabled or set elsewhere


class TryOut(BaseModel):
    number: int
    at: datetime
    seconds: float
    status_code: Annotated[int | None, Field(description="null: no answer came.")]
    error: Annotated[str | None, Field(description="null: it arrived.")]


class DeliveryOut(BaseModel):
    id: Annotated[UUID, Field(description="The `webhook-id` of each try.")]
    state: DeliveryState
    event_count: int
    after: Annotated[str, Field(description="The cursor before its first event.")]
    through: Annotated[str, Field(description="The cursor of its last event, or of what was passed over behind that.")]
    created_at: datetime
    delivered_at: datetime | None
    dropped_at: datetime | None
    tries: list[TryOut]


class DeliveryList(BaseModel):
    items: list[DeliveryOut]
    next_cursor: str | None
