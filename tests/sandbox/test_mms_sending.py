"""Sending MMS: the answer, the schema's limits, segments, groups, and what the sandbox shows of it."""

import pytest

from sandbox import codes

TEXT = {"type": "TEXT", "text": "Hello"}
LINK = {"type": "LINK", "contentUrl": "https://media.example.org/cover.jpg", "contentType": "image/jpeg"}
SMIL = {"type": "SMIL", "smil": "<smil><body/></smil>", "contentType": "application/smil"}
GOOD = {"sender": "441134960000", "destinations": [{"to": "447700900100"}], "content": {"messageSegments": [TEXT]}}
MONDAY = {"days": ["MONDAY"]}


def in_message(**changes):
    return {"messages": [{**GOOD, **changes}]}


def with_segments(*segments):
    return in_message(content={"messageSegments": list(segments)})


def with_options(**options):
    return in_message(options=options)


def in_request(**options):
    return {"messages": [GOOD], "options": options}


def hour(number, minute=0):
    return {"hour": number, "minute": minute}


M = "messages[0]"
S = f"{M}.content.messageSegments"
STRICT = [
    ({"messages": []}, "messages"),
    ({"messages": [GOOD], "colour": 1}, "colour"),
    (in_message(**{"from": "1"}), f"{M}.from"),
    (in_message(sender=None), f"{M}.sender"),
    ({"messages": [{key: GOOD[key] for key in ("destinations", "content")}]}, f"{M}.sender"),
    (in_message(destinations=[]), f"{M}.destinations"),
    (in_message(destinations=[{}]), f"{M}.destinations[0]"),
    (in_message(destinations=[{"to": "1", "group": [{"to": "2"}]}]), f"{M}.destinations[0]"),
    (in_message(destinations=[{"group": [{"to": "2"}], "messageId": "m"}]), f"{M}.destinations[0]"),
    (in_message(destinations=[{"to": "1", "networkId": 1}]), f"{M}.destinations[0].networkId"),
    (in_message(destinations=[{"to": "1", "messageId": "x" * 201}]), f"{M}.destinations[0].messageId"),
    (in_message(destinations=[{"group": []}]), f"{M}.destinations[0].group"),
    (in_message(destinations=[{"group": [{"to": "1"}] * 201}]), f"{M}.destinations[0].group"),
    (in_message(destinations=[{"group": [{"messageId": "m"}]}]), f"{M}.destinations[0].group[0].to"),
    (in_message(content={"text": "Hello"}), [f"{M}.content.messageSegments", f"{M}.content.text"]),
    (in_message(content={"messageSegments": []}), S),
    (in_message(content={"title": "x" * 67, "messageSegments": [TEXT]}), f"{M}.content.title"),
    (with_segments({"text": "Hello"}), f"{S}[0].type"),
    (with_segments({"type": "VIDEO"}), f"{S}[0].type"),
    (with_segments({"type": "TEXT"}), f"{S}[0].text"),
    (with_segments({"type": "TEXT", "text": "x" * 4097}), f"{S}[0].text"),
    (with_segments({**TEXT, "contentType": "text/plain"}), f"{S}[0].contentType"),
    (with_segments({**TEXT, "contentBase64": "aGk="}), f"{S}[0].contentBase64"),
    (with_segments(TEXT, {"type": "LINK"}), f"{S}[1].contentUrl"),
    (with_segments({**LINK, "contentUrl": "ftp://x/y.jpg"}), f"{S}[0].contentUrl"),
    (with_segments({**LINK, "text": "Hello"}), f"{S}[0].text"),
    (with_segments({"type": "SMIL"}), [f"{S}[0].contentType", f"{S}[0].smil"]),
    (with_segments({**SMIL, "contentType": "text/xml"}), f"{S}[0].contentType"),
    (with_segments({"type": "UPLOADED_REFERENCE"}), f"{S}[0].uploadedContentId"),
    (with_segments({"type": "UPLOADED_REFERENCE", "uploadedContentId": "0F3C"}), f"{S}[0].uploadedContentId"),
    (with_segments({**TEXT, "contentId": "a"}, TEXT, {**LINK, "contentId": "a"}), f"{S}[2].contentId"),
    (with_options(flash=False), f"{M}.options.flash"),
    (with_options(regional={"indiaDlt": {"principalEntityId": "1201"}}), f"{M}.options.regional.indiaDlt"),
    (with_options(regional={"southKorea": {"title": "t"}}), f"{M}.options.regional.southKorea.title"),
    (with_options(smsFailover={"sender": "1"}), f"{M}.options.smsFailover.text"),
    (
        with_options(smsFailover={"text": "t", "regional": {"indiaDlt": {}}}),
        f"{M}.options.smsFailover.regional.indiaDlt",
    ),
    (with_options(validityPeriod={"amount": 0}), f"{M}.options.validityPeriod.amount"),
    (with_options(deliveryTimeWindow={**MONDAY, "from": hour(8)}), f"{M}.options.deliveryTimeWindow"),
    (
        with_options(deliveryTimeWindow={**MONDAY, "from": hour(8), "to": hour(8, 59)}),
        f"{M}.options.deliveryTimeWindow",
    ),
    (in_message(webhooks={"callbackData": "x" * 4001}), f"{M}.webhooks.callbackData"),
    (in_message(webhooks={"delivery": {"url": "ftp://x"}}), f"{M}.webhooks.delivery.url"),
    (in_request(includeSmsCountInResponse=True), "options.includeSmsCountInResponse"),
    (in_request(conversionTracking={}), "options.conversionTracking"),
    (in_request(schedule={"bulkId": "x" * 101}), "options.schedule.bulkId"),
    (in_request(schedule={"sendAt": "2999-01-01T00:00:00.000+0000"}), "options.schedule.sendAt"),
    (in_request(tracking={"shortenUrl": 1}), "options.tracking.shortenUrl"),
]


