"""Inbound messages: whatever comes, what can be read of it is kept, and can be stored."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from infobip_api_client.models import SmsInboundMessageResult

from tests.worker.infobip.samples import INBOUND_SMS, PULLED_MMS, PUSHED_MMS, any_text, anything
from worker.infobip.inbound import (
    MOST_ADDRESS,
    MOST_CALLBACK_DATA,
    MOST_ID,
    MOST_MEDIA,
    MOST_MEDIA_VALUE,
    MOST_TEXT,
    MOST_WORD,
    Inbound,
    parse_inbound,
)
from worker.infobip.reading import BadItem, Unreadable
from worker.words import Channel


def body_of(*items: Any) -> bytes:
    return json.dumps({"results": items, "messageCount": len(items), "pendingMessageCount": 0}).encode()


def read(item: dict[str, Any]) -> Inbound:
    (message,) = parse_inbound(body_of(item))
    assert isinstance(message, Inbound)
    return message


def without(item: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in keys}


def test_a_whole_sms_is_read() -> None:
    assert read(INBOUND_SMS) == Inbound(
        provider_id="817790313235066447",
        channel=Channel.SMS,
        sender="919900000001",
        recipient="919200000009",
        text="STOP order 5512",
        media=None,
        received_at=datetime(2026, 11, 23, 6, 11, 40, 515000, tzinfo=UTC),
        segment_count=1,
        price=Decimal("0.0045"),
        currency="EUR",
        callback_data="inbox-main",
    )


def test_the_whole_sms_is_one_to_infobips_own_sdk() -> None:
    message = SmsInboundMessageResult.from_json(body_of(INBOUND_SMS).decode()).results[0]
    assert message.to_dict() == INBOUND_SMS | {"receivedAt": read(INBOUND_SMS).received_at}


def test_a_whole_mms_is_read_as_it_is_pushed() -> None:
    assert read(PUSHED_MMS) == Inbound(
        provider_id="817790313235066448",
        channel=Channel.MMS,
        sender="41793026727",
        recipient="25256",
        text="Is this the right parcel?\nIt came open.",
        media=[{"content_type": "image/jpeg", "url": "https://media.example.org/123456"}],
        received_at=datetime(2026, 11, 23, 6, 28, 39, 220000, tzinfo=UTC),
        segment_count=None,
        price=Decimal(0),
        currency="EUR",
        callback_data=None,
    )


def test_a_whole_mms_is_read_as_it_is_asked_for() -> None:
    assert read(PULLED_MMS) == Inbound(
        provider_id="817790313235066449",
        channel=Channel.MMS,
        sender="41793026727",
        recipient="25256",
        text="See below",
        media=[{"content_type": "image/gif", "value": "R0lGODlhAQABAAAAACw="}],
        received_at=datetime(2026, 11, 23, 6, 30, 0, 1000, tzinfo=UTC),
        segment_count=2,
        price=Decimal(0),
        currency="Euro",
        callback_data="Some custom data",
    )


@pytest.mark.parametrize(
    ("came", "read_as"),
    [
        ("919900000001", "919900000001"),
        ("+919900000001", "919900000001"),
        ("00919900000001", "919900000001"),
        ("+91 99000-00001", "919900000001"),
        (919900000001, "919900000001"),
        ("25256", "25256"),
        ("+25256", "25256"),
        (25256, "25256"),
        ("08002255", "08002255"),
        ("KITEBK", "KITEBK"),
        (" VK-KITEBK ", "VK-KITEBK"),
        ("KITE\0BK\ud800", "KITEBK?"),
        ("१२३४५", "१२३४५"),
    ],
)
def test_a_number_is_read_as_digits_and_any_other_address_as_it_came(came: Any, read_as: str) -> None:
    message = read(INBOUND_SMS | {"from": came, "to": came})
    assert (message.sender, message.recipient) == (read_as, read_as)


NOBODY = [None, "", "   ", "\0", True, 9.199e11, [], {"phoneNumber": "919900000001"}, "9" * (MOST_ADDRESS + 1)]


@pytest.mark.parametrize("came", NOBODY)
def test_a_message_from_nobody_is_a_bad_item_that_keeps_what_came(came: Any) -> None:
    item = INBOUND_SMS | {"from": came}
    assert parse_inbound(body_of(item)) == [BadItem("it does not say who wrote it", item)]


@pytest.mark.parametrize("came", NOBODY)
def test_a_message_to_nobody_is_kept(came: Any) -> None:
    assert read(INBOUND_SMS | {"to": came}).recipient is None
    assert read(without(INBOUND_SMS, "to")).recipient is None


@pytest.mark.parametrize(
    ("field", "value", "attribute", "expected"),
    [
        ("text", "a\0b\ud800", "text", "ab?"),
        ("text", 5512, "text", "5512"),
        ("text", "S" * (MOST_TEXT + 1), "text", "S" * MOST_TEXT),
        ("receivedAt", "yesterday", "received_at", None),
        ("receivedAt", 1763878300515, "received_at", None),
        ("receivedAt", "2026-11-23T11:41:40.515+0530", "received_at", read(INBOUND_SMS).received_at),
        ("smsCount", "3", "segment_count", 3),
        ("smsCount", 10**12, "segment_count", None),
        ("smsCount", {}, "segment_count", None),
        ("price", "free", "price", None),
        ("price", {"pricePerMessage": "NaN", "currency": "EUR"}, "currency", None),
        ("price", {"pricePerMessage": "0.5"}, "price", Decimal("0.5")),
        ("price", {"pricePerMessage": 1, "currency": "E" * 1000}, "currency", "E" * MOST_WORD),
        ("callbackData", ["a"], "callback_data", None),
        ("callbackData", "c" * 5000, "callback_data", "c" * MOST_CALLBACK_DATA),
        ("message", "what an MMS would have", "channel", Channel.SMS),
        ("message", "what an MMS would have", "text", INBOUND_SMS["text"]),
    ],
)
def test_a_strange_field_costs_that_field_alone(field: str, value: Any, attribute: str, expected: Any) -> None:
    message = read(INBOUND_SMS | {field: value})
    assert getattr(message, attribute) == expected
    assert (message.provider_id, message.sender) == ("817790313235066447", "919900000001")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"keyword": "STOP", "cleanText": "order 5512"}, "STOP order 5512"),
        ({"keyword": "STOP", "cleanText": ""}, "STOP"),
        ({"keyword": "STOP"}, "STOP"),
        ({"cleanText": "hello"}, "hello"),
        ({"text": None, "keyword": "STOP", "cleanText": None}, "STOP"),
        ({"text": "", "keyword": "STOP"}, "STOP"),
        ({"text": ["STOP"], "keyword": "STOP"}, "STOP"),
        ({"text": "STOP it", "keyword": "STOP", "cleanText": "other"}, "STOP it"),
        ({"keyword": "STOP", "cleanText": "S" * MOST_TEXT}, ("STOP " + "S" * MOST_TEXT)[:MOST_TEXT]),
        ({"text": ""}, ""),
        ({"text": {}}, None),
        ({}, None),
    ],
)
def test_a_text_that_is_missing_is_rebuilt_from_its_parts(fields: dict[str, Any], text: str | None) -> None:
    assert read(without(INBOUND_SMS, "text", "keyword", "cleanText") | fields).text == text


MANY_PICTURES = [{"contentType": "image/png", "url": f"https://media.example.org/{n}"} for n in range(MOST_MEDIA + 1)]


@pytest.mark.parametrize(
    ("message", "text", "media"),
    [
        ([], None, None),
        ([{"contentType": "text/plain", "value": ""}], "", None),
        ([{"contentType": " Text/PLAIN ;charset=utf-8", "value": "STOP"}], "STOP", None),
        ([{"value": "STOP"}], "STOP", None),
        ([{"contentType": None, "value": 5512}], "5512", None),
        ([None, 7, "STOP", [], {}, {"contentType": "text/plain", "value": "STOP"}], "STOP", None),
        ([{"contentType": "text/plain", "value": "x" * MOST_TEXT}] * 2, "x" * MOST_TEXT, None),
        (
            [{"contentType": "text/plain", "url": "https://media.example.org/1"}],
            None,
            [{"content_type": "text/plain", "url": "https://media.example.org/1"}],
        ),
        (
            [{"url": "https://media.example.org/1"}],
            None,
            [{"content_type": None, "url": "https://media.example.org/1"}],
        ),
        (
            [{"contentType": "text/x-vcard", "value": "BEGIN"}],
            None,
            [{"content_type": "text/x-vcard", "value": "BEGIN"}],
        ),
        ([{"contentType": ["image/png"], "url": {}, "value": "\0a"}], None, [{"content_type": None, "value": "a"}]),
        (
            [{"contentType": "i" * 1000, "value": "v" * (MOST_MEDIA_VALUE + 1)}],
            None,
            [{"content_type": "i" * MOST_WORD, "value": "v" * MOST_MEDIA_VALUE, "is_cut": True}],
        ),
        (
            MANY_PICTURES,
            None,
            [{"content_type": part["contentType"], "url": part["url"]} for part in MANY_PICTURES[:MOST_MEDIA]],
        ),
        ({"mms_parts": [{"contentType": "text/plain", "value": "STOP"}]}, "STOP", None),
        ({}, None, None),
        ('{"mms_parts": []}', None, None),
        ('{"mms_parts": [{"contentType": "text/plain", "value": "a\\u0000\\ud800b"}]}', "a?b", None),
        # what holds no parts was written as it is
        ("STOP", "STOP", None),
        ("7", "7", None),
        ('{"mms_parts": 7}', '{"mms_parts": 7}', None),
        ('["STOP"]', '["STOP"]', None),
        ("[" * 5000, "[" * 5000, None),
        ("S\0\ud800" * MOST_TEXT, "S?" * (MOST_TEXT // 2), None),
        ("", "", None),
    ],
)
def test_an_mms_is_read_part_by_part(message: Any, text: str | None, media: list[dict[str, Any]] | None) -> None:
    found = read(PUSHED_MMS | {"message": message})
    assert (found.channel, found.text, found.media) == (Channel.MMS, text, media)
    assert found.sender == "41793026727"


def pulled(subject: Any, *texts: Any) -> dict[str, Any]:
    parts = [{"contentType": "text/plain; charset=utf-8", "value": text} for text in texts]
    return PULLED_MMS | {"message": json.dumps({"mms_parts": parts, "subject": subject})}


@pytest.mark.parametrize(
    ("subject", "texts", "text"),
    [
        ("STOP", [], "STOP"),
        ("STOP", [""], "STOP"),
        ("STOP", [" ", "\n"], "STOP"),
        ("S\0TOP\ud800", [], "STOP?"),
        ("S" * (MOST_TEXT + 1), [], "S" * MOST_TEXT),
        ("NoSubject", ["STOP"], "STOP"),
        (None, [""], ""),
        (None, [], None),
        ({"STOP": 1}, [], None),
    ],
)
def test_where_a_pulled_mms_has_no_words_but_its_subject_that_is_what_was_written(
    subject: Any, texts: list[str], text: str | None
) -> None:
    """Some handsets write a subject by themselves: beside other words it must not stand in a keyword's way."""
    assert read(pulled(subject, *texts)).text == text


