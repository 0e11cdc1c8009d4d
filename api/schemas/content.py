"""What is sent and when: MMS, national languages, sending windows, as requests give them."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from api.fields import Body, Text, Words
from worker.alphabets import Code, Language
from worker.hours import DAYS, TIME, parse_hours
from worker.media_rules import TYPES
from worker.mms import CONTENT_ID, MOST_IN_ALL, MOST_PARTS, Mms, Part
from worker.windows import OFF

OffReason = Annotated[Words | None, Field(max_length=1_000, description="Why sending_window is `off`.")]


class PartIn(Body):
    """Exactly one of text, url, smil and media."""

    text: Text | None = None
    url: Annotated[Text | None, Field(description="https, public, and answering: it is looked at once.")] = None
    smil: Text | None = None
    media: Annotated[UUID | None, Field(strict=False, description="A file that was uploaded: its id.")] = None
    content_id: Annotated[
        Text | None,
        Field(
            description="1 to 20 letters, digits and dots, unique in the MMS.",
            json_schema_extra={"pattern": f"^{CONTENT_ID}$"},
        ),
    ] = None
    content_type: Annotated[
        Text | None,
        Field(
            description="Of what the url leads to, as its server says.",
            examples=["image/jpeg"],
            json_schema_extra={"enum": [*TYPES, None]},
        ),
    ] = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> "PartIn":
        given = [name for name in ("text", "url", "smil", "media") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"must hold exactly one of text, url, smil and media, and holds {len(given)}")
        if self.content_type is not None and self.url is None:
            raise ValueError("content_type belongs to a url: leave it out")
        return self

    def part(self) -> Part:
        if self.text is not None:
            return Part("text", self.text, self.content_id)
        if self.url is not None:
            return Part("url", self.url, self.content_id, self.content_type)
        if self.smil is not None:
            return Part("smil", self.smil, self.content_id)
        return Part("media", str(self.media), self.content_id)


class MmsIn(Body):
    title: Annotated[Text | None, Field(description="At most 66 characters.")] = None
    parts: Annotated[
        list[PartIn],
        Field(
            description=f"1 to {MOST_PARTS}, in their order; all they hold, {MOST_IN_ALL:,} characters at most.",
            json_schema_extra={"minItems": 1, "maxItems": MOST_PARTS},
        ),
    ]
    fallback_text: Annotated[
        Text | None, Field(description="Goes as an SMS to Indian numbers, and where a network takes no MMS.")
    ] = None

    def mms(self) -> Mms:
        return Mms(title=self.title, parts=tuple(part.part() for part in self.parts), fallback_text=self.fallback_text)


_CODES = get_args(Code)


class _LanguageObject(Body):
    code: Code
    single_shift: bool = False
    locking_shift: bool = False


def _language(value: Any) -> Any:
    given = {"code": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping) or given.get("code") not in _CODES:
        raise ValueError(f'must be one of {", ".join(_CODES)}, or {{"code": one of them}}')
    read = _LanguageObject.model_validate(given)
    return Language(read.code, read.single_shift, read.locking_shift)


def _window(value: Any) -> Any:
    return value if value == OFF else parse_hours(value)


_WINDOW_SCHEMA = {
    "anyOf": [
        {"type": "string", "const": OFF},
        {
            "type": "object",
            "properties": {
                "days": {"type": "array", "items": {"type": "string", "enum": list(DAYS)}},
                "from": {"type": "string", "pattern": f"^{TIME}$", "examples": ["09:00"]},
                "to": {"type": "string", "pattern": f"^({TIME}|24:00)$", "examples": ["21:00"]},
                "time_zone": {"type": "string", "examples": ["Asia/Kolkata", "recipient"]},
            },
            "required": ["from", "to", "time_zone"],
            "additionalProperties": False,
        },
    ]
}
LanguageIn = Annotated[
    Any,
    BeforeValidator(_language),
    WithJsonSchema({"anyOf": [{"type": "string", "enum": list(_CODES)}, _LanguageObject.model_json_schema()]}),
]
WindowIn = Annotated[Any, BeforeValidator(_window), WithJsonSchema(_WINDOW_SCHEMA)]
