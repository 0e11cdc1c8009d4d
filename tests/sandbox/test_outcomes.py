"""The last four digits of a recipient choose what becomes of a message."""

import pytest

from sandbox import codes
from sandbox.outcomes import network_of, outcome_of, refusal_of

FAILURES = [
    ("919900009001", 27, "EC_ABSENT_SUBSCRIBER", False),
    ("919900009002", 27, "EC_ABSENT_SUBSCRIBER", False),
    ("919900009003", 1, "EC_UNKNOWN_SUBSCRIBER", True),
    ("919900009008", 4129, "EC_TEMPLATE_NOT_MATCHED", True),
]


def report_of(receiver, message_id):
    return next(iter(receiver.reports(message_id)), None)


def test_ordinary_number_is_delivered_with_price_network_and_callback_data(sandbox, receiver, message, until):
    answer = sandbox.send(
        message(message_id="m-1", url=receiver.url, options={"campaignReferenceId": "c-1"}), schedule={"bulkId": "b-1"}
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "bulkId": "b-1",
        "messages": [{"messageId": "m-1", "destination": "919900000100", "status": codes.PENDING_ACCEPTED}],
    }
    report = until(lambda: report_of(receiver, "m-1"))
    assert report["status"] == codes.DELIVERED_TO_HANDSET
    assert report["error"] == codes.NO_ERROR
    assert report["price"] == {"pricePerMessage": 0.0021, "currency": "EUR"}
    assert (report["bulkId"], report["to"], report["sender"]) == ("b-1", "919900000100", "KITEBK")
    assert (report["mccMnc"], report["messageCount"], report["callbackData"]) == ("40410", 1, "tenant=14")
    assert report["campaignReferenceId"] == "c-1"
    assert report["sentAt"].endswith("+0000")
    assert report["sentAt"] < report["doneAt"]


@pytest.mark.parametrize(("to", "error_id", "name", "is_permanent"), FAILURES)
def test_failing_number_gets_status_9_and_its_error(
    sandbox, receiver, message, until, to, error_id, name, is_permanent
):
    sandbox.send(message(to, "m-1", receiver.url))
    report = until(lambda: report_of(receiver, "m-1"))
    assert report["status"]["id"] == 9
    assert report["status"]["groupName"] == "UNDELIVERABLE"
    assert (report["error"]["id"], report["error"]["name"], report["error"]["permanent"]) == (
        error_id,
        name,
        is_permanent,
    )
    assert sandbox.logs(messageId="m-1")[0]["error"] == report["error"]


def test_absent_subscriber_is_there_at_the_second_attempt(sandbox, receiver, message, until):
    for attempt in ("m-1", "m-2"):
        sandbox.send(message("919900009001", attempt, receiver.url))
    until(lambda: report_of(receiver, "m-1") and report_of(receiver, "m-2"))
    assert report_of(receiver, "m-1")["status"]["id"] == 9
    assert report_of(receiver, "m-2")["status"]["id"] == 5


def test_attempts_count_from_the_emptying_of_the_log(sandbox, message):
    sandbox.send(message("919900009001"))
    sandbox.http.delete("/sandbox/log")
    sandbox.send(message("919900009001", "m-1"))
    assert sandbox.summary()["most_acceptances_of_one_recipient"] == 1


def test_absent_subscriber_stays_absent_under_9002():
    assert outcome_of("919900009002", 7).error == codes.ABSENT_SUBSCRIBER


def test_unpushed_report_is_known_to_logs_and_pull(sandbox, receiver, message, until):
    sandbox.send(message("919900009004", "m-1", receiver.url), message("919900000101", "m-2", receiver.url))
    until(lambda: report_of(receiver, "m-2"))
    assert report_of(receiver, "m-1") is None
    assert sandbox.logs(messageId="m-1")[0]["status"]["id"] == 5
    assert [report["messageId"] for report in sandbox.pull()] == ["m-1"]


def test_refused_number_is_not_accepted_but_uses_its_id_and_stands_in_the_logs(sandbox, message):
    answer = sandbox.send(message("919900009005", "m-1")).json()["messages"][0]
    assert (answer["status"]["id"], answer["status"]["groupId"]) == (52, 5)
    assert sandbox.messages() == []
    assert sandbox.send(message("919900009005", "m-1")).json()["messages"][0]["status"]["id"] == 23
    assert sandbox.logs(messageId="m-1")[0]["status"]["id"] == 52
    summary = sandbox.summary()
    assert (summary["accepted"], summary["refused"], summary["duplicates_refused"]) == (0, 1, 1)


@pytest.mark.parametrize(("to", "status"), [("", 51), ("12", 52), ("abc", 52), ("919900009005", 52)])
def test_number_that_cannot_be_one_is_refused(to, status):
    assert refusal_of(to)["id"] == status


def test_9006_is_reported_twice_alike(sandbox, receiver, message, until):
    sandbox.send(message("919900009006", "m-1", receiver.url))
    until(lambda: len(receiver.reports("m-1")) == 2)
    first, second = receiver.reports("m-1")
    assert first == second
    assert until(lambda: sandbox.messages()[0]["reports_pushed"]) == 2


def test_9007_is_delivered_and_then_reported_pending_with_an_older_time(sandbox, receiver, message, until):
    sandbox.send(message("919900009007", "m-1", receiver.url))
    until(lambda: len(receiver.reports("m-1")) == 2)
    first, second = receiver.reports("m-1")
    assert (first["status"]["id"], second["status"]["id"]) == (5, 7)
    assert second["doneAt"] < first["doneAt"]


def test_9009_gets_its_whole_request_refused_without_a_violation(sandbox, message):
    answer = sandbox.send(message(message_id="m-1"), message("919900009009", "m-2"))
    assert answer.status_code == 400
    assert answer.json()["errorCode"] == "E400"
    assert answer.json()["violations"] == []
    assert sandbox.summary()["accepted"] == 0
    assert sandbox.send(message(message_id="m-1")).json()["messages"][0]["status"]["id"] == 26


def test_9010_stays_pending_and_unreported(sandbox, receiver, message, until):
    sandbox.send(message("919900009010", "m-1", receiver.url), message("919900000101", "m-2", receiver.url))
    until(lambda: report_of(receiver, "m-2"))
    assert report_of(receiver, "m-1") is None
    assert sandbox.pull() == []
    row = sandbox.logs(messageId="m-1")[0]
    assert row["status"]["groupName"] == "PENDING"
    assert "doneAt" not in row


@pytest.mark.parametrize(
    ("to", "network"),
    [("919900000001", ("404", "10")), ("+447700900001", ("234", "10")), ("33123456789", ("901", "01"))],
)
def test_network_follows_the_country(to, network):
    assert network_of(to) == network
