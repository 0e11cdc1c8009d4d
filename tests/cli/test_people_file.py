"""What is read of a file of people, whatever wrote it, and what is said where it cannot be read."""

import csv
import io
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.errors import CommandError
from cli.people_file import PeopleFile, people_in

ANNA = {"phone": "919876543210", "name": "Anna"}


def people(file: str | bytes, name: str = "people") -> PeopleFile:
    return PeopleFile(io.BytesIO(file.encode() if isinstance(file, str) else file), name, b"")


def entries(file: str | bytes) -> list[tuple[int, dict[str, Any]]]:
    """Lines and values, of a file in which all can be read."""
    found = list(people(file).entries())
    assert [entry.fault for entry in found] == [None] * len(found)
    return [(entry.line, dict(entry.values)) for entry in found]


@pytest.mark.parametrize(
    "file",
    [
        "phone,name\n919876543210,Anna\n",
        "phone;name\n919876543210;Anna\n",
        "phone\tname\n919876543210\tAnna\n",
        "\ufeffphone;name\r\n919876543210;Anna\r\n",
        '"phone","name"\n919876543210,"Anna"',
        " phone , name \n 919876543210 , Anna \n",
        "phone,name\n919876543210,Anna,,\n",
        '{"phone": "919876543210", "name": "Anna"}\n',
        '\ufeff{"phone": "919876543210", "name": "Anna"}',
        "phone,name\r919876543210,Anna\r",
        "phone\tname\r\n919876543210\tAnna\r\n".encode("utf-16"),
        b"\xfe\xff" + "phone;name\n919876543210;Anna\n".encode("utf-16-be"),
    ],
    ids=[
        *("comma", "semicolon", "tab", "BOM", "quotes", "spaces", "empty cells behind", "ndjson", "ndjson with BOM"),
        *("CR", "UTF-16", "UTF-16, big end first"),
    ],
)
def test_the_same_row_is_read_whatever_wrote_it(file: str | bytes) -> None:
    assert people(file).columns == list(ANNA)
    assert entries(file) == [(1 if people(file).first else 2, ANNA)]


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "\ufeffSEP=;\r"])
def test_spreadsheet_s_own_first_line_names_the_delimiter(first: str) -> None:
    file = f"{first}\nphone;name,comma\n1;a,b\n"
    assert people(file).columns == ["phone", "name,comma"]
    assert entries(file) == [(3, {"phone": "1", "name,comma": "a,b"})]
    assert people("sep=|\nphone|name\n1|a\n").columns == ["phone", "name"]


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ('phone;"last, first";city', ["phone", "last, first", "city"]),
        ('phone;"Last, first, x"', ["phone", "Last, first, x"]),
        ('phone,"first\nname"', ["phone", "first\nname"]),
        ('phone;"first,\r\nname, ""x"", y"', ["phone", 'first,\r\nname, "x", y']),
        ('phone,5" pipe', ["phone", '5" pipe']),
    ],
)
def test_delimiter_is_the_one_that_parts_most_columns_outside_quotes(header: str, columns: list[str]) -> None:
    file = people(f"\n{header}\n1{';' if ';' in header else ','}2{',3' if len(columns) == 3 else ''}\n")
    assert file.columns == columns


def test_header_of_several_lines_counts_them() -> None:
    assert [line for line, _ in entries('\nphone,"first\nname"\n1,Anna\n\n2,Bert\n')] == [4, 6]


def test_lines_are_those_of_the_file_over_blank_ones_and_cells_of_several_lines() -> None:
    file = 'phone,note\n\n1,a\n2,"b\nb"\n,\n3,c\n'
    assert [(line, values["phone"]) for line, values in entries(file)] == [(3, "1"), (4, "2"), (7, "3")]
    assert [line for line, _ in entries('{"to": "1"}\n\n{"to": "2"}\n')] == [1, 3]