@pytest.mark.parametrize("given_id", [None, "", "  ", [], 1.5, "i" * (MOST_ID + 1)])
def test_a_message_without_a_usable_id_has_the_same_one_each_time_it_comes(given_id: Any) -> None:
    item = INBOUND_SMS | {"messageId": given_id, "extra": {"deep": ["\0", "\ud800", 1e300, 2**70]}}
    again = dict(reversed(item.items()))
    found = read(item).provider_id
    assert found.startswith("sha256:")
    assert len(found) == len("sha256:") + 64
    assert read(again).provider_id == found


def test_messages_without_an_id_are_told_apart_by_what_they_hold() -> None:
    items = [without(INBOUND_SMS, "messageId") | {"receivedAt": f"2026-11-23T06:11:40.{n}00+0000"} for n in range(10)]
    assert len({read(item).provider_id for item in items}) == 10


def test_an_id_too_long_to_be_kept_is_still_that_of_the_message() -> None:
    item = INBOUND_SMS | {"messageId": "i" * (MOST_ID + 1)}
    assert read(item | {"text": "other"}).provider_id == read(item).provider_id
    assert read(item | {"messageId": "i" * (MOST_ID + 2)}).provider_id != read(item).provider_id
    assert read(item | {"messageId": "i" * MOST_ID}).provider_id == "i" * MOST_ID


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"results": 7}', b"{}", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_push_is_said_to_be_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse_inbound(body)


