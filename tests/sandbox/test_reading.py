"""What Infobip knows afterwards: the logs, as often as asked, and the reports, once each."""

from datetime import UTC, datetime, timedelta

import pytest


def ids(rows):
    return [row["messageId"] for row in rows]


def send_numbered(sandbox, message, count, **more):
    sandbox.send(*(message(f"91990000{n:04d}", f"m-{n}", **more) for n in range(count)), schedule={"bulkId": "b-1"})


def test_log_row_is_pending_first_and_then_final(sandbox, message, until):
    sandbox.faults(report_seconds=0.3)
    sandbox.send(message(message_id="m-1"))
    row = sandbox.logs(messageId="m-1")[0]
    assert row["status"]["groupName"] == "PENDING"
    row = until(lambda: [row for row in sandbox.logs(messageId="m-1") if row["status"]["id"] == 5])[0]
    assert (row["destination"], row["content"], row["mccMnc"]) == (
        "919900000100",
        {"text": "Your order leaves today."},
        "40410",
    )
    assert row["sentAt"] < row["doneAt"]
    assert "to" not in row
    assert "callbackData" not in row


def test_logs_take_ids_repeated_or_separated_by_commas(sandbox, message):
    send_numbered(sandbox, message, 4)
    sandbox.send(message(message_id="m-9"), schedule={"bulkId": "b-2"})
    assert ids(sandbox.logs(messageId="m-1,m-2,unknown")) == ["m-2", "m-1"]
    assert ids(sandbox.logs(messageId=["m-1", "m-2"])) == ["m-2", "m-1"]
    assert ids(sandbox.logs(bulkId="b-2")) == ["m-9"]
    assert len(sandbox.logs(bulkId=["b-1", "b-2"])) == 5
    assert sandbox.logs(bulkId="unknown") == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"destination": "919900000001"}, ["m-1"]),
        ({"sender": "KITEBK"}, ["m-1", "m-0"]),
        ({"sender": "OTHER"}, []),
        ({"mcc": "404", "mnc": "10"}, ["m-1", "m-0"]),
        ({"mcc": "234"}, []),
        ({"sentSince": "2020-01-01T00:00:00.000+0000"}, ["m-1", "m-0"]),
        ({"sentSince": "2020-01-01T00:00:00+00:00", "sentUntil": "2020-01-02T00:00:00Z"}, []),
        ({"entityId": "tenant-14", "applicationId": "orders"}, ["m-1", "m-0"]),
        ({"entityId": "tenant-15"}, []),
        ({"campaignReferenceId": "c-1,c-2"}, ["m-1", "m-0"]),
        ({"generalStatus": "REJECTED"}, []),
        ({"limit": 1}, ["m-1"]),
    ],
)
def test_logs_are_filtered_newest_first(sandbox, message, query, expected):
    options = {"platform": {"entityId": "tenant-14", "applicationId": "orders"}, "campaignReferenceId": "c-1"}
    send_numbered(sandbox, message, 2, options=options)
    assert ids(sandbox.logs(**query)) == expected


def test_logs_filter_by_the_status_of_now(sandbox, message, until):
    sandbox.faults(report_seconds=0.2)
    sandbox.send(message(message_id="m-1"))
    assert ids(sandbox.logs(generalStatus="PENDING")) == ["m-1"]
    until(lambda: ids(sandbox.logs(generalStatus="DELIVERED")) == ["m-1"])


def test_cursor_walks_the_logs_while_more_is_sent(sandbox, message):
    send_numbered(sandbox, message, 5)
    seen, cursor, pages = [], None, 0
    while True:
        query = {"useCursor": "true", "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = sandbox.http.get("/sms/3/logs", params=query, headers=sandbox.key).json()
        seen += ids(page["results"])
        pages += 1
        assert page["cursor"]["limit"] == 2
        cursor = page["cursor"].get("nextCursor")
        if cursor is None:
            break
        sandbox.send(message())
    assert seen == ["m-4", "m-3", "m-2", "m-1", "m-0"]
    assert pages == 3


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=1001", "limit"),
        ("limit=0", "limit"),
        ("colour=1", "colour"),
        ("sentSince=yesterday", "sentSince"),
        ("generalStatus=GONE", "generalStatus"),
        ("useCursor=true&cursor=!!", "cursor"),
        ("messageId=" + "x" * 2049, "messageId"),
        ("sender=a&sender=b", "sender"),
        ("mnc=10", "body"),
    ],
)
def test_bad_query_is_refused_by_name(sandbox, query, name):
    answer = sandbox.http.get(f"/sms/3/logs?{query}", headers=sandbox.key)
    assert answer.status_code == 400
    assert [violation["property"] for violation in answer.json()["violations"]] == [name]