def test_it_is_read_again_from_its_beginning() -> None:
    file = people("phone\n1\n2\n")
    next(file.entries())
    assert [entry.values["phone"] for entry in file.entries()] == ["1", "2"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1,Anna,Berlin", "has 3 cells, and the header 2: put a cell that holds ',' in quotes"),
        ("1", "has 1 cell, and the header 2: write each of them, with ',' between"),
        ("1," + "A" * 200_000, "has a cell of more than 131,072 characters"),
        ('1,"Anna" Smith', "has a quote that is not as CSV has them"),
    ],
)
def test_row_that_cannot_be_read_costs_none_of_the_others(line: str, words: str) -> None:
    before, bad, after = people(f"phone,name\n0,a\n{line}\n2,b\n").entries()
    assert (before.fault, after.fault) == (None, None)
    assert (bad.line, after.line, after.values["phone"]) == (3, 4, "2")
    assert bad.fault is not None
    assert bad.fault.startswith(words)
    assert bad.text == f"{line}\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [('{"to": ', "is not JSON: "), ("5", "must be a JSON object"), ('["1"]', "must be a JSON object")],
)
def test_line_that_is_no_object_costs_none_of_the_others(line: str, words: str) -> None:
    _, bad, after = people(f'{{"to": "0"}}\n{line}\n{{"to": "2"}}\n').entries()
    assert (bad.line, after.values["to"]) == (2, "2")
    assert bad.fault is not None
    assert bad.fault.startswith(words)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"", "people is empty"),
        (b"\n \n", "people is empty"),
        ("phone\n1\n".encode("utf-16-le"), "people looks like UTF-16 without the mark that says so: save it as UTF-8"),
        ("phone\n1\n".encode("utf-16-be"), "people looks like UTF-16 without the mark"),
        ("phone\n1\n".encode("utf-32"), "people is in UTF-32: save it as UTF-8"),
        ("phone\n1\n".encode("utf-16") + b"\n", "people is not UTF-16 throughout"),
        ("phone,name\n1,J\u00f6rg\n".encode("latin-1"), "people, line 2: is not UTF-8: save it as UTF-8"),
        (b'phone,name\n1,"Anna\n2,Bert\n', "people, line 2: a quote is opened and never closed"),
        (b'phone,name\n1,"Anna\n' + b"2,Bert\n" * 30_000 + b'3,"C"\n', "people, line 2: a quote is opened"),
        (b'"phone,name\n1,Anna\n', "people: its first line, which names the columns, has quotes"),
        (b"phone\n" + b"1" * (1024 * 1024 + 1), "people, line 2: is longer than 1,048,576 bytes"),
        (b'[{"to": "1"}]', "people is one JSON list: write one object a line"),
        (b'{"to": ', "people, line 1: is not JSON"),
        (b'{"surface": "offers", "text": "Hi"}\n{"to": "1"}\n', "people, line 1: describes a batch"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_file_that_is_not_what_it_should_be_is_told(file: bytes, words: str) -> None:
    with pytest.raises(CommandError) as told:
        list(people(file).entries())
    assert str(told.value).startswith(words)


def test_json_is_known_by_its_name_where_its_beginning_is_none(tmp_path: Path) -> None:
    (tmp_path / "people.jsonl").write_text("phone\n1\n")
    with pytest.raises(CommandError, match="line 1: is not JSON"), people_in(str(tmp_path / "people.jsonl")):
        pass


def test_what_is_written_to_a_file_after_it_was_opened_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("phone\n1\n")
    with people_in(str(path)) as file:
        before = list(file.entries())
        path.write_text("phone\n2\n3\n")
        assert [entry.values["phone"] for entry in file.entries()] == ["1"]
        assert list(file.entries()) == before
        assert file.digest == sha256(b"phone\n1\n").digest()


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(rows=st.lists(st.tuples(cells, cells), max_size=8), delimiter=st.sampled_from(",;\t"))
def test_whatever_csv_writes_is_read_back(rows: list[tuple[str, str]], delimiter: str) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("phone", "name"), *rows])
    wanted = [(phone.strip(), name.strip()) for phone, name in rows]
    found = [(values["phone"], values["name"]) for _, values in entries(written.getvalue())]
    assert found == [row for row in wanted if any(row)]


@given(rows=st.lists(st.dictionaries(st.sampled_from(["to", "name", "x"]), cells | st.integers(-9, 9)), min_size=1))
def test_whatever_json_writes_is_read_back(rows: list[dict[str, Any]]) -> None:
    assert [values for _, values in entries(b"\n".join(map(orjson.dumps, rows)))] == rows
