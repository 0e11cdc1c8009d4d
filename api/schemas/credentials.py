"""Credentials: an Infobip account in the fields of Adobe Journey Optimizer's form."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from api.fields import (
    ApiKey,
    Body,
    CallbackData,
    CredentialName,
    DltId,
    InboundNumber,
    KeywordList,
    ReplyText,
)
from api.provider_hosts import check_base_url
from worker.settings import settings
from worker.words import Channel, MessageType, RateUnit

BaseUrl = Annotated[
    str,
    AfterValidator(lambda text: check_base_url(text, settings().allowed_provider_hosts)),
    Field(examples=["https://xxxxx.api.infobip.com"], description="A bare host gets https."),
]
ValidityHours = Annotated[int, Field(ge=1, le=48)]
Rate = Annotated[int, Field(ge=1, le=100_000, description="Most messages a second; null: no limit of ours.")]


class _Details(Body):
    """What may be left out, and changed to null where it is nullable."""

    opt_in_keywords: KeywordList = Field(default_factory=list)
    opt_in_message: ReplyText = None
    opt_out_keywords: KeywordList = Field(default_factory=list)
    opt_out_message: ReplyText = None
    help_keywords: KeywordList = Field(default_factory=list)
    help_message: ReplyText = None
    double_opt_in_keywords: KeywordList = Field(default_factory=list)
    double_opt_in_message: ReplyText = None
    principal_entity_id: Annotated[DltId | None, Field(description="India DLT, unless a send says otherwise.")] = None
    content_template_id: DltId | None = None
    validity_period_hours: ValidityHours = 48
    callback_data: CallbackData | None = None
    inbound_number: InboundNumber | None = None
    custom_keywords: KeywordList = Field(default_factory=list)
    default_reply_message: ReplyText = None
    fuzzy_opt_out_message: ReplyText = None
    inbound_pull: bool = False
    messages_per_second: Rate | None = None
    rate_unit: Annotated[
        RateUnit, Field(description="What messages_per_second counts: messages, or the parts that they are billed as.")
    ] = RateUnit.MESSAGES


class CredentialIn(_Details):
    name: CredentialName
    base_url: BaseUrl
    api_key: Annotated[ApiKey, Field(description="Encrypted at rest and never shown again.")]


class CredentialChanges(_Details):
    """Only what is given changes. A new key or address ends the holds of the credential's lanes."""

    name: CredentialName = ""
    base_url: BaseUrl = ""
    api_key: ApiKey = ""


class LaneOut(BaseModel):
    channel: Channel
    message_type: MessageType
    held_until: datetime | None
    reason: Annotated[str | None, Field(description="Why the lane is held; null: it is open.")]


class WebhookUrls(BaseModel):
    reports: Annotated[str, Field(description="Goes out with each message: nothing has to be set at Infobip for it.")]
    inbound: Annotated[
        str, Field(description="To be set at Infobip as the number's forward URL for MO messages, with JSON as format.")
    ]


class CredentialOut(BaseModel):
    id: UUID
    name: str
    base_url: str
    api_key_hint: Annotated[str, Field(description="The key's last four characters.")]
    opt_in_keywords: list[str]
    opt_in_message: str | None
    opt_out_keywords: list[str]
    opt_out_message: str | None
    help_keywords: list[str]
    help_message: str | None
    double_opt_in_keywords: list[str]
    double_opt_in_message: str | None
    principal_entity_id: str | None
    content_template_id: str | None
    validity_period_hours: int
    callback_data: str | None
    inbound_number: str | None
    custom_keywords: list[str]
    default_reply_message: str | None
    fuzzy_opt_out_message: str | None
    inbound_pull: bool
    messages_per_second: int | None
    rate_unit: RateUnit
    lanes: list[LaneOut]
    webhook_urls: Annotated[
        WebhookUrls | None,
        Field(description="Where Infobip pushes; shown to `admin` only, else null."),
    ]
    created_at: datetime
    updated_at: datetime


class CredentialList(BaseModel):
    items: list[CredentialOut]
    next_cursor: str | None
