"""Operator portals' exports: the columns they are known by, what spreadsheets do to them, and that no row is lost
without a word."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.csv_records import BadFile
from worker.dlt import exports
from worker.dlt.columns import COLUMNS, Field
from worker.dlt.exports import Export, read_export
from worker.dlt.templates import Category, Registered

ENTITY, OTHER_ENTITY = "1201150000000000001", "1201150000000000002"
ID, OTHER_ID = "1207160000000000001", "1207160000000000002"
TEXT = "Order {#var#} is on its way. -KITEBK"
HEAD = "Template ID,Template Name,Header,Template Type,Template Content\n"


def export(file: str, entity_id: str | None = ENTITY, named: dict[str, str] | None = None) -> Export:
    return read_export(BytesIO(file.encode()), entity_id, named)


def only(found: Export) -> Registered:
    assert (found.rejected, found.left_out) == ([], [])
    (template,) = found.templates.values()
    return template


def test_row_is_read_whole() -> None:
    head = "PE ID,Template ID,Template Name,Header,Template Type,Template Content,Language,URL,Status\n"
    row = f'{OTHER_ENTITY},{ID},order-sent,"KITEBK, KITEBO",Service Implicit,{TEXT}'
    found = export(f"{head}{row},English,kite.in www.kite.in/a,Active\n")
    assert only(found) == Registered(
        template_id=ID,
        entity_id=OTHER_ENTITY,  # the row's own, not the file's
        name="order-sent",
        headers=("KITEBK", "KITEBO"),
        category=Category.SERVICE_IMPLICIT,
        text=TEXT,
        language="English",
        url_allow_list=("kite.in", "www.kite.in/a"),
    )
    assert found.fields == set(Field)


# Columns


@pytest.mark.parametrize(
    "head",
    [
        "Template ID,Template Type,Template Content",
        "TEMPLATE_ID,TEMPLATE_TYPE,TEMPLATE_MESSAGE",
        " template id , Communication Type , Content ",
        "DLT Template Id.,Category,Message",
        "Content Template ID,Content Type,Template Text",
        "content_template_id,category,text",
    ],
)
def test_columns_are_known_by_what_portals_call_them(head: str) -> None:
    template = only(export(f"{head}\n{ID},Transactional,{TEXT}\n"))
    assert (template.template_id, template.category, template.text) == (ID, Category.TRANSACTIONAL, TEXT)


def test_category_is_found_in_whichever_column_holds_one() -> None:
    """Portals that say TEXT in Template Type, SMS in Communication Type and an industry in Category."""
    head = "Template ID,Template Type,Communication Type,Category,Content Type,Content\n"
    found = export(head + f"{ID},TEXT,SMS,Banking/Insurance,Service Explicit,{TEXT}\n")
    assert only(found).category is Category.SERVICE_EXPLICIT


def test_no_name_of_a_column_stands_for_two_fields() -> None:
    names = [name for names in COLUMNS.values() for name in names]
    assert len(names) == len(set(names))


def test_column_of_another_name_can_be_named() -> None:
    found = export(
        f"Nr,Kind,Wording,Template Content\n{ID},SI,{TEXT},draft\n",
        named={"content_template_id": "nr", "category": "Kind", "text": "Wording"},
    )
    assert only(found).text == TEXT


def test_field_can_be_left_unread() -> None:
    found = export(f"Template ID,Type,Content,Status\n{ID},SI,{TEXT},Blocked\n", named={"status": ""})
    assert only(found).template_id == ID
    assert Field.STATUS not in found.fields


@pytest.mark.parametrize(
    ("head", "named", "said"),
    [
        ("Template ID,Template Type", {}, "no column is known as that of text: name it, as in text=Template Content"),
        (
            "Template ID,Type,Content",
            {"text": "Wording"},
            "there is no column 'Wording' for text; its columns are Temp",
        ),
        ("Template ID,Type,Content", {"colour": "Type"}, "'colour' is no field that a column can be named for"),
        ("Template ID,TEMPLATE_ID,Type,Content", {}, "the column 'Template ID' stands twice"),
    ],
)
def test_file_whose_columns_are_not_known_is_refused_whole(head: str, named: dict[str, str], said: str) -> None:
    with pytest.raises(BadFile, match=said):
        export(f"{head}\n", named=named)


# Values


@pytest.mark.parametrize(
    ("words", "category"),
    [
        ("Transactional", Category.TRANSACTIONAL),
        ("TRANS", Category.TRANSACTIONAL),
        ("Service Implicit", Category.SERVICE_IMPLICIT),
        ("service-implicit", Category.SERVICE_IMPLICIT),
        ("Service_Inferred", Category.SERVICE_IMPLICIT),
        ("SI", Category.SERVICE_IMPLICIT),
        ("SERVICE EXPLICIT", Category.SERVICE_EXPLICIT),
        ("SE", Category.SERVICE_EXPLICIT),
        ("Promotional", Category.PROMOTIONAL),
        ("Promo", Category.PROMOTIONAL),
    ],
)
def test_category_is_known_by_what_portals_call_it(words: str, category: Category) -> None:
    assert only(export(HEAD + f"{ID},a,,{words},{TEXT}\n")).category is category


@pytest.mark.parametrize(
    "cell", ["KITEBK,KITEBO", "KITEBK; KITEBO", "KITEBK|KITEBO|", "KITEBK\nKITEBO", "KITEBK,KITEBK,KITEBO"]
)
def test_headers_of_one_cell_are_told_apart(cell: str) -> None:
    assert only(export(HEAD + f'{ID},a,"{cell}",SI,{TEXT}\n')).headers == ("KITEBK", "KITEBO")


def test_rows_that_differ_in_their_header_are_one_template() -> None:
    found = export(HEAD + "".join(f"{ID},a,{header},SI,{TEXT}\n" for header in ("KITEBK", "KITEBO", "KITEBK")))
    assert only(found).headers == ("KITEBK", "KITEBO")
    assert found.rows == 3


def test_second_row_of_a_template_with_another_text_is_rejected_naming_the_first() -> None:
    found = export(HEAD + f"{ID},a,,SI,{TEXT}\n{ID},a,,SI,Another text\n")
    assert found.templates[ENTITY, ID].text == TEXT
    ((line, field, reason),) = found.rejected
    assert (line, field) == (3, "content_template_id")
    assert "stands in line 2 already, with another text" in reason


def test_same_id_of_two_entities_is_two_templates() -> None:
    head = "PE ID,Template ID,Type,Content\n"
    found = export(head + f"{ENTITY},{ID},SI,{TEXT}\n{OTHER_ENTITY},{ID},SI,Another text\n")
    assert set(found.templates) == {(ENTITY, ID), (OTHER_ENTITY, ID)}


def test_template_without_a_name_is_called_by_its_id() -> None:
    assert only(export(HEAD + f"{ID},,,SI,{TEXT}\n")).name == ID


def test_text_keeps_its_blanks_and_line_breaks() -> None:
    """Scrubbing compares every character."""
    text = " Dear {#var#},\r\n\r\nthank you.\n "
    assert only(export(HEAD + f'{ID},a,,SI,"{text}"\n')).text == text


@pytest.mark.parametrize("status", ["Approved", "ACTIVE", "active ", "Registered via Airtel", ""])
def test_template_in_use_is_taken(status: str) -> None:
    assert only(export(f"Template ID,Type,Content,Status\n{ID},SI,{TEXT},{status}\n")).template_id == ID


@pytest.mark.parametrize("status", ["Rejected", "Pending", "INACTIVE", "Not Approved", "De-activated", "Blacklisted"])
def test_template_that_is_not_in_use_is_left_out_and_said(status: str) -> None:
    found = export(f"Template ID,Type,Content,Approval Status,Status\n{ID},SI,{TEXT},Approved,{status}\n")
    assert (found.templates, found.rejected) == ({}, [])
    (left_out,) = found.left_out
    assert (left_out.line, left_out.key) == (2, (ENTITY, ID))
    assert f'"{status}"' in left_out.reason


# What spreadsheets do


@pytest.mark.parametrize("cell", [f'="{ID}"', f'"=""{ID}"""', f"'{ID}", f" {ID} ", f'" {ID}"'])
def test_digits_that_are_told_to_be_text_are_read(cell: str) -> None:
    assert only(export(HEAD + f"{cell},a,,SI,{TEXT}\n")).template_id == ID


