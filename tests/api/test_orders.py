"""Request bodies to orders."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.orders import MOST_VALUES, batch_order, count_values, message_order, refuse_too_many_values
from api.schemas.sends import BatchIn, MessageIn
from worker.enqueue_batch import MOST_ROWS
from worker.orders import NOTHING_GIVEN, Values
from worker.refusals import Refusal

TO = "+919876543210"
FIELDS = {
    "callback_data": "order-5512",
    "content_template_id": "1207160000000000001",
    "principal_entity_id": "1201150000000000001",
}


def values_of(given: dict[str, str]) -> list[Values]:
    """As a single send, a batch and a row of a batch give them."""
    single = MessageIn.model_validate({"surface": "otp", "to": TO, "text": "hi", **given})
    batch = BatchIn.model_validate({"surface": "otp", "messages": [{"to": TO, **given}], **given})
    order = batch_order(batch)
    return [message_order(single).values, order.values, order.rows[0].values]


@pytest.mark.parametrize("left_out", [*FIELDS, None])
def test_every_kind_of_body_gives_its_values_alike(left_out: str | None) -> None:
    given = {name: value for name, value in FIELDS.items() if name != left_out}
    assert values_of(given) == [Values(**given)] * 3


def test_body_without_values_gives_the_one_that_says_so() -> None:
    assert all(values is NOTHING_GIVEN for values in values_of({}))


def test_empty_callback_data_is_given() -> None:
    assert values_of({"callback_data": ""}) == [Values(callback_data="")] * 3


# How much JSON may hold

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text('\\",:[{}]a ', max_size=12)
    | st.text(max_size=3),
    lambda items: st.lists(items, max_size=5) | st.dictionaries(st.text('\\",:[{a', max_size=4), items, max_size=5),
)


def held_by(value: Any) -> int:
    """Names and values; an empty list or object as if it held something."""
    if isinstance(value, dict):
        return 1 + (sum(1 + held_by(item) for item in value.values()) or 1)
    if isinstance(value, list):
        return 1 + (sum(map(held_by, value)) or 1)
    return 1


@given(anything, st.integers(1, 20))
def test_names_and_values_are_counted_whatever_texts_hold_and_wherever_the_pieces_end(value: Any, piece: int) -> None:
    assert sum(count_values(orjson.dumps(value), piece)) == held_by(value)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "body",
    [
        orjson.dumps({"messages": [{"to": TO, "variables": {f"n{n}": "v" for n in range(97)}}] * MOST_ROWS}),
        b"[" + b",".join([b"0"] * (MOST_VALUES - 1)) + b"]",
        b"[" * (MOST_VALUES - 1),
        b'["' + b'","' * (MOST_VALUES - 2) + b'"]',
        # All of it is one text, and some have no end.
        orjson.dumps('[{,"\\' * MOST_VALUES),
        b'"' + b"[{," * MOST_VALUES,
        b'"' + b"[{," * MOST_VALUES + b"\\",
        b'"' + b'\\"' * MOST_VALUES + b"[{," * MOST_VALUES,
        b'"' + b"\\" * (2 * MOST_VALUES + 1),
    ],
    ids=range(9),
)
def test_json_of_as_many_values_as_a_batch_has_is_let_through(body: bytes) -> None:
    refuse_too_many_values(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join([b"0"] * MOST_VALUES) + b"]",
        b"[" * MOST_VALUES + b" ",
        b'["' + b'","' * (MOST_VALUES - 1) + b'"]',
        b'"\\\\"' + b"[{," * MOST_VALUES,
        b'{"to":"1"},' * (MOST_VALUES // 3 + 1),
        orjson.dumps({"messages": [{"to": TO, "variables": {f"n{n}": "v" for n in range(98)}}] * MOST_ROWS}),
    ],
    ids=range(6),
)
def test_json_of_more_values_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal, match="messages: there are more than 2,000,000 names and values in the request"):
        refuse_too_many_values(body)
