"""What becomes of an MMS: outcomes, reports pushed and pulled, logs, faults."""

import httpx
import pytest

from sandbox import codes
from sandbox.channels import Channel
from sandbox.outcomes import outcome_of

PRICE = {"pricePerMessage": 0.035, "currency": "EUR"}


def ids(rows):
    return [row["messageId"] for row in rows]


def test_report_of_an_mms_is_pushed_whole(sandbox, mms, receiver, until):
    options = {"platform": {"entityId": "tenant-14"}, "campaignReferenceId": "winter-2026"}
    sandbox.send_mms(mms(message_id="m-1", url=receiver.url, options=options), schedule={"bulkId": "b-1"})
    report = dict(until(lambda: receiver.reports("m-1"))[0])
    sent_at, done_at = report.pop("sentAt"), report.pop("doneAt")
    assert sent_at.endswith("+0000")
    assert sent_at < done_at
    assert report == {
        "bulkId": "b-1",
        "messageId": "m-1",
        "to": "447700900100",
        "sender": "441134960000",
        "status": codes.DELIVERED_TO_HANDSET,
        "error": codes.NO_ERROR,
        "price": PRICE,
        "messageCount": 1,
        "mccMnc": "23410",
        "callbackData": "tenant=14",
        "platform": {"entityId": "tenant-14"},
        "campaignReferenceId": "winter-2026",
    }
    (push,) = until(lambda: sandbox.pushes("m-1"))
    assert (push["webhook"], push["status"]) == ("mms-report", 200)


def test_reports_of_both_channels_to_one_url_come_in_bodies_of_their_own(sandbox, mms, message, receiver, until):
    sandbox.send(message(message_id="sms-1", url=receiver.url))
    sandbox.send_mms(mms(message_id="mms-1", url=receiver.url))
    until(lambda: len(receiver.reports()) == 2)
    pushed = until(lambda: found if len(found := sandbox.pushes("sms-1") + sandbox.pushes("mms-1")) == 2 else None)
    assert [push["webhook"] for push in pushed] == ["sms-report", "mms-report"]


@pytest.mark.parametrize(
    ("suffix", "error_id", "is_permanent"), [("9001", 27, False), ("9003", 1, True), ("9011", 15019, True)]
)
def test_failing_number_gets_status_9_and_its_error(sandbox, mms, receiver, until, suffix, error_id, is_permanent):
    sandbox.send_mms(mms(f"44770090{suffix}", "m-1", receiver.url))
    (report,) = until(lambda: receiver.reports("m-1"))
    assert (report["status"]["id"], report["status"]["groupName"]) == (9, "UNDELIVERABLE")
    assert (report["error"]["id"], report["error"]["permanent"]) == (error_id, is_permanent)
    assert sandbox.mms_logs(messageId="m-1")[0]["error"] == report["error"]


@pytest.mark.parametrize(
    ("channel", "suffix", "error"),
    [
        (Channel.SMS, "9008", codes.TEMPLATE_NOT_MATCHED),
        (Channel.MMS, "9008", codes.NO_ERROR),
        (Channel.SMS, "9011", codes.NO_ERROR),
        (Channel.MMS, "9011", codes.NO_MMS_ON_HANDSET),
    ],
)
def test_dlt_is_of_sms_and_the_handset_without_mms_of_mms(channel, suffix, error):
    assert outcome_of(f"91990000{suffix}", 1, channel).error == error


def test_refused_number_and_poisoned_request_are_as_with_sms(sandbox, mms):
    group = [{"to": "447700900100"}, {"to": "447700909009"}]
    assert sandbox.send_mms(mms("447700909005")).json()["messages"][0]["status"]["id"] == 52
    answer = sandbox.send_mms(mms(destinations=[{"group": group}]))
    assert (answer.status_code, answer.json()["violations"]) == (400, [])
    assert sandbox.summary()["accepted"] == 0


def test_attempts_count_in_both_channels_together(sandbox, mms, message, receiver, until):
    """A number is one subscriber: absent for an SMS, there for the MMS that follows."""
    sandbox.send(message("919900009001", "m-1", receiver.url))
    sandbox.send_mms(mms("919900009001", "m-2", receiver.url))
    until(lambda: receiver.reports("m-1") and receiver.reports("m-2"))
    assert receiver.reports("m-2")[0]["status"]["id"] == 5


