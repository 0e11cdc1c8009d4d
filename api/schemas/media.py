"""Media: files uploaded to Infobip, for MMS to refer to."""

import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.fields import Words

_CONTENT_ID = re.compile(r"[A-Za-z0-9.]{1,20}")


def _content_id(text: str) -> str:
    if _CONTENT_ID.fullmatch(text) is None:
        raise ValueError("must be 1 to 20 letters, digits and dots: carriers refuse other characters")
    return text


class MediaQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    credential: Annotated[
        Words, Field(description="By name or id: its account gets the file, and its surfaces may send it.")
    ]
    name: Annotated[Words | None, Field(max_length=255, description="For people, as the file's own.")] = None
    content_id: Annotated[
        str | None,
        AfterValidator(_content_id),
        Field(description="What SMIL calls the file: 1 to 20 letters, digits and dots. One is made if none is given."),
    ] = None


class MediaOut(BaseModel):
    id: Annotated[UUID, Field(description="What a part of an MMS names as `media`.")]
    credential: Annotated[str, Field(description="Its name, also of a deleted one.")]
    name: str | None
    content_type: str
    bytes: int
    expires_at: Annotated[datetime, Field(description="Until then Infobip keeps the file.")]
    warnings: list[str]


class MediaList(BaseModel):
    items: list[MediaOut]
    next_cursor: str | None
