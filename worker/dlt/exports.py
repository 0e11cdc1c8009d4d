"""India DLT: the templates in a CSV that an operator's portal exported. Pure.

A portal may write a row for each header of a template: such rows are read as one template. What is not approved there
is left out, and a row that cannot be used costs no other.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import IO, NamedTuple

from worker.csv_records import BadFile, CsvRecords, LineFile, Record
from worker.dlt.columns import Field, find_columns, folded
from worker.dlt.ids import BadDltId, check_dlt_id
from worker.dlt.templates import BadTemplate, Category, Registered, compile_template
from worker.senders import BadSender, check_sender

MOST_ROWS = 50_000
MOST_NAME = 200  # characters
WHOLE = "line"  # as the field, where the line itself is at fault
_SHORT = 60  # characters of a value that are told


_TOLD_APART = (Field.NAME, Field.CATEGORY, Field.TEXT, Field.LANGUAGE, Field.URLS)  # rows of one template

_CATEGORIES = {
    **dict.fromkeys(("transactional", "transaction", "trans", "t"), Category.TRANSACTIONAL),
    **dict.fromkeys(("serviceimplicit", "implicit", "si", "serviceinferred"), Category.SERVICE_IMPLICIT),
    **dict.fromkeys(("serviceexplicit", "explicit", "se"), Category.SERVICE_EXPLICIT),
    **dict.fromkeys(("promotional", "promotion", "promo", "p"), Category.PROMOTIONAL),
}
_IN_USE = frozenset({"approved", "active", "registered", "live"})  # the first word of a status
_BETWEEN_HEADERS = re.compile(r"[,;|\n]")
_BETWEEN_URLS = re.compile(r"[\s,;|]+")
_FORMULA = re.compile(r'="(.*)"')  # how Excel is told that digits are text
_NUMBER = re.compile(r"\d+([.,]\d+)?[eE]\+?\d+|\d+[.,]\d+")  # what it makes of them else


Key = tuple[str, str]  # entity and content template ID


class Rejected(NamedTuple):
    line: int
    field: str
    reason: str


class LeftOut(NamedTuple):
    """A template that is not in use on the portal. `key`: its entity and ID, where both can be read."""

    line: int
    reason: str
    key: Key | None


@dataclass
class Export:
    """What a file holds. `fields` are those that it has columns for: of the others it says nothing."""

    fields: frozenset[Field]
    rows: int = 0
    templates: dict[Key, Registered] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


class _BadField(ValueError):
    def __init__(self, field: Field, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class _NotInUse(ValueError):
    pass


def read_export(source: IO[bytes], entity_id: str | None = None, named: Mapping[str, str] | None = None) -> Export:
    """All of the file. `entity_id`: of the rows that name none. `named`: as of `find_columns`. Errors: BadFile."""
    records = CsvRecords(LineFile(source, "the file"))
    columns = find_columns(records.columns, named or {})
    export = Export(frozenset(columns))
    lines: dict[Key, int] = {}
    for record in records:
        export.rows += 1
        if export.rows > MOST_ROWS:
            raise BadFile(f"the file has more than {MOST_ROWS:,} rows: send it in parts")
        if record.fault is not None:
            export.rejected.append(Rejected(record.line, WHOLE, record.fault))
            continue
        try:
            template = _read(record, columns, entity_id)
            _add(export, template, lines, record.line)
        except _NotInUse as error:
            export.left_out.append(LeftOut(record.line, str(error), _key_of(record, columns, entity_id)))
        except _BadField as error:
            export.rejected.append(Rejected(record.line, error.field, str(error)))
    return export


def _add(export: Export, template: Registered, lines: dict[Key, int], line: int) -> None:
    """Errors: _BadField, where another row says something else of the same template."""
    key = template.entity_id, template.template_id
    first = export.templates.get(key)
    if first is None:
        export.templates[key] = template
        lines[key] = line
    elif replace(first, headers=template.headers) == template:
        export.templates[key] = replace(first, headers=tuple(dict.fromkeys((*first.headers, *template.headers))))
    else:
        differing = next(name for name in _TOLD_APART if getattr(first, name) != getattr(template, name))
        raise _BadField(
            Field.TEMPLATE_ID,
            f"stands in line {lines[key]} already, with another {differing}: leave one of the two out",
        )


def _read(record: Record, columns: Mapping[Field, Sequence[str]], entity_id: str | None) -> Registered:
    """Errors: _BadField, _NotInUse."""
    cells = {each: [record.cells[name] for name in names] for each, names in columns.items()}
    for status in map(str.strip, cells.get(Field.STATUS, ())):
        if status and folded(status.split()[0]) not in _IN_USE:
            raise _NotInUse(f'has the status "{status[:_SHORT]}", and only approved templates can be used')
    only = {each: of_field[0] for each, of_field in cells.items()}
    template_id = _id(Field.TEMPLATE_ID, only[Field.TEMPLATE_ID])
    template = Registered(
        template_id=template_id,
        entity_id=_id(Field.ENTITY_ID, only.get(Field.ENTITY_ID, ""), entity_id),
        name=_name(only.get(Field.NAME, "")) or template_id,
        headers=_headers(only.get(Field.HEADERS, "")),
        category=_category(cells[Field.CATEGORY]),
        text=_without_nul(Field.TEXT, only[Field.TEXT]),
        language=_without_nul(Field.LANGUAGE, only.get(Field.LANGUAGE, "").strip()) or None,
        url_allow_list=tuple(filter(None, _BETWEEN_URLS.split(only.get(Field.URLS, "")))),
    )
    if (fault := fault_of(template)) is not None:
        raise _BadField(Field(fault[0]), fault[1])
    return template


def fault_of(template: Registered) -> Key | None:
    """Why texts cannot be held against it: the field, and a sentence."""
    for name, tried in (("text", replace(template, url_allow_list=())), ("url_allow_list", template)):
        try:
            compile_template(tried)
        except BadTemplate as error:
            return name, str(error)
    return None


def _key_of(record: Record, columns: Mapping[Field, Sequence[str]], entity_id: str | None) -> Key | None:
    cells = {each: record.cells[names[0]] for each, names in columns.items()}
    try:
        entity = _id(Field.ENTITY_ID, cells.get(Field.ENTITY_ID, ""), entity_id)
        return entity, _id(Field.TEMPLATE_ID, cells[Field.TEMPLATE_ID])
    except _BadField:
        return None


def _id(name: Field, cell: str, otherwise: str | None = None) -> str:
    text = _bare(cell) or otherwise
    if not text:
        advice = ": name one for all rows that have none" if name is Field.ENTITY_ID else ""
        raise _BadField(name, f"is missing{advice}")
    if _NUMBER.fullmatch(text):
        raise _BadField(
            name,
            f"{text[:_SHORT]} is what a spreadsheet made of an ID, and digits are lost: format the column as text "
            "before the file is opened or saved there, or take the portal's own file",
        )
    try:
        return check_dlt_id(text)
    except BadDltId as error:
        raise _BadField(name, str(error)) from error


def _bare(cell: str) -> str:
    """Without what keeps a spreadsheet from making a number of it."""
    text = cell.strip()
    if formula := _FORMULA.fullmatch(text):
        return formula[1].strip()
    return text.removeprefix("'").strip()


def _name(cell: str) -> str:
    name = _without_nul(Field.NAME, cell.strip())
    if len(name) > MOST_NAME:
        raise _BadField(Field.NAME, f"has {len(name):,} characters: at most {MOST_NAME} fit")
    return name


def _headers(cell: str) -> tuple[str, ...]:
    headers = dict.fromkeys(filter(None, map(_bare, _BETWEEN_HEADERS.split(cell))))
    for header in headers:
        try:
            check_sender(header)
        except BadSender as error:
            raise _BadField(Field.HEADERS, f'"{header[:_SHORT]}" {error}') from error
    return tuple(headers)


def _category(cells: Iterable[str]) -> Category:
    given = [cell.strip() for cell in cells if cell.strip()]
    for cell in given:
        if (category := _CATEGORIES.get(folded(cell))) is not None:
            return category
    if not given:
        raise _BadField(Field.CATEGORY, "is missing")
    told = " or ".join(f'"{cell[:_SHORT]}"' for cell in given)
    raise _BadField(Field.CATEGORY, f"{told} is none of {', '.join(Category).replace('_', ' ')}")


def _without_nul(name: Field, text: str) -> str:
    if "\0" in text:
        raise _BadField(name, "holds a NUL character: remove it")
    return text
