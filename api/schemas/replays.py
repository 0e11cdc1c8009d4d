"""Replays: what of a batch is to go out again, and what came of that."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.fields import Body, DltId, Moment, Period, Text
from api.schemas.sends import BatchOut, ReasonCount
from worker.states import State

ReplayedState = Literal["failed", "expired", "suppressed", "cancelled", "unconfirmed"]
LeftOut = Annotated[
    Sequence[ReasonCount],
    Field(
        description=(
            "How many, by reason: delivered_late, already_replayed, unconfirmed, opted_out, not_opted_in, "
            "number_blocked."
        )
    ),
]


class ReplayIn(Body):
    states: Annotated[
        list[ReplayedState] | None,
        Field(min_length=1, description="How they ended. Unless given, failed and expired."),
    ] = None
    error_names: Annotated[
        list[Text] | None,
        Field(
            min_length=1, max_length=1_000, description="Only with one of these reasons.", examples=[["EC_DLT_ERROR"]]
        ),
    ] = None
    since: Annotated[Moment | None, Field(alias="from", description="Only what ended at this time or later.")] = None
    until: Annotated[Moment | None, Field(description="Only what ended before.")] = None
    include_unconfirmed: Annotated[
        bool, Field(description="Also those that nobody knows the end of: their recipients may have them.")
    ] = False
    validity_period: Annotated[
        Period | None, Field(description="ISO 8601, PT10S to PT48H, from now on. Unless given, the surface's.")
    ] = None
    content_template_id: Annotated[DltId | None, Field(description="India DLT, instead of all former ones.")] = None
    principal_entity_id: Annotated[DltId | None, Field(description="India DLT, instead of all former ones.")] = None
    dry_run: Annotated[bool, Field(description="Say what would be replayed, and replay nothing.")] = False


class ReplayGroup(BaseModel):
    state: State
    reason: str | None
    sentence: str | None
    count: int


class Cost(BaseModel):
    amount: Annotated[float, Field(description="In major units of `currency`.")]
    currency: str


class ReplayPreview(BaseModel):
    """With `dry_run`."""

    would_replay: int
    groups: Annotated[Sequence[ReplayGroup], Field(description="Those that would go, by how they ended.")]
    left_out: LeftOut
    segments: int
    cost: Annotated[Cost | None, Field(description="By the prices of newest reports; null where there are none.")]


class ReplayOut(BatchOut):
    """The batch that replays."""

    accepted: int
    left_out: LeftOut


class NothingReplayed(BaseModel):
    """Nothing was left, and nothing was replayed before."""

    id: None = None
    accepted: Literal[0] = 0
    left_out: LeftOut
