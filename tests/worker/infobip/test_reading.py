"""JSON as Infobip sends it: no value makes a reader fail, and what is read can be stored."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from tests.worker.infobip.samples import anything
from worker.infobip.reading import (
    as_bool,
    as_decimal,
    as_instant,
    as_int,
    as_object,
    as_text,
    read_json,
    storable,
)


@pytest.mark.parametrize("read", [as_object, as_text, as_bool, as_int, as_decimal, as_instant])
@given(value=anything)
def test_no_value_makes_a_reader_fail(read: Callable[[Any], Any], value: Any) -> None:
    read(value)


@given(anything)
def test_what_is_stored_is_valid_json_for_postgres(value: Any) -> None:
    text = json.dumps(storable(value), allow_nan=False)
    assert "\\u0000" not in text
    text.encode()


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": "\xff", "b": 1}', {"a": "\ufffd", "b": 1}),
        (b'{"a": "\x00\n", "b": 1}', {"a": "\0\n", "b": 1}),
        (b'{"a": "\\ud800", "b": 1}', {"a": "\ud800", "b": 1}),
        (b'{"a": Infinity, "b": 1}', {"a": float("inf"), "b": 1}),
        (b'{"a": ' + b"9" * 5_000 + b', "b": 1}', {"a": "9" * 64, "b": 1}),
    ],
)
def test_what_spoils_one_value_does_not_cost_the_body(body: bytes, document: Any) -> None:
    assert read_json(body) == document


@pytest.mark.parametrize(
    "value", ["0E+1999999999", "10E999999", "-9E999999999", "1E+9", "0E-13", 10**9, "NaN", "Infinity", "free", True]
)
def test_amount_that_no_price_has_is_none(value: Any) -> None:
    assert as_decimal(value) is None
