"""JSON as Infobip sends it: no value makes a reader fail, and what is read can be stored."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from tests.worker.infobip.samples import anything
from worker.infobip.reading import as_bool, as_decimal, as_instant, as_int, as_object, as_text, storable


@pytest.mark.parametrize("read", [as_object, as_text, as_bool, as_int, as_decimal, as_instant])
@given(value=anything)
def test_no_value_makes_a_reader_fail(read: Callable[[Any], Any], value: Any) -> None:
    read(value)


@given(anything)
def test_what_is_stored_is_valid_json_for_postgres(value: Any) -> None:
    text = json.dumps(storable(value), allow_nan=False)
    assert "\\u0000" not in text
    text.encode()
