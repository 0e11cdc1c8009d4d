"""What a send says, in the API's words, as the values that the API's own functions take.

Shapes are what api/schemas/ asks for, in the same words: a test holds the two against each other.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from cli.column_map import ROW_FIELDS
from cli.option_values import LANGUAGES
from worker.alphabets import Language
from worker.dlt.ids import BadDltId, check_dlt_id
from worker.mms import Mms, read_mms
from worker.orders import Manner, Row, Values
from worker.rows import BadRow
from worker.transliteration import TRANSLITERATIONS

MOST_CALLBACK_DATA = 4_000  # characters
MOST_VARIABLES = 100  # of a template
_NUL = "holds a NUL character, which cannot be stored: remove it"
_NO_FIELD = "is not a field of this request: remove it, or correct its name"
_MMS_FIELDS = ("title", "parts", "fallback_text")
_PARTS = ("text", "url", "smil", "media")
_PART_FIELDS = (*_PARTS, "content_id", "content_type")


def row_of(values: Mapping[str, Any]) -> Row:
    """Errors: BadRow, of a wrong shape."""
    shared = values_of(values)
    to = _text(values, "to")
    if to is None:
        raise BadRow("to", "must be text (in quotes)" if "to" in values else "is missing")
    row = Row(
        0,
        to,
        _text(values, "text"),
        _variables(values.get("variables")),
        shared,
        _text(values, "template"),
        template_variables_of(values),
    )
    _refuse_others(values, ROW_FIELDS)
    return row


def values_of(values: Mapping[str, Any]) -> Values:
    """Errors: BadRow."""
    data = _text(values, "callback_data")
    if data is not None and len(data) > MOST_CALLBACK_DATA:
        raise BadRow("callback_data", f"has {len(data):,} characters: at most {MOST_CALLBACK_DATA:,} fit")
    return Values(
        callback_data=data,
        content_template_id=_dlt_id(values, "content_template_id"),
        principal_entity_id=_dlt_id(values, "principal_entity_id"),
    )


def template_variables_of(values: Mapping[str, Any]) -> list[str] | None:
    """Errors: BadRow."""
    given = values.get("template_variables")
    if given is None:
        return None
    if not isinstance(given, list):
        raise BadRow("template_variables", "must be a list")
    if len(given) > MOST_VARIABLES:
        raise BadRow("template_variables", f"has {len(given):,} entries: at most {MOST_VARIABLES} fit")
    return [_variable(f"template_variables.{index}", value) for index, value in enumerate(given)]


def manner_of(given: Mapping[str, Any]) -> Manner:
    """Of a send or a surface, as far as parts depend on it: without the sending window. Errors: BadRow."""
    transliteration = given.get("transliteration")
    if transliteration is not None and transliteration not in TRANSLITERATIONS:
        raise BadRow("transliteration", f"must be one of {', '.join(TRANSLITERATIONS)}")
    return Manner(transliteration=transliteration, language=_language(given.get("language")))


def mms_of(given: Any) -> Mms | None:
    """Errors: BadRow, whose field is a path: `mms.parts.0.url`."""
    if given is None:
        return None
    fields = _object("mms", given, _MMS_FIELDS)
    for name in ("title", "fallback_text"):
        _check_text(f"mms.{name}", fields.get(name))
    parts = fields.get("parts")
    if not isinstance(parts, list):
        raise BadRow("mms.parts", "must be a list" if "parts" in fields else "is missing")
    return read_mms({**fields, "parts": [_part(f"mms.parts.{number}", part) for number, part in enumerate(parts)]})


def _part(field: str, given: Any) -> dict[str, str]:
    part = _object(field, given, _PART_FIELDS)
    for name, value in part.items():
        _check_text(f"{field}.{name}", value)
    kinds = [name for name in _PARTS if name in part]
    if len(kinds) != 1:
        raise BadRow(field, f"must hold exactly one of text, url, smil and media, and holds {len(kinds)}")
    if "content_type" in part and "url" not in part:
        raise BadRow(field, "content_type belongs to a url: leave it out")
    if "media" in part:
        try:
            part["media"] = str(UUID(part["media"]))
        except ValueError as error:
            raise BadRow(f"{field}.media", "must be the id of a file that was uploaded") from error
    return part


def _object(field: str, given: Any, names: Sequence[str]) -> dict[str, Any]:
    """Its fields that are given. Errors: BadRow."""
    if not isinstance(given, Mapping):
        raise BadRow(field, "must be a JSON object")
    for name in given:
        if name not in names:
            raise BadRow(f"{field}.{name}", _NO_FIELD)
    return {name: value for name, value in given.items() if value is not None}


def _language(given: Any) -> Language | None:
    if given is None:
        return None
    language = {"code": given} if isinstance(given, str) else given
    if not isinstance(language, Mapping) or language.get("code") not in LANGUAGES:
        raise BadRow("language", f'must be one of {", ".join(LANGUAGES)}, or {{"code": one of them}}')
    _refuse_others(language, Language._fields, "language.")
    for name in ("single_shift", "locking_shift"):
        if not isinstance(language.get(name, False), bool):
            raise BadRow(f"language.{name}", "must be true or false")
    return Language(**language)


def _variables(variables: Any) -> dict[str, str] | None:
    if variables is None:
        return None
    if not isinstance(variables, dict):
        raise BadRow("variables", "must be a JSON object")
    for name, value in variables.items():
        if "\0" in name:
            raise BadRow(f"variables.{name}", _NUL)
        _variable(f"variables.{name}", value)
    return {name: str(value) for name, value in variables.items()}


def _variable(field: str, value: Any) -> str:
    if type(value) not in (str, int):
        raise BadRow(field, "must be text (in quotes) or a whole number")
    if isinstance(value, str) and "\0" in value:
        raise BadRow(field, _NUL)
    return str(value)


def _dlt_id(values: Mapping[str, Any], name: str) -> str | None:
    text = _text(values, name)
    try:
        return None if text is None else check_dlt_id(text)
    except BadDltId as error:
        raise BadRow(name, str(error)) from error


def _text(values: Mapping[str, Any], name: str) -> str | None:
    text = values.get(name)
    _check_text(name, text)
    return text


def _check_text(field: str, text: Any) -> None:
    if not isinstance(text, str | None):
        raise BadRow(field, "must be text (in quotes)")
    if text is not None and "\0" in text:
        raise BadRow(field, _NUL)


def _refuse_others(values: Mapping[str, Any], names: Any, place: str = "") -> None:
    for name in values:
        if name not in names:
            raise BadRow(f"{place}{name}", _NO_FIELD)