# Whatever comes. Parts and fields have the right keys more often than not, so that the readers behind them are reached.
WHOLE = [INBOUND_SMS, PUSHED_MMS, PULLED_MMS]
a_part = st.dictionaries(st.sampled_from(["contentType", "value", "url", "contentId"]), any_text | anything, max_size=3)
parts = st.lists(a_part, max_size=3)
a_value = anything | any_text | parts | parts.map(lambda found: json.dumps({"mms_parts": found}))
changes = st.dictionaries(st.sampled_from(sorted({key for item in WHOLE for key in item})), a_value, max_size=4)
strange = anything | changes | st.builds(lambda item, changed: item | changed, st.sampled_from(WHOLE), changes)


def damaged(items: list[Any], at: int, length: int, junk: bytes) -> bytes:
    body = body_of(*items)
    at %= len(body)
    return body[:at] + junk + body[at + length :]


bodies = (
    st.binary(max_size=50)
    | anything.map(lambda document: json.dumps(document).encode())
    | anything.map(lambda results: json.dumps({"results": results}).encode())
    | st.lists(strange, max_size=3).map(lambda items: body_of(*items))
    | st.builds(damaged, st.lists(strange, max_size=2), st.integers(0), st.integers(0, 9), st.binary(max_size=9))
)


def assert_storable(message: Inbound) -> None:
    media = json.dumps(message.media, ensure_ascii=False, allow_nan=False)
    assert "\\u0000" not in media
    for text in (
        message.provider_id,
        message.sender,
        message.recipient or "",
        message.text or "",
        message.currency or "",
        message.callback_data or "",
        media,
    ):
        assert "\0" not in text
        text.encode()
    assert 0 < len(message.provider_id) <= MOST_ID
    assert 0 < len(message.sender) <= MOST_ADDRESS
    assert len(message.text or "") <= MOST_TEXT
    assert message.received_at is None or message.received_at.utcoffset() == timedelta(0)
    assert abs(message.segment_count or 0) < 2**31
    assert message.price is None or message.price.is_finite()


