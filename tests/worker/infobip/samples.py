"""What these tests send, what Infobip sends of inbound messages, and whatever JSON can hold."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from worker.ids import new_id
from worker.infobip.payloads import Content, Outgoing
from worker.windows import Window

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
BULK = UUID("01a20405-ce9f-74a6-bc29-443efafb1900")
HOOK = "https://example.org/webhooks/infobip/x/y/reports"
CONTENT = Content(
    sender="KITEBK",
    text="Your parcel is on its way",
    mms=None,
    callback_data="order-5512",
    principal_entity_id="1201150000000000001",
    content_template_id="1207160000000000001",
    transliteration=None,
    language=None,
)

# As handsets write, and Infobip hands over: an SMS has one form, pushed or asked for; an MMS has one of each.
INBOUND_SMS: dict[str, Any] = {
    "applicationId": "order-notices",
    "messageId": "817790313235066447",
    "from": "919900000001",
    "to": "919200000009",
    "text": "STOP order 5512",
    "cleanText": "order 5512",
    "keyword": "STOP",
    "receivedAt": "2026-11-23T06:11:40.515+0000",
    "smsCount": 1,
    "price": {"pricePerMessage": 0.0045, "currency": "EUR"},
    "callbackData": "inbox-main",
    "entityId": "tenant-14",
    "campaignReferenceId": "order-notices-2026w47",
}
PUSHED_MMS: dict[str, Any] = {
    "entityId": None,
    "applicationId": None,
    "from": "41793026727",
    "to": "25256",
    "receivedAt": "2026-11-23T06:28:39.220+0000",
    "messageId": "817790313235066448",
    "pairedMessageId": None,
    "callbackData": None,
    "userAgent": "iPhone_12_Pro_Max_A2342",
    "message": [
        {"contentType": "image/jpeg", "url": "https://media.example.org/123456"},
        {"contentType": "text/plain", "value": "Is this the right parcel?"},
        {"contentType": "text/plain; charset=utf-8", "value": "It came open."},
    ],
    "group": [{"to": "25256"}, {"cc": "41793026888"}],
    "price": {"pricePerMessage": 0, "currency": "EUR"},
}
PULLED_MMS: dict[str, Any] = {
    "messageId": "817790313235066449",
    "to": "25256",
    "from": "41793026727",
    "message": json.dumps(
        {
            "mms_parts": [
                {"origin": "text", "contentType": "text/plain; charset=utf-8", "contentId": "c0", "value": "See below"},
                {"origin": "data", "contentType": "image/gif", "contentId": "c1", "value": "R0lGODlhAQABAAAAACw="},
            ],
            "userAgent": "motogstylus5g",
            "priority": None,
            "subject": None,
        }
    ),
    "receivedAt": "2026-11-23T06:30:00.001+0000",
    "mmsCount": 2,
    "callbackData": "Some custom data",
    "price": {"pricePerMessage": 0, "currency": "Euro"},
}

any_text = st.text(st.characters(exclude_categories=[]), max_size=20)  # lone surrogates too
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)


def outgoing(
    recipient: str = "919900000001",
    *,
    number: int = 1,
    remaining_seconds: float = 3600.9,
    window: Window | None = None,
    **content: str | None,
) -> Outgoing:
    return Outgoing(new_id(), number, recipient, remaining_seconds, CONTENT._replace(**content), window)