def test_logs_are_throttled_by_the_minute(start_sandbox):
    sandbox = start_sandbox("--logs-per-minute", "3")
    answers = [sandbox.http.get("/sms/3/logs", headers=sandbox.key) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["errorCode"] == "E429"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60


def test_report_is_pulled_once_and_only_when_due(sandbox, message, until):
    sandbox.faults(report_seconds=0.2)
    send_numbered(sandbox, message, 3)
    assert sandbox.pull() == []
    until(lambda: sandbox.logs(generalStatus="DELIVERED"))
    assert ids(sandbox.pull(messageId="m-1")) == ["m-1"]
    assert ids(sandbox.pull(bulkId="b-1", limit=1)) == ["m-0"]
    assert sandbox.pull(bulkId="b-2") == []
    assert ids(sandbox.pull()) == ["m-2"]
    assert sandbox.pull() == []


def test_pulled_report_has_the_fields_of_a_pushed_one(sandbox, message, receiver, until):
    sandbox.send(message(message_id="m-1", url=receiver.url), message(message_id="m-2"))
    pushed = until(lambda: receiver.reports("m-1"))[0]
    pulled = until(lambda: sandbox.pull())[0]
    assert set(pushed) - {"callbackData"} == set(pulled)
    assert "destination" not in pulled


def test_no_report_is_made_where_none_is_wanted(sandbox, message, until):
    sandbox.send(message(message_id="m-1", webhooks={"delivery": {"notify": False}}), message(message_id="m-2"))
    assert ids(until(sandbox.pull)) == ["m-2"]
    assert until(lambda: sandbox.logs(messageId="m-1", generalStatus="DELIVERED"))


def test_scheduled_message_stays_pending_until_its_time(sandbox, message, until):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    sandbox.send(message(message_id="m-1"), schedule={"sendAt": tomorrow.isoformat()})
    sandbox.send(message(message_id="m-2"))
    until(lambda: sandbox.logs(messageId="m-2", generalStatus="DELIVERED"))
    row = sandbox.logs(messageId="m-1")[0]
    assert row["status"]["groupName"] == "PENDING"
    assert row["sentAt"].startswith(f"{tomorrow:%Y-%m-%dT%H:%M}")


def test_emptied_log_is_empty_and_ids_are_fresh(sandbox, message, until):
    sandbox.send(message(message_id="m-1"))
    until(lambda: sandbox.logs(generalStatus="DELIVERED"))
    assert sandbox.http.delete("/sandbox/log").status_code == 204
    assert (sandbox.requests(), sandbox.pushes("m-1"), sandbox.messages(), sandbox.logs()) == ([], [], [], [])
    assert sandbox.pull() == []
    summary = sandbox.summary()
    assert (summary["requests"], summary["accepted"], summary["recipients"]) == (2, 0, 0)  # The two calls just made.
    assert sandbox.send(message(message_id="m-1")).json()["messages"][0]["status"]["id"] == 26


def test_requests_are_logged_with_bodies_as_json_lines_or_list(sandbox, message):
    sandbox.send(message(message_id="m-1"))
    sandbox.logs(messageId="m-1")
    sandbox.http.get("/healthz")
    sent, read = sandbox.requests()
    assert (sent["method"], sent["path"], sent["status"]) == ("POST", "/sms/3/messages", 200)
    assert sent["request"]["messages"][0]["destinations"][0]["messageId"] == "m-1"
    assert sent["response"]["messages"][0]["messageId"] == "m-1"
    assert sent["at"].endswith("+0000")
    assert (read["path"], read["request"]) == ("/sms/3/logs?messageId=m-1", None)
    assert sandbox.http.get("/sandbox/requests").json() == [sent, read]
    assert sandbox.http.get("/sandbox/requests?format=xml").status_code == 422


def test_oldest_requests_leave_a_full_log(start_sandbox, message):
    sandbox = start_sandbox("--log-mebibytes", "1")
    for _ in range(4):
        sandbox.send(*(message(content={"text": "a" * 3000}) for _ in range(150)))
    summary = sandbox.summary()
    assert (summary["requests"], summary["accepted"]) == (4, 600)
    assert summary["requests_dropped_from_log"] == 4 - len(sandbox.requests()) > 0
