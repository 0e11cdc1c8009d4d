"""Sending: the answer, duplicates, strictness, validity, keys, and what the sandbox shows of it."""

import time

import pytest

from sandbox.text import measure
from sandbox.wire import seconds_of

GOOD = {"destinations": [{"to": "919900000100"}], "content": {"text": "Hello"}}
LONG = "x" * 4001


def in_message(**changes):
    return {"messages": [{**GOOD, **changes}]}


def with_options(**options):
    return in_message(options=options)


def window(from_hour, from_minute, to_hour, to_minute):
    start, end = {"hour": from_hour, "minute": from_minute}, {"hour": to_hour, "minute": to_minute}
    return with_options(deliveryTimeWindow={"days": ["MONDAY"], "from": start, "to": end})


STRICT = [
    ({"messages": [GOOD], "colour": 1}, "colour"),
    ({"messages": []}, "messages"),
    ({}, "messages"),
    ([], "body"),
    (in_message(**{"from": "KITEBK"}), "messages[0].from"),
    (in_message(sender=5), "messages[0].sender"),
    (in_message(sender=None), "messages[0].sender"),
    (in_message(destinations=[]), "messages[0].destinations"),
    (in_message(destinations=[{"to": "1" * 65}]), "messages[0].destinations[0].to"),
    (in_message(destinations=[GOOD["destinations"][0], {"to": 919900000100}]), "messages[0].destinations[1].to"),
    (in_message(destinations=[{"to": "1", "messageId": "x" * 201}]), "messages[0].destinations[0].messageId"),
    (in_message(destinations=[{"to": "1", "networkId": 2**31}]), "messages[0].destinations[0].networkId"),
    (in_message(content={}), "messages[0].content"),
    (in_message(content={"text": "a", "hex": "61"}), "messages[0].content"),
    (in_message(content={"text": "a", "transliteration": "KLINGON"}), "messages[0].content.transliteration"),
    (
        in_message(content={"text": "a", "language": {"languageCode": "HI"}}),
        "messages[0].content.language.languageCode",
    ),
    (in_message(content={"text": "a", "language": {"singleShift": 1}}), "messages[0].content.language.singleShift"),
    (in_message(webhooks={"callbackData": LONG}), "messages[0].webhooks.callbackData"),
    (in_message(webhooks={"delivery": {"contentType": "a/b"}}), "messages[0].webhooks.delivery.contentType"),
    (in_message(webhooks={"delivery": {"url": "ftp://x"}}), "messages[0].webhooks.delivery.url"),
    (in_message(webhooks={"contentType": "application/xml"}), "messages[0].webhooks.contentType"),
    (with_options(validityPeriod={}), "messages[0].options.validityPeriod.amount"),
    (with_options(validityPeriod={"amount": 1.5}), "messages[0].options.validityPeriod.amount"),
    (with_options(validityPeriod={"amount": 1, "timeUnit": "DAYS"}), "messages[0].options.validityPeriod.timeUnit"),
    (with_options(flash="true"), "messages[0].options.flash"),
    (with_options(campaignReferenceId="x" * 256), "messages[0].options.campaignReferenceId"),
    (with_options(platform={"entityId": "x" * 256}), "messages[0].options.platform.entityId"),
    (with_options(regional={"indiaDlt": {}}), "messages[0].options.regional.indiaDlt.principalEntityId"),
    (
        with_options(regional={"indiaDlt": {"principalEntityId": "1", "peId": "1"}}),
        "messages[0].options.regional.indiaDlt.peId",
    ),
    (with_options(deliveryTimeWindow={"days": []}), "messages[0].options.deliveryTimeWindow.days"),
    (
        with_options(deliveryTimeWindow={"days": ["MONDAY"], "from": {"hour": 24, "minute": 0}}),
        "messages[0].options.deliveryTimeWindow.from.hour",
    ),
    (
        with_options(deliveryTimeWindow={"days": ["MONDAY"], "from": {"hour": 4, "minute": 30}}),
        "messages[0].options.deliveryTimeWindow",
    ),
    (
        with_options(deliveryTimeWindow={"days": ["MONDAY"], "to": {"hour": 4, "minute": 30}}),
        "messages[0].options.deliveryTimeWindow",
    ),
    (window(8, 0, 8, 59), "messages[0].options.deliveryTimeWindow"),
    (window(23, 30, 0, 15), "messages[0].options.deliveryTimeWindow"),
    (window(8, 0, 8, 0), "messages[0].options.deliveryTimeWindow"),
    ({"messages": [GOOD], "options": {"schedule": {"bulkId": "x" * 101}}}, "options.schedule.bulkId"),
    ({"messages": [GOOD], "options": {"schedule": {"sendAt": "2026-11-23"}}}, "options.schedule.sendAt"),
    ({"messages": [GOOD], "options": {"schedule": {"sendAt": 1795000000}}}, "options.schedule.sendAt"),
    (
        {"messages": [GOOD], "options": {"schedule": {"sendAt": "2999-01-01T00:00:00.000+0000"}}},
        "options.schedule.sendAt",
    ),
    (
        {"messages": [GOOD], "options": {"schedule": {"sendingSpeedLimit": {"timeUnit": "HOUR"}}}},
        "options.schedule.sendingSpeedLimit.amount",
    ),
]


