"""Which column holds the recipient and which fills a placeholder, and what is said where none does."""

import re
from typing import Any

import pytest

from cli.column_map import ColumnMap, is_row, map_columns
from cli.errors import CommandError
from worker.rows import BadRow


@pytest.mark.parametrize("name", ["to", "Phone", "MSISDN", "number", "Mobile", " recipient "])
def test_recipient_s_column_is_known_by_its_name(name: str) -> None:
    assert map_columns(["city", name, "age"], ["Hello"]).to == name


def test_first_of_the_known_names_wins_and_an_option_over_all() -> None:
    columns = ["Number", "Mobile", "phone"]
    assert map_columns(columns, ["Hello"]).to == "phone"
    assert map_columns(columns, ["Hello"], to="mobile").to == "Mobile"


@pytest.mark.parametrize(
    ("placeholder", "column"),
    [
        ("name", "name"),
        ("name", "NAME"),
        ("First Name", "first name"),
        ("first_name", "First  Name"),
        ("größe", "GRÖSSE"),
    ],
)
def test_placeholder_is_filled_from_the_column_of_its_name(placeholder: str, column: str) -> None:
    mapped = map_columns(["to", column], [f"Hello {{{{ {placeholder} }}}}"])
    assert mapped.fills == {placeholder: column}
    assert mapped.row({"to": "1", column: "Anna"}) == {"to": "1", "variables": {placeholder: "Anna"}}


def test_exact_name_goes_before_one_that_differs_in_case() -> None:
    assert map_columns(["to", "NAME", "name"], ["{{name}}"]).fills == {"name": "name"}


def test_map_names_the_column_of_a_placeholder_that_is_called_otherwise() -> None:
    mapped = map_columns(["to", "Vorname", "data"], ["{{name}}"], named={"name": "vorname"}, callback_data="Data")
    assert mapped == ColumnMap("to", {"name": "Vorname"}, "data")
    row = mapped.row({"to": "1", "Vorname": "Anna", "data": "order-1"})
    assert row == {"to": "1", "variables": {"name": "Anna"}, "callback_data": "order-1"}


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        (["city", "age"], {}, "there is no column for the recipient: name it with --to COLUMN; the columns: city, age"),
        (
            ["to", "a\x1b[31m\nb"],
            {"to": "fax"},
            "there is no column for the recipient: name it with --to COLUMN; the columns: to, a [31m b",
        ),
        (["to"], {"to": "fax"}, "there is no column for the recipient: name it with --to COLUMN; the columns: to"),
        (["to", "To"], {"to": "TO"}, "the column 'to' stands twice: for the recipient there must be one"),
        (["to", "to"], {}, "the column 'to' stands twice"),
        (
            ["to", "city"],
            {"texts": ["{{name}}"]},
            "there is no column for {{name}}: name it with --map 'name=Column'; the",
        ),
        (
            ["to"],
            {"named": {"name": "x"}},
            "--map names {{name}}, which the text does not hold; its placeholders: none",
        ),
        (["to"], {"callback_data": "x"}, "there is no column for the callback data: correct --callback-data"),
        (["to"], {"values": "x"}, "there is no column for value 1: correct --map template_variables; the columns: to"),
        (["919876543210", "Anna"], {}, "there is no column for the recipient"),
    ],
)
def test_what_no_column_gives_is_told_with_the_columns(columns: list[str], options: dict[str, Any], words: str) -> None:
    with pytest.raises(CommandError, match=f"^{re.escape(words)}"):
        map_columns(columns, **{"texts": ["Hello"], **options})


def test_numbers_of_json_become_text_and_what_is_missing_stays_away() -> None:
    mapped = map_columns(["to", "points", "price"], ["{{points}} {{price}}"])
    row = mapped.row({"to": 919876543210, "points": 7, "price": 9.5})
    assert row == {"to": "919876543210", "variables": {"points": "7", "price": "9.5"}}
    assert mapped.row({"price": None}) == {"to": "", "variables": {}}


def test_values_of_a_template_come_from_columns_in_their_order() -> None:
    mapped = map_columns(["to", "Day", "Order, No"], [], values='"order, no", day')
    assert mapped.values == ["Order, No", "Day"]
    row = mapped.row({"to": "1", "Day": None, "Order, No": 5512})
    assert row == {"to": "1", "template_variables": ["5512", ""]}


@pytest.mark.parametrize("value", [919900000011.0, 1e22])
def test_recipient_that_is_a_decimal_number_is_refused(value: float) -> None:
    with pytest.raises(BadRow) as told:
        map_columns(["phone"], ["Hello"]).row({"phone": value})
    assert told.value.field == "phone"
    assert told.value.reason.startswith("is a decimal number: write the phone number as text, in quotes")


@pytest.mark.parametrize("value", [1e23, 1e-7, float("inf")])
def test_number_that_loses_digits_fills_no_placeholder(value: float) -> None:
    with pytest.raises(BadRow, match="loses digits"):
        map_columns(["to", "n"], ["{{n}}"]).row({"to": "1", "n": value})


@pytest.mark.parametrize("value", [True, [1], {"a": 1}])
def test_value_that_is_no_text_is_told(value: Any) -> None:
    with pytest.raises(BadRow) as told:
        map_columns(["to", "name"], ["{{name}}"]).row({"to": "1", "name": value})
    assert (told.value.field, told.value.reason) == ("name", "must be text or a number")


@pytest.mark.parametrize(
    ("values", "is_it"),
    [
        ({"to": "1"}, True),
        ({"to": "1", "variables": {"name": "Anna"}, "callback_data": "x"}, True),
        ({"to": "1", "name": "Anna"}, False),
        ({"variables": {}}, False),
    ],
)
def test_row_in_the_api_s_own_form_is_known_by_its_fields(values: dict[str, Any], is_it: bool) -> None:
    assert is_row(values) == is_it
