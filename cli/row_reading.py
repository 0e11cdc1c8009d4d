"""Rows in the API's form, judged as the API does: a test holds the two against each other.

Their shape is what api/schemas/sends.py asks for, in the same words; all else is decided by the API's own functions.
"""

from collections.abc import Mapping
from typing import Any

from cli.column_map import ROW_FIELDS
from cli.errors import CommandError
from worker.dlt import BadDltId, check_dlt_id
from worker.orders import MessageOrder, Row, Values
from worker.refusals import Refusal
from worker.rows import BadRow, RowReader, read_message

MOST_CALLBACK_DATA = 4_000  # characters
_NUL = "holds a NUL character, which cannot be stored: remove it"


class Reader:
    """Reads what goes through a surface. `below`: the values of the surface and of its credential."""

    def __init__(self, send: Mapping[str, Any], default_country: str | None, below: Values) -> None:
        """`send`: in the API's words, what the rows of a batch share. Errors: CommandError of that."""
        self._text = send.get("text")
        try:
            shared = values_of(send).over(below)
            self._reader = RowReader(self._text, default_country, shared)
        except BadRow as error:
            raise CommandError(f"--{error.field.replace('_', '-')}: {error.reason}") from error
        except Refusal as refusal:
            raise CommandError(f"--{refusal.detail}") from refusal

    def read(self, values: Mapping[str, Any]) -> tuple[str, str]:
        """The recipient in E.164 and the whole text. Errors: BadRow."""
        checked = self._reader.read(row_of(values))
        text = self._text if checked.text is None else checked.text
        assert text is not None
        return checked.recipient, text


def read_single(send: Mapping[str, Any], default_country: str | None, below: Values) -> tuple[str, str]:
    """The same of a message without a batch. Errors: BadRow."""
    order = MessageOrder(surface=send["surface"], to=send["to"], text=send["text"], values=values_of(send))
    checked = read_message(order, default_country, below)
    assert checked.text is not None
    return checked.recipient, checked.text


def row_of(values: Mapping[str, Any]) -> Row:
    """Errors: BadRow, of a wrong shape."""
    shared = values_of(values)
    to = _text(values, "to")
    if to is None:
        raise BadRow("to", "must be text (in quotes)" if "to" in values else "is missing")
    row = Row(0, to, _text(values, "text"), _variables(values.get("variables")), shared)
    for name in values:
        if name not in ROW_FIELDS:
            raise BadRow(name, "is not a field of this request: remove it, or correct its name")
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


def _dlt_id(values: Mapping[str, Any], name: str) -> str | None:
    text = _text(values, name)
    try:
        return None if text is None else check_dlt_id(text)
    except BadDltId as error:
        raise BadRow(name, str(error)) from error


def _text(values: Mapping[str, Any], name: str) -> str | None:
    text = values.get(name)
    if not isinstance(text, str | None):
        raise BadRow(name, "must be text (in quotes)")
    if text is not None and "\0" in text:
        raise BadRow(name, _NUL)
    return text


def _variables(variables: Any) -> dict[str, str] | None:
    if variables is None:
        return None
    if not isinstance(variables, dict):
        raise BadRow("variables", "must be an object of texts and whole numbers")
    for name, value in variables.items():
        if type(value) not in (str, int):
            raise BadRow(f"variables.{name}", "must be text (in quotes) or a whole number")
        if "\0" in name or (isinstance(value, str) and "\0" in value):
            raise BadRow(f"variables.{name}", _NUL)
    return {name: str(value) for name, value in variables.items()}
