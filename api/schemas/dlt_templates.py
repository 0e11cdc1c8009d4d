"""DLT templates, as they are registered, asked about and imported."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from api.fields import Body, DltId, Sender, Text, Words
from worker.dlt.exports import MOST_NAME
from worker.dlt.templates import MOST_BYTES, Category
from worker.rows import text_fault
from worker.words import MessageType

MOST_LISTED = 1_000  # of the rows that are told one by one
_FIXED = ("content_template_id", "principal_entity_id")
_MOST_WORDS = 1_000  # headers, or addresses, of one template

Headers = Annotated[
    list[Sender],
    Field(max_length=_MOST_WORDS, description="Senders that it is linked to. None: any of the entity's."),
    AfterValidator(lambda headers: list(dict.fromkeys(headers))),
]
TemplateText = Annotated[
    Text, Field(description=f"As it is registered, with {{#var#}}; at most {MOST_BYTES:,} bytes in UTF-8.")
]
Name = Annotated[Words, Field(max_length=MOST_NAME)]
Language = Annotated[Words | None, Field(max_length=100, description="For people.")]
AllowList = Annotated[
    list[Words],
    Field(
        max_length=_MOST_WORDS,
        description="Hosts that its texts may link to, each perhaps with the beginning of a path. None: not checked.",
    ),
]


def _sendable(text: str) -> str:
    if (fault := text_fault(text)) is not None:
        raise ValueError(fault)
    return text


class TemplateIn(Body):
    content_template_id: DltId
    principal_entity_id: DltId
    name: Name
    category: Category
    text: TemplateText
    headers: Headers = Field(default_factory=list)
    language: Language = None
    url_allow_list: AllowList = Field(default_factory=list)


class TemplateChanges(Body):
    """Only what is given changes."""

    name: Name = ""
    category: Category = Category.TRANSACTIONAL
    text: TemplateText = ""
    headers: Headers = Field(default_factory=list)
    language: Language = None
    url_allow_list: AllowList = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _ids_stay(cls, body: Any) -> Any:
        for name in _FIXED:
            if isinstance(body, dict) and name in body:
                raise ValueError(f"{name} cannot be changed, since it says which template it is: create another one")
        return body


class TemplateOut(BaseModel):
    id: UUID
    content_template_id: str
    principal_entity_id: str
    name: str
    headers: list[str]
    category: Category
    text: str
    placeholders: Annotated[list[str], Field(description="Their words, in order.", examples=[["var", "numeric"]])]
    language: str | None
    url_allow_list: list[str]
    version: Annotated[int, Field(description="Grows with each change.")]
    created_at: datetime
    updated_at: datetime


class TemplateList(BaseModel):
    items: list[TemplateOut]
    next_cursor: str | None
    variable_length: Annotated[int, Field(description="Most characters of one placeholder's value, by our settings.")]


class MatchIn(Body):
    """A surface; or an entity, with a sender and a message type where these are to count."""

    text: Annotated[Text, AfterValidator(_sendable)]
    surface: Annotated[Text | None, Field(description="Through which it would go, by name or id.")] = None
    principal_entity_id: DltId | None = None
    sender: Sender | None = None
    message_type: MessageType | None = None
    content_template_id: Annotated[DltId | None, Field(description="Look at this one alone.")] = None

    @model_validator(mode="after")
    def _one_way(self) -> "MatchIn":
        told = [name for name in ("principal_entity_id", "sender", "message_type") if getattr(self, name) is not None]
        if self.surface is not None and told:
            raise ValueError(f"the surface says the {' and the '.join(told)}: leave out one or the other")
        if self.surface is None and self.principal_entity_id is None:
            raise ValueError("give a surface or a principal_entity_id: it says whose templates are meant")
        return self


class TemplateNamed(BaseModel):
    content_template_id: str
    principal_entity_id: str
    name: str
    headers: list[str]
    category: Category
    text: str


class FaultOut(BaseModel):
    id: Annotated[int, Field(examples=[4129])]
    name: Annotated[str, Field(description="Infobip's.")]


class MatchOut(BaseModel):
    fits: bool
    template: Annotated[TemplateNamed | None, Field(description="That it fits, or was held against.")]
    values: Annotated[list[str], Field(description="Of the template's placeholders, in order, where it fits.")]
    position: Annotated[int | None, Field(description="Character where the text departs, from 0.")]
    expected: Annotated[str | None, Field(description="What the template has there.")]
    found: Annotated[str | None, Field(description="What the text has there; empty where it ends.")]
    fault: Annotated[FaultOut | None, Field(description="What operators' scrubbing would answer.")]
    sentence: Annotated[str | None, Field(description="Why it does not fit, and what to do.")]
    nearest: Annotated[TemplateNamed | None, Field(description="Of a text that fits none: where it departs from.")]


class ImportQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    principal_entity_id: Annotated[DltId | None, Field(description="Of the rows that name none.")] = None
    map: Annotated[
        list[Text],
        Field(max_length=20, description="`field=Column name`, where a column is not known; nothing after `=`: none."),
    ] = Field(default_factory=list)
    dry_run: Annotated[bool, Field(description="Say what would come of it, and store nothing.")] = False
    on_invalid: Annotated[
        Literal["reject", "skip"], Field(description="What one bad row means: nothing is stored, or it is left out.")
    ] = "reject"


class RejectedTemplate(BaseModel):
    line: Annotated[int, Field(description="On which the row begins, from 1; the header is line 1.")]
    field: Annotated[str, Field(description="`line` where the line itself cannot be read.")]
    reason: str


class LeftOutTemplate(BaseModel):
    line: int
    reason: str


class ImportOut(BaseModel):
    dry_run: Annotated[bool, Field(description="Nothing was stored.")]
    rows: int
    created: int
    changed: int
    unchanged: Annotated[int, Field(description="They are here as they are in the file.")]
    left_out_count: Annotated[int, Field(description="They are not approved on the portal.")]
    left_out: Annotated[list[LeftOutTemplate], Field(description=f"The first {MOST_LISTED:,}.")]
    rejected_count: int
    rejected: Annotated[list[RejectedTemplate], Field(description=f"The first {MOST_LISTED:,}.")]
