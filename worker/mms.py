"""What an MMS holds, and within which limits. Pure.

Limits: provider reference, section 6: a title of 66 characters, texts of 1,600 (longer ones are refused with status
77), content IDs of letters and digits, which some carriers insist on. How large linked and uploaded files may be, and
of which types: media_rules.py.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from worker.media_rules import TYPES, is_smil

PartKind = Literal["text", "url", "smil", "uploaded", "media"]
KINDS: Final = get_args(PartKind)

MOST_TITLE = 66  # characters
MOST_TEXT = 1_600
MOST_SMIL = 10_000
MOST_PARTS = 20
MOST_URL = 2_000
MOST_IN_ALL = 16_000  # characters: whatever is filled from rows is stored for each of them
CONTENT_ID: Final = "[A-Za-z0-9.]{1,20}"  # a pattern


class BadMms(ValueError):
    """What of an MMS cannot be sent; `field` says where: `title`, `parts.2.text`."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Part:
    """`value`: a text, the URL of a linked file, SMIL, Infobip's ID of an uploaded file, or ours (until media.py has
    settled it)."""

    kind: PartKind
    value: str
    content_id: str | None = None
    content_type: str | None = None  # of a linked file


@dataclass(frozen=True, slots=True, kw_only=True)
class Mms:
    """`fallback_text` goes out as an SMS, from `fallback_sender`, where an MMS cannot."""

    parts: tuple[Part, ...]
    title: str | None = None
    fallback_text: str | None = None
    fallback_sender: str | None = None

    @property
    def urls(self) -> list[str]:
        return [part.value for part in self.parts if part.kind == "url"]

    def texts(self) -> Iterator[str]:
        """Whatever a recipient reads."""
        return (text for _, text in self.named_texts())

    def named_texts(self) -> Iterator[tuple[str, str]]:
        """Each of `texts`, with its field as in BadMms."""
        for number, part in enumerate(self.parts):
            if part.kind == "text":
                yield f"parts.{number}.text", part.value
        for field, text in (("title", self.title), ("fallback_text", self.fallback_text)):
            if text is not None:
                yield field, text

    def with_texts(self, fill: Callable[[str, str], str]) -> "Mms":
        """Each of `texts` as `fill` makes it of its field and itself."""
        return replace(
            self,
            title=None if self.title is None else fill("title", self.title),
            fallback_text=None if self.fallback_text is None else fill("fallback_text", self.fallback_text),
            parts=tuple(
                replace(part, value=fill(f"parts.{number}.text", part.value)) if part.kind == "text" else part
                for number, part in enumerate(self.parts)
            ),
        )

    def as_json(self) -> dict[str, Any]:
        """As it is stored: each part an object with its kind as the key of its value."""
        optional = {"title": self.title, "fallback_text": self.fallback_text, "fallback_sender": self.fallback_sender}
        return {
            **{name: value for name, value in optional.items() if value is not None},
            "parts": [_part_json(part) for part in self.parts],
        }


def read_mms(stored: Mapping[str, Any]) -> Mms:
    """From `as_json`."""
    return Mms(
        title=stored.get("title"),
        fallback_text=stored.get("fallback_text"),
        fallback_sender=stored.get("fallback_sender"),
        parts=tuple(_read_part(part) for part in stored["parts"]),
    )


def check_mms(mms: Mms) -> None:
    """Its texts as they are to be sent. Errors: BadMms."""
    if mms.title is not None and not mms.title.strip():
        raise BadMms("title", "is empty: give a text, or leave it out")
    if mms.title is not None and len(mms.title) > MOST_TITLE:
        raise BadMms("title", f"has {len(mms.title):,} characters: at most {MOST_TITLE} fit, so shorten it")
    if not mms.parts:
        raise BadMms("parts", "is empty: give at least one text, url, smil or media")
    if len(mms.parts) > MOST_PARTS:
        raise BadMms("parts", f"has {len(mms.parts):,} entries: at most {MOST_PARTS} fit, so leave some out")
    seen: set[str] = set()
    for number, part in enumerate(mms.parts):
        _check_part(f"parts.{number}", part)
        if part.content_id is not None and part.content_id in seen:
            raise BadMms(f"parts.{number}.content_id", "stands at another part already: each needs its own")
        seen.add(part.content_id or "")
    in_all = sum(len(part.value) for part in mms.parts) + len(mms.title or "") + len(mms.fallback_text or "")
    if in_all > MOST_IN_ALL:
        reason = f"hold {in_all:,} characters, with the title and the fallback_text: at most {MOST_IN_ALL:,} fit in all"
        raise BadMms("parts", f"{reason}, so shorten them")


def _check_part(field: str, part: Part) -> None:
    most = {"text": MOST_TEXT, "smil": MOST_SMIL, "url": MOST_URL}.get(part.kind)
    if not part.value.strip():
        raise BadMms(f"{field}.{part.kind}", "is empty: fill it, or leave the part out")
    if most is not None and len(part.value) > most:
        raise BadMms(f"{field}.{part.kind}", f"has {len(part.value):,} characters: at most {most:,} fit, so shorten it")
    if part.kind == "url" and "{{" in part.value:
        raise BadMms(f"{field}.url", "holds {{placeholders}}: a link is the same for all, and checked once")
    if part.kind == "smil" and not is_smil(part.value):
        raise BadMms(f"{field}.smil", "is no layout: it has to begin with <smil>, which an XML declaration may precede")
    if part.content_id is not None and re.fullmatch(CONTENT_ID, part.content_id) is None:
        reason = "must be 1 to 20 letters, digits and dots: carriers refuse other characters"
        raise BadMms(f"{field}.content_id", reason)
    if part.content_type is not None and part.content_type not in TYPES:
        raise BadMms(f"{field}.content_type", f"must be one of {', '.join(TYPES)}")


def _part_json(part: Part) -> dict[str, str]:
    optional = {"content_id": part.content_id, "content_type": part.content_type}
    return {part.kind: part.value, **{name: value for name, value in optional.items() if value is not None}}


def _read_part(stored: Mapping[str, str]) -> Part:
    kind = next(kind for kind in KINDS if kind in stored)
    return Part(kind, stored[kind], stored.get("content_id"), stored.get("content_type"))