@settings(max_examples=10_000)
@given(bodies)
@example(b'{"results": [' + b"[" * 900 + b"]" * 900 + b"]}")
@example(b'{"results": [{"from": "1", "deep": ' + b"[" * 900 + b"]" * 900 + b"}]}")
@example(b'{"results": [{"from": "1", "long": ' + b"9" * 5000 + b"}]}")
def test_no_push_makes_the_parser_fail_or_gives_what_cannot_be_stored(body: bytes) -> None:
    try:
        found = parse_inbound(body)
    except Unreadable:
        return
    for message in found:
        if isinstance(message, Inbound):
            assert_storable(message)


@given(st.lists(strange, max_size=6), st.tuples(*[st.integers(0, 6)] * 3))
def test_good_messages_beside_strange_ones_are_kept_in_order(strange_items: list[Any], places: tuple[int, ...]) -> None:
    good = [INBOUND_SMS | {"messageId": f"good {n}"} for n in range(3)]
    items = list(strange_items)
    for already, (message, place) in enumerate(zip(good, sorted(places), strict=True)):
        items.insert(place + already, message)
    found = parse_inbound(body_of(*items))
    assert len(found) == len(items)
    kept = [message for message in found if isinstance(message, Inbound) and message.provider_id.startswith("good")]
    assert kept == [read(item) for item in good]