@pytest.mark.parametrize("cell", ["1.20716E+18", "1.20716e18", '"1,20716E+18"', "1E+18", "1207160000000000000.0"])
def test_id_that_lost_digits_is_rejected_with_what_to_do(cell: str) -> None:
    (rejected,) = export(HEAD + f"{cell},a,,SI,{TEXT}\n").rejected
    assert (rejected.line, rejected.field) == (2, "content_template_id")
    assert "digits are lost: format the column as text" in rejected.reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_file_is_read_however_it_was_saved(encoding: str, delimiter: str) -> None:
    text = 'प्रिय {#var#}, "आपका";\nओटीपी {#var#} है।'
    cells = ["Template ID", "Type", "Content"], [ID, "SI", '"' + text.replace('"', '""') + '"']
    file = "".join(delimiter.join(row) + "\r\n" for row in cells)
    assert only(read_export(BytesIO(file.encode(encoding)), ENTITY)).text == text


# Rows that cannot be used


@pytest.mark.parametrize(
    ("row", "field", "said"),
    [
        (f",a,,SI,{TEXT}", "content_template_id", "is missing"),
        (f"12071600000000000O1,a,,SI,{TEXT}", "content_template_id", "digits only"),
        (f"12,a,,SI,{TEXT}", "content_template_id", "12 to 25 digits"),
        (f"{ID},{'n' * 201},,SI,{TEXT}", "name", "at most 200 fit"),
        (f"{ID},a,KITE BOOKS OF A LONG NAME,SI,{TEXT}", "headers", "1 to 20 printable ASCII"),
        (f"{ID},a,,,{TEXT}", "category", "is missing"),
        (f"{ID},a,,Service,{TEXT}", "category", '"Service" is none of transactional, service implicit'),
        (f"{ID},a,,SI,", "text", "has no text"),
        (f"{ID},a,,SI,Order {{#VAR#}}", "text", "write {#var#}, exactly so"),
        (f"{ID},a,,SI,Order {{#var", "text", "not closed"),
        (f"{ID},a,,SI,a\0b", "text", "NUL"),
        (f"{ID},a,,SI", "line", "has 4 cells, and the header 5"),
        (f"{ID},a,,SI,a,b", "line", "put a cell that holds ',' in quotes"),
        (f'{ID},"a"b,,SI,{TEXT}', "line", "has a quote"),
    ],
)
def test_row_that_cannot_be_used_is_told_and_costs_no_other(row: str, field: str, said: str) -> None:
    found = export(HEAD + f"{row}\n{OTHER_ID},b,,SI,{TEXT}\n")
    assert set(found.templates) == {(ENTITY, OTHER_ID)}
    (rejected,) = found.rejected
    assert (rejected.line, rejected.field) == (2, field)
    assert said in rejected.reason