def test_log_row_has_title_and_content_as_sent(sandbox, mms, until):
    segments = [{"type": "LINK", "contentUrl": "https://media.example.org/cover.jpg", "contentId": "cover"}]
    sandbox.send_mms(mms(message_id="m-1", segments=segments), schedule={"bulkId": "b-1"})
    row = dict(until(lambda: sandbox.mms_logs(messageId="m-1", generalStatus="DELIVERED"))[0])
    assert row.pop("sentAt") < row.pop("doneAt")
    assert row == {
        "bulkId": "b-1",
        "messageId": "m-1",
        "destination": "447700900100",
        "sender": "441134960000",
        "status": codes.DELIVERED_TO_HANDSET,
        "error": codes.NO_ERROR,
        "price": PRICE,
        "messageCount": 1,
        "mccMnc": "23410",
        "title": "Winter list",
        "content": {"title": "Winter list", "messageSegments": segments},
    }


def test_each_channel_has_logs_and_reports_of_its_own(sandbox, mms, message, until):
    sandbox.send(message(message_id="sms-1"), schedule={"bulkId": "b-1"})
    sandbox.send_mms(mms(message_id="mms-1"), schedule={"bulkId": "b-1"})
    until(lambda: sandbox.mms_logs(generalStatus="DELIVERED"))
    assert (ids(sandbox.logs(bulkId="b-1")), ids(sandbox.mms_logs(bulkId="b-1"))) == (["sms-1"], ["mms-1"])
    assert (ids(sandbox.logs()), ids(sandbox.mms_logs(messageId="sms-1,mms-1"))) == (["sms-1"], ["mms-1"])
    assert (ids(sandbox.pull_mms()), ids(sandbox.pull_mms()), ids(sandbox.pull())) == (["mms-1"], [], ["sms-1"])


def test_cursor_walks_the_logs_of_mms_past_sms_between(sandbox, mms, message):
    for number in range(3):
        sandbox.send_mms(mms(message_id=f"m-{number}"))
        sandbox.send(message())
    first = sandbox.ask("/mms/2/logs", useCursor="true", limit=2)
    rest = sandbox.ask("/mms/2/logs", useCursor="true", limit=2, cursor=first["cursor"]["nextCursor"])
    assert ids(first["results"] + rest["results"]) == ["m-2", "m-1", "m-0"]
    assert rest["cursor"] == {"limit": 2}


@pytest.mark.parametrize(("path", "name"), [("/mms/2/logs?colour=1", "colour"), ("/mms/2/reports?limit=1001", "limit")])
def test_bad_query_is_refused_by_name(sandbox, path, name):
    answer = sandbox.http.get(path, headers=sandbox.key)
    assert answer.status_code == 400
    assert [violation["property"] for violation in answer.json()["violations"]] == [name]


def test_logs_of_mms_are_throttled_apart_from_those_of_sms(start_sandbox):
    sandbox = start_sandbox("--logs-per-minute", "2")

    def statuses(path):
        return [sandbox.http.get(path, headers=sandbox.key).status_code for _ in range(3)]

    assert statuses("/sms/3/logs") == statuses("/mms/2/logs") == [200, 200, 429]


@pytest.mark.parametrize(("fault", "status"), [("too_many_requests", 429), ("server_error", 500)])
def test_refused_call_is_not_accepted(sandbox, mms, fault, status):
    sandbox.faults(**{fault: 1})
    assert sandbox.send_mms(mms()).json()["errorCode"] == f"E{status}"
    assert sandbox.upload().status_code == status
    assert sandbox.summary()["accepted"] == 0


@pytest.mark.parametrize(
    ("fault", "accepted"), [("reset_before", 0), ("reset_after", 1), ("timeout_before", 0), ("timeout_after", 1)]
)
def test_unanswered_call_is_accepted_or_not_as_the_fault_says(sandbox, mms, fault, accepted):
    sandbox.faults(**{fault: 1})
    with pytest.raises(httpx.TransportError):
        httpx.post(f"{sandbox.url}/mms/2/messages", json={"messages": [mms()]}, headers=sandbox.key, timeout=0.3)
    assert sandbox.summary()["accepted"] == accepted
    assert (sandbox.requests()[0]["path"], sandbox.requests()[0]["response"]) == ("/mms/2/messages", None)


def test_lost_report_waits_for_the_pull(sandbox, mms, receiver, until):
    sandbox.faults(report_lost=1, report_seconds=0.05)
    sandbox.send_mms(mms(message_id="m-1", url=receiver.url))
    assert ids(until(sandbox.pull_mms)) == ["m-1"]
    assert receiver.reports() == []