@pytest.mark.parametrize(("body", "path"), STRICT, ids=[path for _, path in STRICT])
def test_request_outside_the_schema_is_refused_with_the_path_of_its_fault(sandbox, body, path):
    answer = sandbox.http.post("/sms/3/messages", json=body, headers=sandbox.key)
    assert answer.status_code == 400
    error = answer.json()
    assert set(error) == {"errorCode", "description", "action", "violations", "resources"}
    assert [violation["property"] for violation in error["violations"]] == [path]
    assert error["violations"][0]["violation"]
    assert sandbox.summary()["accepted"] == 0


@pytest.mark.parametrize("times", [(8, 0, 9, 0), (23, 30, 0, 30)], ids=["same day", "past midnight"])
def test_delivery_time_window_of_one_hour_is_long_enough(sandbox, times):
    assert sandbox.http.post("/sms/3/messages", json=window(*times), headers=sandbox.key).status_code == 200


def test_broken_json_and_foreign_content_type_are_refused(sandbox):
    json_type = {**sandbox.key, "Content-Type": "application/json"}
    assert sandbox.http.post("/sms/3/messages", content=b"{", headers=json_type).status_code == 400
    xml_type = {**sandbox.key, "Content-Type": "application/xml"}
    assert sandbox.http.post("/sms/3/messages", content=b"<a/>", headers=xml_type).status_code == 400
    assert [entry["request"] for entry in sandbox.requests()] == ["{", "<a/>"]


def test_request_with_every_field_is_taken(sandbox, message):
    everything = message(
        url="http://127.0.0.1:9/x",
        content={
            "text": "Hello",
            "transliteration": "NONE",
            "language": {"languageCode": "NONE", "singleShift": False, "lockingShift": False},
        },
        options={
            "platform": {"entityId": "tenant-14", "applicationId": "orders"},
            "validityPeriod": {"amount": 90, "timeUnit": "MINUTES"},
            "deliveryTimeWindow": {
                "days": ["MONDAY"],
                "from": {"hour": 4, "minute": 30},
                "to": {"hour": 15, "minute": 30},
            },
            "campaignReferenceId": "c-1",
            "regional": {
                "indiaDlt": {"principalEntityId": "12", "contentTemplateId": "13", "telemarketerId": "14"},
                "turkeyIys": {"brandCode": 1, "recipientType": "TACIR"},
                "southKorea": {"title": "t", "resellerCode": 123456789},
            },
            "flash": False,
        },
        webhooks={"delivery": {"intermediateReport": True, "notify": False}, "contentType": "application/json"},
    )
    binary = message(content={"hex": "48 65", "dataCoding": 0, "esmClass": 0})
    answer = sandbox.send(
        everything,
        binary,
        schedule={
            "bulkId": "b-1",
            "sendAt": "2020-01-01T00:00:00.000+00:00",
            "sendingSpeedLimit": {"amount": 600, "timeUnit": "MINUTE"},
        },
        tracking={"shortenUrl": False, "trackClicks": False, "removeProtocol": False},
        includeSmsCountInResponse=True,
        conversionTracking={"useConversionTracking": False},
    )
    assert answer.status_code == 200, answer.text
    text_entry, binary_entry = answer.json()["messages"]
    assert text_entry["details"] == {"messageCount": 1}
    assert "details" not in binary_entry


def test_message_id_is_good_once(sandbox, message):
    first = sandbox.send(message(message_id="m-1"), message(message_id="m-1")).json()["messages"]
    assert [entry["status"]["id"] for entry in first] == [26, 23]
    assert sandbox.send(message(message_id="m-1")).json()["messages"][0]["status"]["id"] == 23
    summary = sandbox.summary()
    assert (summary["requests"], summary["accepted"], summary["duplicates_refused"]) == (2, 1, 2)
    assert (summary["recipients"], summary["most_acceptances_of_one_recipient"]) == (1, 1)


def test_missing_ids_are_made_up(sandbox, message):
    answer = sandbox.send(message()).json()
    assert answer["bulkId"]
    assert answer["messages"][0]["messageId"] == sandbox.messages()[0]["message_id"]


