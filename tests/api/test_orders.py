"""Request bodies to orders."""

import orjson
import pytest

from api.orders import batch_order, message_order, refuse_too_many_parts
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


MOST_PARTS = 200 * MOST_ROWS


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "body",
    [
        orjson.dumps([{f"name {n}": str(n) for n in range(60)}] * MOST_ROWS),
        b"[" + b",".join([b"0"] * MOST_PARTS) + b"]",
        b"[" * MOST_PARTS,
        b'"",' * (MOST_PARTS // 2),
        # All of it is one text, and some have no end.
        orjson.dumps('[{,"\\' * MOST_PARTS),
        b'"' + b"[{," * MOST_PARTS,
        b'"' + b"[{," * MOST_PARTS + b"\\",
        b'"' + b'\\"' * MOST_PARTS + b"[{," * MOST_PARTS,
        b'"' + b"\\" * MOST_PARTS,
    ],
    ids=range(9),
)
def test_json_of_as_many_values_as_a_batch_has_is_let_through(body: bytes) -> None:
    refuse_too_many_parts(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join([b"0"] * (MOST_PARTS + 1)) + b"]",
        b"[" * (MOST_PARTS + 1),
        b'"",' * (MOST_PARTS // 2 + 1),
        b'"\\\\"' + b"[{," * MOST_PARTS,
        b'{"to":"1"},' * (MOST_PARTS // 4 + 1),
    ],
    ids=range(5),
)
def test_json_of_far_more_values_than_a_batch_has_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal, match="messages: at most 10,000 rows fit in one request"):
        refuse_too_many_parts(body)
