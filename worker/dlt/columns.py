"""India DLT: which columns of an operator portal's export hold what. Pure.

Portals publish no format: the names here are those that are met, and any other can be named. One name stands for
different things: a "Template Type" may be a category or TEXT, a "Communication Type" a category or SMS.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from worker.csv_records import BadFile

_MOST_TOLD = 50


class Field(StrEnum):
    """What is read of a row."""

    TEMPLATE_ID = "content_template_id"
    ENTITY_ID = "principal_entity_id"
    NAME = "name"
    HEADERS = "headers"
    CATEGORY = "category"
    TEXT = "text"
    LANGUAGE = "language"
    URLS = "url_allow_list"
    STATUS = "status"


# Letters and digits alone count in a name, and no letter case: `TEMPLATE_ID` is "Template ID". The likeliest first.
COLUMNS: Mapping[Field, Sequence[str]] = {
    Field.TEMPLATE_ID: (
        *("Content Template ID", "DLT Content Template ID", "DLT Template ID", "Template ID", "Template No", "DLT ID"),
        *("DLT TE ID", "CT ID"),
    ),
    Field.ENTITY_ID: (
        *("Principal Entity ID", "PE ID", "DLT PE ID", "DLT Entity ID", "Entity ID", "DLT Principal Entity ID"),
    ),
    Field.NAME: ("Template Name", "Content Template Name", "DLT Template Name", "Name"),
    Field.HEADERS: (
        *("Headers", "Header", "Header Name", "DLT Header", "Linked Headers", "Sender ID", "Sender IDs"),
        *("Sender", "CLI"),
    ),
    Field.CATEGORY: (
        *("Template Type", "Content Type", "Communication Type", "Template Category", "Message Type", "SMS Type"),
        *("Category", "Type"),
    ),
    Field.TEXT: (
        *("Template Content", "Template Message", "Template Text", "Template Body", "Message Content", "SMS Content"),
        *("Content", "Message", "Text", "Template", "Content Template"),
    ),
    Field.LANGUAGE: ("Language", "Template Language"),
    Field.URLS: ("URL Allow List", "Whitelisted URLs", "Whitelisted URL", "URLs", "URL", "CTA"),
    Field.STATUS: ("Approval Status", "Template Status", "Status", "Registration Status"),
}
_NEEDED = (Field.TEMPLATE_ID, Field.CATEGORY, Field.TEXT)
# Of these all columns are looked at: the first that holds a category is meant, and no status may speak against it.
_OF_SEVERAL = (Field.CATEGORY, Field.STATUS)


def find_columns(columns: Sequence[str], named: Mapping[str, str]) -> dict[Field, list[str]]:
    """For each field the columns that may hold it. `named`: what they are called, by field; "" for none.

    Errors: BadFile.
    """
    for name in named:
        if name not in list(Field):
            raise BadFile(f"{name!r} is no field that a column can be named for: there are {', '.join(Field)}")
    found: dict[Field, list[str]] = {}
    for each, names in COLUMNS.items():
        called = named.get(each)
        there = _those_called(columns, names if called is None else filter(None, [called]))
        if called and not there:
            raise BadFile(f"there is no column {called!r} for {each}; {_told(columns)}")
        if there:
            found[each] = there if each in _OF_SEVERAL else there[:1]
    for each in _NEEDED:
        if each not in found:
            raise BadFile(
                f"no column is known as that of {each}: name it, as in {each}={COLUMNS[each][0]}; {_told(columns)}"
            )
    return found


def _those_called(columns: Sequence[str], names: Iterable[str]) -> list[str]:
    """In the order of the names. Errors: BadFile, where a name stands for two."""
    found = []
    for name in names:
        called = [column for column in columns if folded(column) == folded(name)]
        if len(called) > 1:
            raise BadFile(f"the column {called[0]!r} stands twice: rename one, or leave it out")
        found += called
    return list(dict.fromkeys(found))


def _told(columns: Sequence[str]) -> str:
    return f"its columns are {', '.join(columns[:_MOST_TOLD])}"


def folded(words: str) -> str:
    """What counts in a name, or in a word of a closed set."""
    return "".join(filter(str.isalnum, words.casefold()))
