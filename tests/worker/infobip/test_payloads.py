"""The send request, read back by Infobip's own SDK."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infobip_api_client.models import SmsRequest

from tests.worker.infobip.samples import BULK, HOOK, outgoing
from worker.ids import attempt_id
from worker.infobip.payloads import Content, Outgoing, SendRequest, send_request
from worker.models import Batch, Message
from worker.words import Channel


def sent(*messages: Outgoing, elapsed: float = 0.0) -> tuple[SendRequest, SmsRequest]:
    request = send_request(Channel.SMS, BULK, messages, elapsed, HOOK)
    return request, SmsRequest.from_json(request.body.decode())


def test_every_part_stands_where_infobip_reads_it() -> None:
    message = outgoing(number=3)
    request, read = sent(message)
    assert request.path == "/sms/3/messages"
    (entry,) = read.messages
    assert entry.sender == "KITEBK"
    assert entry.content.actual_instance.text == "Your parcel is on its way"
    assert (entry.destinations[0].to, entry.destinations[0].message_id) == (
        "919900000001",
        attempt_id(message.message_id, 3),
    )
    dlt = entry.options.regional.india_dlt
    assert (dlt.principal_entity_id, dlt.content_template_id) == ("1201150000000000001", "1207160000000000001")
    assert (entry.webhooks.delivery.url, entry.webhooks.delivery.intermediate_report) == (HOOK, True)
    assert (entry.webhooks.content_type, entry.webhooks.callback_data) == ("application/json", "order-5512")
    assert read.options.schedule.bulk_id == str(BULK)


def test_remaining_validity_goes_out_in_whole_seconds_and_never_over_48_hours() -> None:
    for remaining, elapsed, expected in [
        (3600.9, 0.0, 3600),
        (3600.9, 1.0, 3599),
        (500_000.0, 0.0, 172_800),
        (1.5, 0.4, 1),
    ]:
        _, read = sent(outgoing(remaining_seconds=remaining), elapsed=elapsed)
        validity = read.messages[0].options.validity_period
        assert (validity.amount, validity.time_unit) == (expected, "SECONDS")


def test_messages_that_differ_only_in_recipient_share_one_entry() -> None:
    request, read = sent(outgoing("911"), outgoing("912"), outgoing("913", text="Another"), outgoing("914"))
    assert [len(entry.destinations) for entry in read.messages] == [3, 1]
    assert request.places == [[0, 1, 3], [2]]


@pytest.mark.parametrize("field", Content._fields)
def test_messages_that_differ_in_any_part_of_their_content_go_out_apart(field: str) -> None:
    request, _ = sent(outgoing("911"), outgoing("912", **{field: "another"}))
    assert request.places == [[0], [1]]
    assert len({orjson.dumps({**e, "destinations": []}) for e in orjson.loads(request.body)["messages"]}) == 2


def test_the_claim_finds_each_part_of_the_content_on_message_and_batch() -> None:
    assert set(Content._fields) <= Message.model_fields.keys() & Batch.model_fields.keys()


def test_a_place_names_its_messages_and_a_bad_place_none() -> None:
    request, _ = sent(outgoing("911"), outgoing("912"), outgoing("913", text="Another"))
    assert request.messages_at(0, 1) == [1]
    assert request.messages_at(0, None) == [0, 1]
    assert request.messages_at(1, 0) == [2]
    assert request.messages_at(7, 0) == request.messages_at(0, 9) == request.messages_at(0, -1) == []


def test_what_a_message_has_not_is_not_sent() -> None:
    request, _ = sent(outgoing(callback_data=None, principal_entity_id=None, content_template_id=None))
    entry = orjson.loads(request.body)["messages"][0]
    assert "callbackData" not in entry["webhooks"]
    assert "regional" not in entry["options"]


values = st.sampled_from(["a", "b", None])


@given(st.lists(st.tuples(values, values, st.sampled_from([10.0, 20.0])), min_size=1, max_size=30))
def test_every_message_goes_out_once_with_its_own_values(rows: list[tuple[str | None, str | None, float]]) -> None:
    messages = [
        outgoing(f"9199{i:06d}", text=text or "t", callback_data=callback, remaining_seconds=left)
        for i, (text, callback, left) in enumerate(rows)
    ]
    request, _ = sent(*messages)
    entries = orjson.loads(request.body)["messages"]
    found = {
        destination["messageId"]: (
            entry["content"]["text"],
            entry["webhooks"].get("callbackData"),
            entry["options"]["validityPeriod"]["amount"],
            destination["to"],
        )
        for entry in entries
        for destination in entry["destinations"]
    }
    assert found == {
        m.wire_id: (m.content.text, m.content.callback_data, int(m.remaining_seconds), m.recipient) for m in messages
    }
    assert sorted(index for group in request.places for index in group) == list(range(len(messages)))
