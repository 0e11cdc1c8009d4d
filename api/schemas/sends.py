"""Sends: single messages and batches, and what is read of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, SkipValidation

from api.fields import Body, CallbackData, DltId, FreeJson, Moment, Period, Text, Variable
from api.schemas.content import LanguageIn, MmsIn, OffReason, WindowIn
from worker.enqueue_batch import MOST_ROWS
from worker.pace import MOST_PER_SECOND
from worker.states import State
from worker.transliteration import Transliteration

SurfaceRef = Annotated[Text, Field(description="A surface, by name or id.")]
BatchState = Literal["scheduled", "running", "paused", "cancelled", "done"]
Variables = dict[Text, Variable]


class _Shared(Body):
    callback_data: Annotated[CallbackData | None, Field(description="Returned unchanged, never parsed.")] = None
    content_template_id: Annotated[DltId | None, Field(description="India DLT, for this send.")] = None
    principal_entity_id: Annotated[DltId | None, Field(description="India DLT, for this send.")] = None


Template = Annotated[
    Text,
    Field(description="A DLT template, by its content template ID or name, that makes the text."),
]
TemplateVariables = Annotated[
    list[Variable] | None, Field(max_length=100, description="The values of the template's placeholders, in order.")
]


class _Scheduled(_Shared):
    send_at: Annotated[Moment | None, Field(description="At most 180 days ahead; the past means now.")] = None
    validity_period: Annotated[Period | None, Field(description="ISO 8601, PT10S to PT48H, from send_at on.")] = None


class MessageIn(_Scheduled):
    surface: SurfaceRef
    to: Annotated[Text, Field(examples=["+919876543210"])]
    text: Annotated[Text | None, Field(description="Of an SMS; or a template.")] = None
    template: Template | None = None
    template_variables: TemplateVariables = None
    mms: Annotated[MmsIn | None, Field(description="Of an MMS: what it holds.")] = None


class BatchRow(_Shared):
    to: Annotated[Text, Field(examples=["+919876543210"])]
    text: Annotated[Text | None, Field(description="Instead of the batch's.")] = None
    variables: Annotated[Variables | None, Field(description="Fill `{{name}}` in the text.")] = None
    template: Template | None = None
    template_variables: TemplateVariables = None


class BatchHead(_Scheduled):
    surface: SurfaceRef
    text: Annotated[Text | None, Field(description="May hold `{{name}}`, filled from each row's variables.")] = None
    template: Template | None = None
    template_variables: TemplateVariables = None
    mms: Annotated[MmsIn | None, Field(description="Of MMS: its texts may hold `{{name}}` too.")] = None
    transliteration: Annotated[Transliteration | None, Field(description="Instead of the surface's.")] = None
    language: Annotated[LanguageIn | None, Field(description="Instead of the surface's.")] = None
    sending_window: Annotated[WindowIn | None, Field(description="Instead of the surface's.")] = None
    window_off_reason: OffReason = None
    journey: Annotated[FreeJson, Field(description="Free JSON, returned unchanged.")] = None
    on_invalid: Annotated[
        Literal["reject", "skip"], Field(description="What one bad row means: nothing is stored, or it is left out.")
    ] = "reject"
    deduplicate: Annotated[
        bool, Field(description="The first good row of each recipient counts; the others are dropped.")
    ] = False
    messages_per_second: Annotated[
        int | None,
        Field(ge=1, le=MOST_PER_SECOND, description="So many leave at most, one after the other, from send_at on."),
    ] = None


class BatchIn(BatchHead):
    # Checked row by row afterwards, so that one bad row can be left out.
    messages: Annotated[
        list[SkipValidation[BatchRow]],
        Field(description=f"1 to {MOST_ROWS:,} rows.", json_schema_extra={"minItems": 1, "maxItems": MOST_ROWS}),
    ]


class MessageAccepted(BaseModel):
    id: UUID
    state: State
    warning: Annotated[str | None, Field(description="What is doubtful about it.")] = None


class RejectedOut(BaseModel):
    index: Annotated[int, Field(description="Rows of the request, from 0.")]
    to: str | None
    field: str
    reason: str


class BatchAccepted(BaseModel):
    id: UUID
    state: Annotated[
        Literal["scheduled", "running", "done"], Field(description="done: consent forbids every message of it.")
    ]
    total: Annotated[int, Field(description="accepted + suppressed")]
    accepted: int
    suppressed: int
    rejected: Annotated[Sequence[RejectedOut], Field(description="The first 1,000 rows that were left out.")]
    rejected_count: Annotated[int, Field(description="All of them, neither stored nor counted as messages.")]
    duplicates: Annotated[int, Field(description="Rows dropped by `deduplicate`: neither stored nor rejected.")]
    parts: Annotated[int, Field(description="That its SMS are billed as, suppressed ones included.")]
    warned_count: Annotated[int, Field(description="Messages that have a warning: see them one by one.")]


class RejectedList(BaseModel):
    items: list[RejectedOut]
    next_cursor: str | None


class ReasonCount(BaseModel):
    reason: str
    count: int


class BatchOut(BaseModel):
    id: UUID
    surface: str
    state: BatchState
    total: Annotated[int, Field(description="What was stored, and the SMS that went in the place of MMS.")]
    counts: dict[str, int]
    reasons: list[ReasonCount]
    pause_reason: Annotated[str | None, Field(description="Why it was paused; null where a person did.")]
    callback_data: str | None
    journey: Any
    messages_per_second: int | None
    rejected_count: Annotated[int, Field(description="Rows of its request that were left out.")]
    replay_of: UUID | None
    replays: list[UUID]
    created_at: datetime
    send_at: datetime | None
    expires_at: datetime


class BatchList(BaseModel):
    items: list[BatchOut]
    next_cursor: str | None


class MessageSegments(BaseModel):
    """Characters are septets of GSM-7, of which some take two, or UTF-16 units."""

    encoding: str
    parts: int
    left: Annotated[int, Field(description="Characters that the last part still holds.")]
    forcing: Annotated[str | None, Field(description="The first character that makes it Unicode.")]


class MessageItem(BaseModel):
    id: UUID
    batch_id: UUID | None
    to: str
    state: State
    reason: Annotated[str | None, Field(description="Where it stands and what happens next, in a sentence.")]
    attempts: int
    next_attempt_at: datetime | None
    expires_at: datetime
    callback_data: str | None
    content_template_id: str | None
    principal_entity_id: str | None
    segments: Annotated[MessageSegments | None, Field(description="What an SMS is billed as.")]
    warning: Annotated[str | None, Field(description="What was doubtful about it when it was accepted.")]
    origin: str
    created_at: datetime


class MessageOut(MessageItem):
    inbound_id: Annotated[UUID | None, Field(description="Of a reply: the inbound message that it answers.")]
    replay_of: Annotated[UUID | None, Field(description="Of a replay: the message that it sends again.")]
    replayed_by: Annotated[UUID | None, Field(description="The message that sends this one again.")]
    fallback_of: Annotated[UUID | None, Field(description="Of a fallback: the MMS in whose place it goes.")]
    fallback: Annotated[UUID | None, Field(description="Of an MMS: the SMS that goes in its place.")]
    timeline: Annotated[
        list[dict[str, Any]], Field(description="What happened, oldest first; each has `at` and `kind`.")
    ]


class MessageList(BaseModel):
    items: list[MessageItem]
    next_cursor: str | None
