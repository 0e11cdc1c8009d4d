"""What a send says, from its options to the API's words: a text, a DLT template with its values, or an MMS."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import typer

from cli.errors import CommandError
from cli.files import opened

_MOST_FILE_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Content:
    """The options, as they were given. `mms`: a file's name; `pictures`: links, or IDs of uploaded files."""

    text: str | None
    template: str | None
    values: Sequence[str]
    mms: str | None
    title: str | None
    pictures: Sequence[str]
    fallback_text: str | None

    def fields(self) -> dict[str, Any]:
        """Of a message or a batch, in the API's words. What cannot stand together, the API refuses where it is not a
        matter of options alone. Errors: BadParameter; CommandError, of a file."""
        is_mms = self.title is not None or self.fallback_text is not None or bool(self.pictures)
        if self.values and self.template is None:
            raise typer.BadParameter("fills a --template", param_hint="--value")
        if self.mms is not None and (is_mms or self.text is not None):
            raise typer.BadParameter(
                "holds all of the MMS: leave out --text, --title, --picture and --fallback-text", param_hint="--mms"
            )
        given = {
            "text": None if is_mms else self.text,
            "template": self.template,
            "template_variables": list(self.values) or None,
            "mms": self._short_mms() if is_mms else None if self.mms is None else read_mms_file(self.mms),
        }
        return {name: value for name, value in given.items() if value is not None}

    def _short_mms(self) -> dict[str, Any]:
        """The pictures, then the text below them."""
        parts = [_picture(picture) for picture in self.pictures]
        if self.text is not None:
            parts.append({"text": self.text})
        given = {"title": self.title, "parts": parts, "fallback_text": self.fallback_text}
        return {name: value for name, value in given.items() if value is not None}


def read_mms_file(file: str) -> Any:
    """As the API takes it. Errors: CommandError."""
    with opened(file) as source:
        try:
            found = json.loads(source.read(_MOST_FILE_BYTES))
        except ValueError as error:
            raise CommandError(f"{file} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise CommandError(f"{file} must hold one JSON object: title, parts and fallback_text of the MMS")
    return found


def read_map(pairs: Sequence[str]) -> dict[str, str]:
    """Columns by the names that they stand for. Errors: BadParameter."""
    named: dict[str, str] = {}
    for pair in pairs:
        name, equals, column = (part.strip() for part in pair.partition("="))
        name = name.removeprefix("{{").removesuffix("}}").strip()
        if not (name and equals and column):
            raise typer.BadParameter(f"{pair!r} must be NAME=COLUMN", param_hint="--map")
        if name in named:
            raise typer.BadParameter(f"{{{{{name}}}}} is named twice", param_hint="--map")
        named[name] = column
    return named


def read_journey(text: str | None) -> Any:
    """Errors: BadParameter."""
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"is not JSON ({error}): a name stands in quotes, such as '\"spring-sale\"'", param_hint="--journey"
        ) from error


def read_option(option: str, text: str | None, read: Callable[[str], Any]) -> Any:
    """Errors: BadParameter, with what `read` raises."""
    try:
        return None if text is None else read(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _picture(text: str) -> dict[str, str]:
    try:
        return {"media": str(UUID(text))}
    except ValueError:
        return {"url": text}