@pytest.mark.parametrize(("body", "paths"), STRICT, ids=[str(paths) for _, paths in STRICT])
def test_request_outside_the_schema_is_refused_with_the_path_of_its_fault(sandbox, body, paths):
    answer = sandbox.http.post("/mms/2/messages", json=body, headers=sandbox.key)
    assert answer.status_code == 400
    error = answer.json()
    assert set(error) == {"errorCode", "description", "action", "violations", "resources"}
    found = [violation["property"] for violation in error["violations"]]
    assert sorted(found) == ([paths] if isinstance(paths, str) else paths)
    assert sandbox.summary()["accepted"] == 0


def test_request_with_every_field_is_taken_and_answered_for_each_recipient(sandbox):
    uploaded_id = sandbox.upload().json()["uploadedContentId"]
    message = {
        "sender": "441134960000",
        "destinations": [
            {"to": "447700900101", "messageId": "m-1"},
            {"group": [{"to": "447700900102", "messageId": "m-2"}, {"to": "447700900103"}]},
        ],
        "content": {
            "title": "x" * 66,
            "messageSegments": [
                {**SMIL, "contentId": "layout"},
                {**TEXT, "contentId": "words"},
                {**LINK, "contentId": "cover"},
                {"type": "UPLOADED_REFERENCE", "contentId": "badge", "uploadedContentId": uploaded_id},
            ],
        },
        "options": {
            "platform": {"entityId": "tenant-14", "applicationId": "catalogue"},
            "validityPeriod": {"amount": 12, "timeUnit": "HOURS"},
            "deliveryTimeWindow": {"days": ["MONDAY", "FRIDAY"], "from": hour(9), "to": hour(18, 30)},
            "smsFailover": {
                "sender": "441134960000",
                "text": "Reply LIST for a copy.",
                "validityPeriod": {"amount": 60},
                "regional": {"southKorea": {"resellerCode": 123456789}},
            },
            "regional": {"southKorea": {"resellerCode": 123456789}},
            "campaignReferenceId": "winter-2026",
        },
        "webhooks": {
            "delivery": {"url": "http://127.0.0.1:9/x", "intermediateReport": False, "notify": False},
            "contentType": "application/json",
            "callbackData": "tenant=14",
        },
    }
    schedule = {"bulkId": "b-1", "sendAt": "2020-01-01T00:00:00.000+0000", "sendingSpeedLimit": {"amount": 50}}
    answer = sandbox.send_mms(message, schedule=schedule, tracking={"shortenUrl": False, "trackClicks": False})
    assert answer.status_code == 200, answer.text
    third_id = answer.json()["messages"][2]["messageId"]
    status = codes.PENDING_ACCEPTED
    assert answer.json() == {
        "bulkId": "b-1",
        "messages": [
            {"messageId": "m-1", "destination": "447700900101", "status": status},
            {"messageId": "m-2", "destination": "447700900102", "status": status},
            {"messageId": third_id, "destination": "447700900103", "status": status},
        ],
    }