def test_allow_list_that_cannot_be_one_is_told_as_such() -> None:
    (rejected,) = export(f"Template ID,Type,Content,URL\n{ID},SI,See {{#url#}},nowhere\n").rejected
    assert rejected.field == "url_allow_list"


def test_row_without_an_entity_is_rejected_where_the_file_names_none() -> None:
    (rejected,) = export(HEAD + f"{ID},a,,SI,{TEXT}\n", entity_id=None).rejected
    assert rejected.field == "principal_entity_id"


def test_line_is_that_on_which_a_row_begins() -> None:
    file = HEAD + f'{ID},a,,SI,"one\ntwo\nthree"\n\n{OTHER_ID},b,,?,{TEXT}\n'
    assert [rejected.line for rejected in export(file).rejected] == [6]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"", "the file is empty"),
        (HEAD.encode() + f'{ID},a,,SI,"never closed\n{ID}\n'.encode(), "line 2: a quote is opened and never closed"),
        (HEAD.encode() + b"1,a,,SI,caf\xe9\n", "line 2: is not UTF-8: save it as UTF-8"),
        (HEAD.encode("utf-16-le"), "looks like UTF-16 without the mark"),
    ],
    ids=["empty", "quote", "latin", "unmarked"],
)
def test_file_that_cannot_be_read_is_refused_whole(file: bytes, said: str) -> None:
    with pytest.raises(BadFile, match=said):
        read_export(BytesIO(file), ENTITY)


def test_file_of_too_many_rows_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MOST_ROWS", 2)
    assert export(HEAD + f"{ID},a,,SI,{TEXT}\n" * 2).rows == 2
    with pytest.raises(BadFile, match="more than 2 rows"):
        export(HEAD + f"{ID},a,,SI,{TEXT}\n" * 3)


# Laws

Cell = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [ID, TEXT, "SI", '="1"', "1E+18", '"', "\n"]
)


@given(st.lists(st.lists(Cell, min_size=1, max_size=7).map(",".join), max_size=6).map("\n".join))
def test_each_row_of_any_file_is_taken_left_out_or_told(rows: str) -> None:
    try:
        found = export(HEAD + rows)
    except BadFile:
        return
    assert len(found.templates) <= found.rows - len(found.rejected) - len(found.left_out)
    for key, template in found.templates.items():
        assert (template.entity_id, template.template_id) == key
    assert all(rejected.line > 1 for rejected in found.rejected)


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0{"), min_size=1).filter(str.strip))
def test_any_text_in_quotes_is_read_as_it_stands(text: str) -> None:
    quoted = '"' + text.replace('"', '""') + '"'
    assert only(export(HEAD + f"{ID},a,,SI,{quoted}\n")).text == text
