"""Request bodies to orders."""

import pytest

from api.orders import batch_order, message_order
from api.schemas.sends import BatchIn, MessageIn
from worker.orders import NOTHING_GIVEN, Values

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
