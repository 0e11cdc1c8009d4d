"""Consent, as it is said and read."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.fields import Body, Moment, Text
from worker.consent_export import Format
from worker.consent_import import MOST_LISTED
from worker.consent_lines import MOST_NOTE
from worker.words import ConsentSource, ConsentState


class ConsentIn(Body):
    credential: Annotated[Text, Field(description="By name or id.")]
    state: ConsentState
    note: Annotated[
        Text | None, Field(max_length=MOST_NOTE, description="Why, or how you know it: kept in the history.")
    ] = None
    at: Annotated[
        Moment | None,
        Field(description="When it was said, if not now: an opt-out that the person said since is then a 409."),
    ] = None


class ConsentOut(BaseModel):
    credential: Annotated[str, Field(description="Its name, also of a deleted one.")]
    credential_id: UUID
    state: Annotated[ConsentState, Field(description="What counts now.")]
    source: ConsentSource
    is_blocked: Annotated[
        bool, Field(description="Infobip reported the number as blocked: nothing is sent there, transactional neither.")
    ]
    changed_at: datetime
    pending_until: Annotated[
        datetime | None,
        Field(description="Of a `pending`: when, unless it is confirmed, what was said before counts again."),
    ]


class PersonOut(BaseModel):
    to: Annotated[str, Field(description="Digits without `+`.")]
    items: Annotated[list[ConsentOut], Field(description="One for each credential of which anything is known.")]


class ChangeOut(BaseModel):
    credential: Annotated[str, Field(description="Its name, also of a deleted one.")]
    state: ConsentState
    source: ConsentSource
    is_blocked: bool
    reason: Annotated[str | None, Field(description="The keyword, Infobip's code, or the caller's note.")]
    inbound_id: Annotated[UUID | None, Field(description="The inbound message that said it.")]
    message_id: Annotated[UUID | None, Field(description="The message whose report told it.")]
    said_at: Annotated[datetime | None, Field(description="By Infobip's clock, or as a caller gave it.")]
    changed_at: Annotated[datetime, Field(description="When it began to count here.")]


class ChangeList(BaseModel):
    items: list[ChangeOut]
    next_cursor: str | None


class ImportQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    credential: Annotated[Text | None, Field(description="By name or id, for the lines that name none.")] = None


class RejectedLine(BaseModel):
    line: Annotated[int, Field(description="Counted from 1; a CSV's header is line 1.")]
    to: Annotated[str | None, Field(description="As it was given.")]
    field: Annotated[str, Field(description="`line` where the line itself cannot be read.")]
    reason: str


class KeptRow(BaseModel):
    line: int
    to: str
    reason: str


class ImportOut(BaseModel):
    rows: int
    changed: int
    unchanged: Annotated[int, Field(description="They say what stands.")]
    kept: Annotated[int, Field(description="They would undo an opt-out that the person, or Infobip, said.")]
    rejected_count: int
    rejected: Annotated[list[RejectedLine], Field(description=f"The first {MOST_LISTED:,}.")]
    kept_rows: Annotated[list[KeptRow], Field(description=f"The first {MOST_LISTED:,}.")]


class ExportQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    credential: Annotated[Text | None, Field(description="By name or id; without it, of all credentials.")] = None
    format: Format = "ndjson"
