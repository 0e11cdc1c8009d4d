"""A handset writes to us: pushed to a webhook, or kept until it is pulled."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

SENDER, RECIPIENT = "919900000001", "919200000009"
AT = "2026-11-23T06:11:40.515+0000"
FREE = {"pricePerMessage": 0.0, "currency": "EUR"}
PICTURE = {"content_type": "image/jpeg", "url": "https://media.example.org/1.jpg"}


def ids(page):
    return [message["messageId"] for message in page["results"]]


def hours_ago(hours):
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


# The push


@pytest.mark.parametrize(
    ("channel", "webhook", "content"),
    [
        ("sms", "sms-inbound", {"text": "STOP now", "cleanText": "STOP now", "smsCount": 1}),
        ("mms", "mms-inbound", {"message": [{"contentType": "text/plain", "value": "STOP now"}]}),
    ],
)
def test_message_is_pushed_in_the_form_of_its_channel(sandbox, receiver, until, channel, webhook, content):
    sandbox.write("STOP now", url=receiver.url, channel=channel, message_id="in-1", received_at=AT)
    until(lambda: receiver.bodies)
    expected = {"messageId": "in-1", "from": SENDER, "to": RECIPIENT, "receivedAt": AT, "price": FREE, **content}
    assert receiver.bodies == [{"results": [expected], "messageCount": 1, "pendingMessageCount": 0}]
    push = until(lambda: sandbox.pushes("in-1"))[0]
    assert (push["webhook"], push["status"], push["body"]) == (webhook, 200, receiver.bodies[0])


def test_pushed_mms_has_its_media_and_its_text_as_parts(sandbox, receiver, until):
    sandbox.write("Which one?", url=receiver.url, channel="mms", media=[PICTURE], subject="Two shoes")
    sandbox.write("", url=receiver.url, channel="mms", media=[PICTURE])
    link = {"contentType": "image/jpeg", "url": "https://media.example.org/1.jpg"}
    until(lambda: len(receiver.bodies) == 2)
    parts = [message["message"] for body in receiver.bodies for message in body["results"]]
    assert sorted(parts, key=len) == [[link], [link, {"contentType": "text/plain", "value": "Which one?"}]]


def test_message_without_an_id_gets_one_that_is_told(sandbox, receiver, until):
    told = [sandbox.write(url=receiver.url) for _ in range(2)]
    until(lambda: len(receiver.bodies) == 2)
    assert {message["messageId"] for body in receiver.bodies for message in body["results"]} == set(told)
    assert len(set(told)) == 2


@pytest.mark.parametrize(("text", "count"), [("", 1), ("a" * 161, 2), ("रोकें" * 15, 2)])
def test_parts_of_a_text_are_counted(sandbox, text, count):
    sandbox.write(text)
    assert sandbox.inbox()["results"][0]["smsCount"] == count


def test_push_that_is_not_answered_200_comes_again_as_it_was(sandbox, receiver, until):
    receiver.statuses = [500, 204]
    sandbox.write(url=receiver.url, message_id="in-1")
    pushes = until(lambda: found if len(found := sandbox.pushes("in-1")) == 3 else None)
    assert [push["status"] for push in pushes] == [500, 204, 200]
    assert receiver.bodies[0] == receiver.bodies[1] == receiver.bodies[2]


@pytest.mark.parametrize("fault", ["report_lost", "report_repeated", "report_reordered"])
def test_what_is_said_of_reports_does_not_touch_inbound_messages(sandbox, receiver, until, fault):
    sandbox.faults(report_seconds=3600, **{fault: 1})
    for message_id in ("in-1", "in-2"):
        sandbox.write(url=receiver.url, message_id=message_id)
        until(lambda message_id=message_id: sandbox.pushes(message_id))
    assert [ids(body) for body in receiver.bodies] == [["in-1"], ["in-2"]]


def test_messages_that_come_faster_than_they_are_taken_share_a_body(sandbox, receiver, until):
    receiver.may_answer.clear()
    written = [sandbox.write(url=receiver.url) for _ in range(8)]
    until(lambda: len(receiver.bodies) == 8)  # As many as are open at a time.
    written += [sandbox.write(url=receiver.url) for _ in range(150)]
    receiver.may_answer.set()
    until(lambda: len(receiver.bodies) == 10)
    counts = [(len(body["results"]), body["messageCount"], body["pendingMessageCount"]) for body in receiver.bodies]
    assert counts[:8] == [(1, 1, 0)] * 8
    assert sorted(counts[8:]) == [(50, 50, 0), (100, 100, 50)]
    assert sorted(message_id for body in receiver.bodies for message_id in ids(body)) == sorted(written)


def test_message_written_again_is_pushed_again(sandbox, receiver, until):
    for _ in range(2):
        sandbox.write(url=receiver.url, message_id="in-1", received_at=AT)
    until(lambda: len(receiver.bodies) == 2)
    assert receiver.bodies[0] == receiver.bodies[1]


# The pull


def test_each_message_is_pulled_once_the_oldest_first(sandbox):
    written = [sandbox.write() for _ in range(53)]
    pages = [sandbox.inbox(limit=2), sandbox.inbox(), sandbox.inbox(limit=1000), sandbox.inbox()]
    assert [message_id for page in pages for message_id in ids(page)] == written
    assert [page["messageCount"] for page in pages] == [2, 50, 1, 0]
    assert [page["pendingMessageCount"] for page in pages] == [51, 1, 0, 0]


def test_message_goes_one_way_only(sandbox, receiver, until):
    sandbox.write(message_id="pulled", text="YES")
    sandbox.write(message_id="pushed", text="YES", url=receiver.url)
    until(lambda: sandbox.pushes("pushed"))
    assert ids(sandbox.inbox()) == ["pulled"]
    assert [ids(body) for body in receiver.bodies] == [["pushed"]]


def test_pulled_message_has_the_fields_of_a_pushed_one(sandbox, receiver, until):
    for url in ({}, {"url": receiver.url}):
        sandbox.write(message_id="in-1", received_at=hours_ago(1), **url)
    until(lambda: receiver.bodies)
    assert sandbox.inbox()["results"][0].keys() == receiver.bodies[0]["results"][0].keys()


def test_message_older_than_48_hours_is_not_offered(sandbox):
    sandbox.write(message_id="late", received_at=hours_ago(47.9))
    sandbox.write(message_id="too late", received_at=hours_ago(48.1))
    page = sandbox.inbox(limit=1)
    assert (ids(page), page["pendingMessageCount"]) == (["late"], 0)
    assert ids(sandbox.inbox()) == []


@pytest.mark.parametrize("name", ["applicationId", "entityId", "campaignReferenceId"])
def test_who_asks_for_an_application_is_offered_nothing_and_takes_nothing(sandbox, name):
    sandbox.write(message_id="in-1")
    assert sandbox.inbox(**{name: "orders"}) == {"results": [], "messageCount": 0, "pendingMessageCount": 0}
    assert ids(sandbox.inbox()) == ["in-1"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=all", "limit"),
        ("limit=1&limit=2", "limit"),
        ("to=1", "to"),
    ],
)
def test_bad_query_is_refused_by_name_and_takes_nothing(sandbox, query, name):
    sandbox.write(message_id="in-1")
    answer = sandbox.http.get(f"/sms/1/inbox/reports?{query}", headers=sandbox.key)
    assert answer.status_code == 400
    refused = answer.json()["requestError"]["serviceException"]
    assert (refused["messageId"], list(refused["validationErrors"])) == ("BAD_REQUEST", [name])
    assert ids(sandbox.inbox()) == ["in-1"]


@pytest.mark.parametrize(("key", "status"), [("revoked-1", 401), ("unscoped-1", 403)])
def test_key_that_may_not_pull_is_refused_in_the_nested_form(sandbox, key, status):
    answer = sandbox.http.get("/sms/1/inbox/reports", headers={"Authorization": f"App {key}"})
    assert answer.status_code == status
    assert answer.json()["requestError"]["serviceException"]["text"]


def test_throttled_pull_is_answered_in_the_flat_form(sandbox):
    sandbox.faults(too_many_requests=1)
    answer = sandbox.http.get("/sms/1/inbox/reports", headers=sandbox.key)
    assert (answer.status_code, answer.json()["errorCode"]) == (429, "E429")
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        ("too_many_requests", ["in-1"]),
        ("server_error", ["in-1"]),
        ("reset_before", ["in-1"]),
        ("timeout_before", ["in-1"]),
        ("reset_after", []),
        ("timeout_after", []),
    ],
)
def test_pull_that_was_accepted_has_taken_its_messages_though_nobody_got_them(sandbox, fault, left):
    sandbox.write(message_id="in-1")
    sandbox.faults(**{fault: 1})
    try:
        answer = httpx.get(f"{sandbox.url}/sms/1/inbox/reports", headers=sandbox.key, timeout=0.3, trust_env=False)
        assert answer.status_code in (429, 500)
    except httpx.TransportError:
        assert sandbox.requests()[-1]["response"] is None
    sandbox.faults()
    assert ids(sandbox.inbox()) == left


# The pull of MMS


def test_pulled_mms_is_json_within_a_string(sandbox):
    written = {"media": [PICTURE], "subject": "Two shoes", "message_id": "in-1", "received_at": hours_ago(1)}
    sandbox.write("Which one?", channel="mms", **written)
    (message,) = sandbox.mms_inbox()
    received_at, content = message.pop("receivedAt"), json.loads(message.pop("message"))
    assert received_at.endswith("+0000")
    assert message == {"messageId": "in-1", "from": SENDER, "to": RECIPIENT, "mmsCount": 1, "price": FREE}
    picture = {"origin": "link", "contentType": "image/jpeg", "contentId": "content0", "value": PICTURE["url"]}
    text = {"contentType": "text/plain; charset=utf-8", "contentId": "content1", "value": "Which one?"}
    assert content == {
        "mms_parts": [picture, {"origin": "text", **text}],
        "userAgent": None,
        "priority": None,
        "subject": "Two shoes",
    }


def test_each_mms_is_pulled_once_and_apart_from_sms(sandbox):
    for number in range(3):
        sandbox.write(channel="mms", message_id=f"mms-{number}")
    sandbox.write(message_id="sms-1")
    assert sandbox.summary()["inbound_waiting"] == 4
    assert sandbox.mms_inbox(applicationId="orders") == []
    pages = [sandbox.mms_inbox(limit=2), sandbox.mms_inbox(), sandbox.mms_inbox()]
    assert [[message["messageId"] for message in page] for page in pages] == [["mms-0", "mms-1"], ["mms-2"], []]
    assert ids(sandbox.inbox()) == ["sms-1"]


def test_pull_of_mms_knows_no_campaigns(sandbox):
    answer = sandbox.http.get("/mms/1/inbox/reports?campaignReferenceId=c-1", headers=sandbox.key)
    assert answer.status_code == 400
    assert list(answer.json()["requestError"]["serviceException"]["validationErrors"]) == ["campaignReferenceId"]


# The sandbox's own call


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"from": None}, "from"),
        ({"from": ""}, "from"),
        ({"to": 919200000009}, "to"),
        ({"to": "9" * 65}, "to"),
        ({"text": None}, "text"),
        ({"url": None}, "url"),
        ({"url": ""}, "url"),
        ({"url": "ftp://127.0.0.1/inbound"}, "url"),
        ({"url": "127.0.0.1:8000/inbound"}, "url"),
        ({"channel": "voice", "url": "http://127.0.0.1:1/"}, "channel"),
        ({"subject": "Hello"}, "subject"),
        ({"media": [PICTURE]}, "media"),
        ({"channel": "mms", "media": [{**PICTURE, "url": "cid:1"}]}, "media.0.url"),
        ({"channel": "mms", "media": [{"url": PICTURE["url"]}]}, "media.0.content_type"),
        ({"channel": "mms", "media": [{**PICTURE, "size": 1}]}, "media.0.size"),
        ({"message_id": ""}, "message_id"),
        ({"message_id": "x" * 201}, "message_id"),
        ({"received_at": "yesterday"}, "received_at"),
        ({"received_at": "2026-11-23T06:11:40"}, "received_at"),
        ({"received_at": "0001-01-01T00:00:00+0100"}, "received_at"),
        ({"received_at": "9999-12-31T23:59:59-0100"}, "received_at"),
        ({"sender": SENDER}, "sender"),
    ],
)
def test_bad_message_is_refused_by_field_with_the_names_allowed(sandbox, wrong, field):
    answer = sandbox.http.post("/sandbox/inbound", json={"from": SENDER, "to": RECIPIENT, "text": "STOP", **wrong})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert answer.json()["allowed"] == [
        "from",
        "to",
        "text",
        "url",
        "channel",
        "message_id",
        "received_at",
        "media",
        "subject",
    ]
    assert sandbox.summary()["inbound"] == 0


def test_body_that_is_no_json_is_refused(sandbox):
    assert sandbox.http.post("/sandbox/inbound", content=b'{"from": ').status_code == 422


def test_summary_counts_what_was_written_and_what_waits(sandbox, receiver, until):
    sandbox.write()
    sandbox.write()
    sandbox.write(url=receiver.url)
    sandbox.inbox(limit=1)
    summary = sandbox.summary()
    assert (summary["inbound"], summary["inbound_waiting"]) == (3, 1)


def test_emptied_log_leaves_nothing_to_pull_and_no_promise_broken(sandbox, receiver, until):
    receiver.may_answer.clear()
    sandbox.write(message_id="pushed", url=receiver.url)
    until(lambda: receiver.bodies)
    sandbox.write(message_id="kept")
    sandbox.http.delete("/sandbox/log")
    summary = sandbox.summary()
    assert (summary["inbound"], summary["inbound_waiting"], sandbox.inbox()["results"]) == (0, 0, [])
    receiver.may_answer.set()
    assert [push["status"] for push in until(lambda: sandbox.pushes("pushed"))] == [200]
