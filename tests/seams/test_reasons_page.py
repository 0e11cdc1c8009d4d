"""docs/reasons.md is what the tables of reasons make of it; `make reasons` writes it anew."""

import re

import pytest

from tests.documents import ROOT, anchors, named, recipe, table
from worker import reasons
from worker.infobip.error_codes import ERROR_CODES
from worker.infobip.statuses import STATUS_CODES
from worker.reasons_page import page
from worker.sentences import REASONS

PAGE = ROOT / "docs/reasons.md"


def test_page_is_what_the_tables_make_of_it() -> None:
    assert PAGE.read_text() == page(), "a sentence has changed: `make reasons` writes the page anew"


def test_make_writes_the_page_where_it_is_read() -> None:
    assert [line.split()[-3:] for line in recipe("reasons")] == [["-m", "worker.reasons_page", "docs/reasons.md"]]


@pytest.mark.parametrize("code", sorted({*REASONS, *(row.name for row in (*STATUS_CODES, *ERROR_CODES))}))
def test_every_code_can_be_linked_to_and_is_there_once(code: str) -> None:
    assert code.lower() in anchors(PAGE)
    assert PAGE.read_text().count(f'<a id="{code.lower()}"></a>') == 1


def test_every_reason_of_ours_is_in_the_first_table() -> None:
    ours = {value for name, value in vars(reasons).items() if name.isupper()}
    assert {named(code)[0] for code, *_ in table(PAGE, "Our own")} == ours


def test_every_end_and_every_meaning_is_explained_on_the_page() -> None:
    ends = {end for _, cell, *_ in table(PAGE, "Our own") for end in cell.split(", ")}
    follows = set(re.findall(r"^\| ([a-z]+) \| It is", PAGE.read_text(), re.MULTILINE))
    assert ends <= follows
    explained = {words.removesuffix(", else ...") for words, _ in table(PAGE, "What Infobip's codes mean here")}
    used = {cell for _, _, _, cell, *_ in table(PAGE, "Infobip's statuses")}
    assert {part.removeprefix("else ") for cell in used for part in cell.split(", ")} <= explained
