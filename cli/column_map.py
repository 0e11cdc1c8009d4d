"""From a file's columns to rows as the API takes them: which column holds the recipient, which fills a placeholder,
which are the values of a DLT template."""

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.errors import CommandError
from cli.tables import cell
from worker.rendering import placeholders
from worker.rows import BadRow

RECIPIENTS = ("to", "phone", "msisdn", "number", "mobile", "recipient")
TEMPLATE_VARIABLES = "template_variables"  # as the name of --map: not one column, but several
ROW_FIELDS = frozenset(
    {"to", "text", "variables", "callback_data", "content_template_id", "principal_entity_id", "template"}
    | {TEMPLATE_VARIABLES}
)


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Names of columns; `fills` gives them by placeholder, `values` those of a DLT template in their order."""

    to: str
    fills: Mapping[str, str]
    callback_data: str | None = None
    values: Sequence[str] = ()

    def row(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """One row in the API's form. What is missing stays away: the API says of it what it says. Errors: BadRow."""
        if isinstance(values.get(self.to), float):  # 9.199e11 is as good as any: what it was to be, nobody knows
            raise BadRow(
                self.to, "is a decimal number: write the phone number as text, in quotes and with all its digits"
            )
        row: dict[str, Any] = {"to": _text(values, self.to) or ""}
        if self.fills:
            found = {name: _text(values, column) for name, column in self.fills.items()}
            row["variables"] = {name: text for name, text in found.items() if text is not None}
        if self.values:
            row[TEMPLATE_VARIABLES] = [_text(values, column) or "" for column in self.values]
        if self.callback_data is not None and (data := _text(values, self.callback_data)):
            row["callback_data"] = data
        return row


def map_columns(
    columns: Sequence[str],
    texts: Iterable[str],
    to: str | None = None,
    named: Mapping[str, str] | None = None,
    callback_data: str | None = None,
    values: str | None = None,
) -> ColumnMap:
    """`texts`: all that may hold placeholders. `named`: columns by placeholder, where they are called otherwise.
    `values`: the columns of a DLT template's, with commas between. Errors: CommandError, listing the columns."""
    return ColumnMap(
        to=_column(columns, RECIPIENTS if to is None else [to], "for the recipient", "name it with --to COLUMN"),
        fills=_fills(columns, {name for text in texts for name in placeholders(text)}, named or {}),
        callback_data=None
        if callback_data is None
        else _column(columns, [callback_data], "for the callback data", "correct --callback-data"),
        values=() if values is None else _value_columns(columns, values),
    )


def _fills(columns: Sequence[str], wanted: Collection[str], named: Mapping[str, str]) -> dict[str, str]:
    for name in named:
        if name not in wanted:
            there = ", ".join(f"{{{{{other}}}}}" for other in sorted(wanted)) or "none"
            raise CommandError(f"--map names {{{{{name}}}}}, which the text does not hold; its placeholders: {there}")
    fills: dict[str, str] = {}
    for name in sorted(wanted):
        advice = f"name it with --map '{name}=Column'"
        fills[name] = _column(columns, [named.get(name, name)], f"for {{{{{name}}}}}", advice)
    return fills


def _value_columns(columns: Sequence[str], names: str) -> list[str]:
    """A name that holds a comma stands in quotes, as in CSV."""
    advice = f"correct --map {TEMPLATE_VARIABLES}"
    wanted = next(csv.reader([names], skipinitialspace=True))
    return [_column(columns, [name.strip()], f"for value {number}", advice) for number, name in enumerate(wanted, 1)]


def is_row(values: Mapping[str, Any]) -> bool:
    """Whether an object is a row in the API's own form already."""
    return "to" in values and values.keys() <= ROW_FIELDS


def _column(columns: Sequence[str], names: Iterable[str], purpose: str, advice: str) -> str:
    """The first of these names that a column has: exactly, else but for case and spaces."""
    there = ", ".join(cell("", column) or '""' for column in columns[:50])
    for name in names:
        found = [column for column in columns if column == name] or [
            column for column in columns if _folded(column) == _folded(name)
        ]
        if len(found) > 1:
            raise CommandError(f"the column {found[0]!r} stands twice: {purpose} there must be one; {advice}")
        if found:
            return found[0]
    raise CommandError(f"there is no column {purpose}: {advice}; the columns: {there}")


def _folded(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def _text(values: Mapping[str, Any], column: str) -> str | None:
    value = values.get(column)
    if value is None or type(value) is str:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRow(column, "must be text or a number")
    text = str(value)
    if "e" in text or "n" in text:  # 1e+16, inf
        raise BadRow(column, "is a number that loses digits as it is read: write it as text, in quotes")
    return text
