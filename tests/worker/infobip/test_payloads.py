"""The send request, read back by Infobip's own SDK."""

import json
from datetime import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infobip_api_client.models import SmsRequest

from tests.worker.infobip.samples import BULK, HOOK, NOW, outgoing
from worker.alphabets import Language
from worker.hours import DAYS, Hours
from worker.ids import attempt_id
from worker.infobip.payloads import MOST_INBOX_MESSAGES, Content, Outgoing, SendRequest, inbox_query, send_request
from worker.mms import Mms, Part
from worker.models import Batch, Message
from worker.windows import Window, window_for
from worker.words import Channel


def sent(*messages: Outgoing, elapsed: float = 0.0) -> tuple[SendRequest, SmsRequest]:
    request = send_request(Channel.SMS, BULK, messages, elapsed, HOOK, NOW)
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


ANOTHER = {"language": '{"code": "TR"}', "transliteration": "GREEK"}


@pytest.mark.parametrize("field", [field for field in Content._fields if field != "mms"])
def test_messages_that_differ_in_any_part_of_their_content_go_out_apart(field: str) -> None:
    request, _ = sent(outgoing("911"), outgoing("912", **{field: ANOTHER.get(field, "another")}))
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


def test_texts_go_out_with_the_language_and_transliteration_they_were_counted_by() -> None:
    language = Language("TR", single_shift=True)._asdict()
    _, read = sent(outgoing(transliteration="TURKISH", language=json.dumps(language)))
    content = read.messages[0].content.actual_instance
    assert content.transliteration == "TURKISH"
    shifts = content.language
    assert (shifts.language_code, shifts.single_shift, shifts.locking_shift) == ("TR", True, False)


def test_hours_go_out_in_utc_where_infobip_can_express_them() -> None:
    promotional = window_for(None, is_marketing=True, recipient="919900000001")
    across_midnight = Window((Hours(time(20), time(2), "UTC"),))
    request, read = sent(outgoing("911", window=promotional), outgoing("912", window=across_midnight), outgoing("913"))
    assert request.places == [[0], [1], [2]]
    hours, *others = (entry.options.delivery_time_window for entry in read.messages)
    assert (hours.var_from.hour, hours.var_from.minute, hours.to.hour, hours.to.minute) == (4, 30, 15, 30)
    assert hours.days == list(DAYS)
    assert others == [None, None]


def test_mms_goes_out_in_its_parts_and_without_dlt_ids() -> None:
    mms = Mms(
        title="Your parcel",
        fallback_text="Your parcel is here",
        parts=(
            Part("text", "It is here.", "t1"),
            Part("url", "https://example.org/p.jpg", None, "image/jpeg"),
            Part("smil", "<smil/>"),
            Part("uploaded", "f00d", "p2"),
        ),
    )
    message = outgoing("447700900001", text=None, mms=json.dumps(mms.as_json()))
    request = send_request(Channel.MMS, BULK, [message], 0.0, HOOK, NOW)
    assert request.path == "/mms/2/messages"
    assert json.loads(request.body) == {
        "messages": [
            {
                "sender": "KITEBK",
                "destinations": [{"to": "447700900001", "messageId": message.wire_id}],
                "content": {
                    "title": "Your parcel",
                    "messageSegments": [
                        {"type": "TEXT", "text": "It is here.", "contentId": "t1"},
                        {"type": "LINK", "contentUrl": "https://example.org/p.jpg", "contentType": "image/jpeg"},
                        {"type": "SMIL", "smil": "<smil/>", "contentType": "application/smil"},
                        {"type": "UPLOADED_REFERENCE", "uploadedContentId": "f00d", "contentId": "p2"},
                    ],
                },
                "options": {"validityPeriod": {"amount": 3600, "timeUnit": "SECONDS"}},
                "webhooks": {
                    "delivery": {"url": HOOK, "intermediateReport": True},
                    "contentType": "application/json",
                    "callbackData": "order-5512",
                },
            }
        ],
        "options": {"schedule": {"bulkId": str(BULK)}},
    }


@pytest.mark.parametrize(
    ("channel", "path"), [(Channel.SMS, "/sms/1/inbox/reports"), (Channel.MMS, "/mms/1/inbox/reports")]
)
def test_an_inbox_is_asked_where_its_channel_has_it(channel: Channel, path: str) -> None:
    assert inbox_query(channel, 7) == (path, {"limit": "7"})


def test_pictures_of_a_whole_page_come_in_time() -> None:
    """MMS of 1 MB, as base64, at 20 Mbit/s, within the request time-out of 20 s."""
    assert MOST_INBOX_MESSAGES[Channel.MMS] * 1e6 * 4 / 3 * 8 / 20e6 <= 20