def test_accepted_message_is_shown_with_what_was_sent(sandbox, message):
    dlt = {"indiaDlt": {"principalEntityId": "1201", "contentTemplateId": "1207"}}
    options = {"regional": dlt, "validityPeriod": {"amount": 2, "timeUnit": "HOURS"}}
    before = time.time()
    sandbox.send(message(message_id="m-1", url="http://127.0.0.1:9/x", options=options), schedule={"bulkId": "b-1"})
    item = sandbox.messages(to="919900000100")[0]
    assert item.pop("accepted_at").endswith("+0000")
    assert item.pop("status") in ("PENDING_ENROUTE", "DELIVERED_TO_HANDSET")
    assert item == {
        "message_id": "m-1",
        "bulk_id": "b-1",
        "to": "919900000100",
        "sender": "KITEBK",
        "channel": "sms",
        "text": "Your order leaves today.",
        "callback_data": "tenant=14",
        "principal_entity_id": "1201",
        "content_template_id": "1207",
        "validity_seconds": 7200,
        "reports_pushed": 0,
    }
    assert time.time() - before < 5


@pytest.mark.parametrize(
    ("period", "seconds"),
    [
        (None, 172_800),
        ({"amount": 90}, 5_400),
        ({"amount": 25, "timeUnit": "SECONDS"}, 25),
        ({"amount": 720, "timeUnit": "HOURS"}, 172_800),
    ],
)
def test_validity_is_minutes_by_default_and_two_days_at_most(period, seconds):
    assert seconds_of(period) == seconds


def test_messages_are_paged_in_the_order_of_acceptance(sandbox, message):
    for number in range(5):
        sandbox.send(message(message_id=f"m-{number}"))
    seen, cursor = [], None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = sandbox.http.get("/sandbox/messages", params=query).json()
        seen += [item["message_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"m-{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Basic YTpi", 401),
        ("App", 401),
        ("App revoked-1", 401),
        ("App unscoped-1", 403),
    ],
)
def test_bad_key_is_refused_in_the_shape_of_the_endpoint(sandbox, authorization, status):
    headers = {"Authorization": authorization} if authorization else {}
    for method, path in (("POST", "/sms/3/messages"), ("GET", "/sms/3/logs"), ("GET", "/sms/3/reports")):
        answer = sandbox.http.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["errorCode"]) == (status, f"E{status}")
    answer = sandbox.http.post("/sms/1/preview", headers=headers)
    assert answer.status_code == status
    assert answer.json()["requestError"]["serviceException"]["messageId"] in ("UNAUTHORIZED", "FORBIDDEN")


def test_account_without_credit_gets_status_12_for_every_message(sandbox, message):
    answer = sandbox.send(message(), message("919900000101"), key="nocredit-1")
    assert answer.status_code == 200
    assert [entry["status"]["id"] for entry in answer.json()["messages"]] == [12, 12]
    assert sandbox.summary()["accepted"] == 0


@pytest.mark.parametrize(
    ("text", "language", "measured"),
    [
        ("a" * 160, None, (1, 0)),
        ("a" * 161, None, (2, 145)),
        ("€" * 80, None, (1, 0)),
        ("न" * 70, None, (1, 0)),
        ("न" * 71, None, (2, 63)),
        ("ğ" * 98, "TR", (1, 57)),
        ("😀" * 36, None, (2, 62)),
    ],
)
def test_parts_are_counted_by_alphabet(text, language, measured):
    assert measure(text, language) == measured


def test_text_of_more_than_25_parts_is_refused(sandbox, message):
    answer = sandbox.send(message(content={"text": "a" * (25 * 153 + 1)}), message(content={"text": "a" * 25 * 153}))
    assert [entry["status"]["id"] for entry in answer.json()["messages"]] == [25, 26]


def test_preview_counts_as_infobip_shows_it(sandbox):
    body = {"text": "Mesaj gönderimi yapmadan önce önizleme seçeneğini kullanın.", "languageCode": "TR"}
    answer = sandbox.http.post("/sms/1/preview", json=body, headers=sandbox.key).json()
    assert answer["originalText"] == body["text"]
    assert [entry["charactersRemaining"] for entry in answer["previews"]] == [11, 96]
    assert answer["previews"][1]["configuration"] == {"language": {"languageCode": "TR"}}
    refused = sandbox.http.post("/sms/1/preview", json={"txt": "a"}, headers=sandbox.key)
    assert refused.status_code == 400
    assert set(refused.json()["requestError"]["serviceException"]["validationErrors"]) == {"text", "txt"}