def test_group_may_have_200_members(sandbox, mms):
    members = [{"to": f"4477009{number:05}"} for number in range(200)]
    answer = sandbox.send_mms(mms(destinations=[{"group": members}]))
    assert [entry["destination"] for entry in answer.json()["messages"]] == [member["to"] for member in members]


def test_text_of_more_than_1600_characters_is_refused_message_by_message(sandbox, mms):
    longest, longer = {"type": "TEXT", "text": "x" * 1600}, {"type": "TEXT", "text": "x" * 1601}
    answer = sandbox.send_mms(mms(segments=[longest, longest]), mms(segments=[LINK, longest, longer]))
    assert answer.status_code == 200
    first, second = (entry["status"] for entry in answer.json()["messages"])
    assert first["id"] == 26
    assert (second["groupName"], second["id"], second["name"]) == ("REJECTED", 77, "REJECTED_MESSAGE_TEXT_TOO_LONG")
    summary = sandbox.summary()
    assert (summary["accepted"], summary["refused"]) == (1, 1)


def test_message_id_is_good_once_in_both_channels(sandbox, mms, message):
    def statuses(answer):
        return [entry["status"]["id"] for entry in answer.json()["messages"]]

    assert statuses(sandbox.send_mms(mms(message_id="m-1"), mms(message_id="m-1"))) == [26, 23]
    assert statuses(sandbox.send(message(message_id="m-1"), message(message_id="m-2"))) == [23, 26]
    assert statuses(sandbox.send_mms(mms(message_id="m-2"))) == [23]


def test_accepted_mms_is_shown_with_what_was_sent(sandbox, mms):
    segments = [LINK, TEXT, {"type": "TEXT", "text": "And more."}]
    options = {"validityPeriod": {"amount": 2, "timeUnit": "HOURS"}}
    sandbox.send_mms(mms(message_id="m-1", url="http://127.0.0.1:9/x", segments=segments, options=options))
    (item,) = sandbox.messages(to="447700900100")
    assert item.pop("accepted_at").endswith("+0000")
    assert item.pop("status") in ("PENDING_ENROUTE", "DELIVERED_TO_HANDSET")
    assert item.pop("bulk_id")
    assert item == {
        "message_id": "m-1",
        "to": "447700900100",
        "sender": "441134960000",
        "channel": "mms",
        "title": "Winter list",
        "text": "Hello",
        "content": segments,
        "callback_data": "tenant=14",
        "principal_entity_id": None,
        "content_template_id": None,
        "validity_seconds": 7200,
        "reports_pushed": 0,
    }


def test_mms_without_title_or_text_shows_neither(sandbox, mms):
    sandbox.send_mms(mms(content={"messageSegments": [LINK]}))
    (item,) = sandbox.messages()
    assert (item["title"], item["text"]) == (None, None)


@pytest.mark.parametrize(("key", "status"), [("revoked-1", 401), ("unscoped-1", 403)])
def test_bad_key_is_refused_in_the_shape_of_the_endpoint(sandbox, key, status):
    headers = {"Authorization": f"App {key}"}
    for method, path in (("POST", "/mms/2/messages"), ("GET", "/mms/2/logs"), ("GET", "/mms/2/reports")):
        answer = sandbox.http.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["errorCode"]) == (status, f"E{status}")
    for method, path in (("POST", "/mms/1/content"), ("GET", "/mms/1/inbox/reports")):
        answer = sandbox.http.request(method, path, headers=headers)
        assert answer.status_code == status
        assert answer.json()["requestError"]["serviceException"]["messageId"] in ("UNAUTHORIZED", "FORBIDDEN")


def test_account_without_credit_gets_status_12_for_every_mms(sandbox, mms):
    answer = sandbox.send_mms(mms(), mms("447700900101"), key="nocredit-1")
    assert [entry["status"]["id"] for entry in answer.json()["messages"]] == [12, 12]


def test_foreign_content_type_is_refused(sandbox):
    xml_type = {**sandbox.key, "Content-Type": "application/xml"}
    answer = sandbox.http.post("/mms/2/messages", content=b"<a/>", headers=xml_type)
    assert [violation["property"] for violation in answer.json()["violations"]] == ["Content-Type"]
