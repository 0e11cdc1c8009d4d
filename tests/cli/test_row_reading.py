"""A dry run judges rows as the API does: the same rows are good, and the others are wrong in the same field, in the
same words."""

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api import audiences, fields
from api.orders import read_lines
from api.schemas.content import MmsIn
from api.schemas.sends import BatchHead
from cli import send_check, send_shapes
from cli.errors import CommandError
from cli.row_reading import Reader, read_single
from worker.orders import Values
from worker.rows import BadRow, Reading, RowReader

ANNA = "919876543210"
ID = "1207160000000000001"
HELLO = "Hello {{name}}"

texts = st.sampled_from(["", " ", "Anna", "é", "a\0b", "x" * 4_001, "{{name}}", "{{other}}", "+91 98765 43210"])
ids = st.sampled_from([ID, "12071600", "x", ""])
values = st.none() | st.integers(-9, 9) | st.booleans() | st.just(1.5) | st.just([1]) | st.just({})
rows = st.fixed_dictionaries(
    {},
    optional={
        "to": st.sampled_from([ANNA, f"+{ANNA}", "call me", "9876543210", "9.19E+11"]) | texts | values,
        "text": texts | values,
        "variables": st.dictionaries(st.sampled_from(["name", "other", "a\0"]), texts | values) | values | texts,
        "callback_data": texts | values,
        "content_template_id": ids | values,
        "principal_entity_id": ids | values,
        "txt": texts,
        "variables.name": texts,
        "template": texts | values,
        "template_variables": st.lists(texts | values, max_size=2) | values,
    },
)


def api_says(row: dict[str, Any], shared: Values) -> tuple[str, ...]:
    good, rejected = read_lines([orjson.dumps(row)], 0)
    if rejected:
        return rejected[0].field, rejected[0].reason
    try:
        checked = RowReader(Reading(values=shared), HELLO).read(good[0])
    except BadRow as error:
        return error.field, error.reason
    return checked.recipient, checked.text or ""


def dry_run_says(row: dict[str, Any], shared: Values) -> tuple[str, ...]:
    try:
        judged = Reader({"text": HELLO}, Reading(values=shared)).read(row)
    except BadRow as error:
        return error.field, error.reason
    return judged.recipient, judged.text


@given(row=rows, shared=st.sampled_from([Values(), Values(principal_entity_id=ID)]))
@example(row={"to": ANNA, "foo": 1}, shared=Values())
@example(row={"to": ANNA, "callback_data": "c" * 4_001}, shared=Values())
@example(row={"to": ANNA, "variables": {"name": "a\0b"}}, shared=Values())
@example(row={"to": ANNA, "template": "x", "template_variables": ["1"] * 101}, shared=Values())
@example(row={"to": ANNA, "variables": {"name": "Anna"}, "content_template_id": ID}, shared=Values())
def test_dry_run_says_of_a_row_what_the_api_says(row: dict[str, Any], shared: Values) -> None:
    assert dry_run_says(row, shared) == api_says(row, shared)


def test_what_the_api_holds_a_batch_to_is_the_same_here() -> None:
    assert send_check.MOST_ROWS == audiences.MOST_ROWS
    schema = TypeAdapter(fields.CallbackData).json_schema()
    assert schema["maxLength"] == send_shapes.MOST_CALLBACK_DATA


@pytest.mark.parametrize(
    ("send", "words"),
    [
        ({"text": " "}, "--text: is empty"),
        ({"text": "x", "transliteration": "LATIN"}, "--transliteration: must be one of NONE, TURKISH, "),
        ({"text": "x", "language": "DE"}, "--language: must be one of NONE, TR, ES, PT, AUTODETECT, or "),
        ({"template": "x", "template_variables": ["a", 1.5]}, r"--value: must be text \(in quotes\) or a whole number"),
        ({"text": "x", "template": "x"}, "--template: makes the text, and a text is given as well"),
        ({"mms": {"parts": [{"text": "x"}]}}, "--mms: the surface sends SMS"),
        ({"mms": {"parts": [{"url": 5}]}}, "--mms, parts.0.url: must be text"),
        ({"text": "x", "content_template_id": "12"}, "--content-template-id: a DLT ID has 12 to 25 digits"),
    ],
)
def test_what_all_rows_share_is_told_by_its_option(send: dict[str, Any], words: str) -> None:
    with pytest.raises(CommandError, match=f"^{words}"):
        Reader(send, Reading())


def test_single_message_may_not_hold_placeholders() -> None:
    with pytest.raises(BadRow, match="only a batch fills in"):
        read_single({"surface": "main", "to": ANNA, "text": HELLO}, Reading())


MMS = [
    {"title": "Sale", "parts": [{"text": "Hello", "content_id": "a.1"}], "fallback_text": "Hi"},
    {"title": None, "parts": [{"url": "https://kite.example/a.jpg", "content_type": "image/jpeg", "text": None}]},
    {"parts": [{"media": "01A22ECE-6758-7073-8EA9-592BB72081F8"}, {"smil": "<smil/>"}]},
    {"parts": []},
    {},
    [],
    {"parts": "x"},
    {"parts": ["x"]},
    {"parts": [{}]},
    {"parts": [{"text": "x", "url": "y"}]},
    {"parts": [{"text": "x", "content_type": "text/plain"}]},
    {"parts": [{"media": "sale.jpg"}]},
    {"parts": [{"text": "x", "colour": "red"}]},
    {"parts": [{"text": "a\0b"}]},
    {"parts": [{"text": "x"}], "title": 5},
    {"parts": [{"text": "x"}], "text": "x"},
]


@pytest.mark.parametrize("given", MMS, ids=str)
def test_mms_is_read_as_the_api_reads_it(given: Any) -> None:
    try:
        wanted = MmsIn.model_validate(given).mms()
    except ValidationError:
        with pytest.raises(BadRow, match="mms"):
            send_shapes.mms_of(given)
    else:
        assert send_shapes.mms_of(given) == wanted


LANGUAGES = [
    "TR",
    "DE",
    {"code": "PT", "locking_shift": True},
    {"code": "TR", "single_shift": 1},
    {"code": "TR", "x": 1},
    5,
]


@pytest.mark.parametrize("given", LANGUAGES, ids=str)
def test_language_is_read_as_the_api_reads_it(given: Any) -> None:
    try:
        wanted = BatchHead.model_validate({"surface": "main", "language": given}).language
    except ValidationError:
        with pytest.raises(BadRow, match="language"):
            send_shapes.manner_of({"language": given})
    else:
        assert send_shapes.manner_of({"language": given}).language == wanted
