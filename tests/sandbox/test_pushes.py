"""Reports pushed to a webhook: buckets, retries, order, and what is logged of them."""

import socket

import pytest


def test_reports_come_in_buckets_of_a_hundred(sandbox, message, receiver, until):
    sandbox.send(*(message(f"91990000{n:04d}", url=receiver.url) for n in range(250)))
    until(lambda: len(receiver.reports()) == 250)
    assert sorted(len(body["results"]) for body in receiver.bodies) == [50, 100, 100]


def test_failed_push_is_tried_again_after_growing_waits(sandbox, message, receiver, until):
    receiver.statuses = [500, 204, 200]
    sandbox.send(message(message_id="retried", url=receiver.url))
    pushes = until(lambda: found if len(found := sandbox.pushes("retried")) == 3 else None)
    assert [push["status"] for push in pushes] == [500, 204, 200]
    assert pushes[0]["body"] == pushes[1]["body"] == pushes[2]["body"]
    assert {push["webhook"] for push in pushes} == {"sms-report"}
    first, second, third = receiver.arrivals
    assert second - first >= 0.09  # unit + unit * 0 * 0
    assert third - second >= 0.19  # unit + unit * 1 * 1
    assert sandbox.messages()[0]["reports_pushed"] == 1


def test_push_is_given_up_after_the_last_try(sandbox, message, receiver, until):
    receiver.statuses = [503] * 9
    sandbox.send(message(message_id="m-1", url=receiver.url))
    until(lambda: len(receiver.bodies) == 4)
    sandbox.send(message(message_id="m-2", url=receiver.url))
    until(lambda: receiver.reports("m-2"))
    assert len(receiver.reports("m-1")) == 4
    assert sandbox.messages(limit=1)[0]["reports_pushed"] == 0


def test_unreachable_webhook_is_logged_without_a_status(sandbox, message, until):
    sandbox.send(message(message_id="unreachable", url="http://127.0.0.1:1/none"))
    pushes = until(lambda: sandbox.pushes("unreachable"))
    assert pushes[0]["status"] is None


def test_connection_closed_while_idle_is_no_failure(sandbox, message, receiver, until):
    receiver.is_closing_silently = True
    for number in range(3):
        sandbox.send(message(message_id=f"idle-{number}", url=receiver.url))
        pushes = until(lambda number=number: sandbox.pushes(f"idle-{number}"))
        assert [push["status"] for push in pushes] == [200]


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12", b""])
def test_answer_that_is_none_counts_as_a_failure(sandbox, message, until, answer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        sandbox.send(message(message_id="unanswered", url=url))
        for _ in range(2):  # It is tried again.
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
        pushes = until(lambda: found if len(found := sandbox.pushes("unanswered")) >= 2 else None)
    assert {push["status"] for push in pushes} == {None}


def test_emptied_log_does_not_break_a_promise(sandbox, message, receiver, until):
    sandbox.faults(report_seconds=0.2)
    sandbox.send(message(message_id="m-1", url=receiver.url))
    sandbox.http.delete("/sandbox/log")
    assert until(lambda: receiver.reports("m-1"))


def test_lost_report_is_left_to_the_pull(sandbox, message, receiver, until):
    sandbox.faults(report_seconds=0.05, report_lost=1)
    sandbox.send(message(message_id="m-1", url=receiver.url))
    assert until(sandbox.pull)[0]["messageId"] == "m-1"
    assert receiver.bodies == []


def test_repeated_report_comes_twice(sandbox, message, receiver, until):
    sandbox.faults(report_seconds=0.05, report_repeated=1)
    sandbox.send(message(message_id="m-1", url=receiver.url))
    until(lambda: len(receiver.reports("m-1")) == 2)


def test_reordered_report_is_followed_by_an_older_one(sandbox, message, receiver, until):
    sandbox.faults(report_seconds=0.05, report_reordered=1)
    sandbox.send(message(message_id="m-1", url=receiver.url))
    until(lambda: len(receiver.reports("m-1")) == 2)
    assert [report["status"]["id"] for report in receiver.reports("m-1")] == [5, 7]


@pytest.mark.parametrize(("is_asked", "statuses"), [(True, [2, 5]), (False, [5])])
def test_intermediate_report_comes_first_where_asked_for(sandbox, message, receiver, until, is_asked, statuses):
    sandbox.faults(report_seconds=0.2, report_intermediate=1)
    webhooks = {"delivery": {"url": receiver.url, "intermediateReport": is_asked}}
    sandbox.send(message(message_id="m-1", webhooks=webhooks))
    until(lambda: len(receiver.reports("m-1")) == len(statuses))
    assert [report["status"]["id"] for report in receiver.reports("m-1")] == statuses


def test_share_of_reports_repeats_with_its_seed(sandbox, message, receiver, until):
    def lost(seed):
        sandbox.http.delete("/sandbox/log")
        sandbox.faults(report_seconds=0, report_lost=0.5, seed=seed)
        sandbox.send(*(message(message_id=f"m-{n}", url=receiver.url) for n in range(40)))
        return [report["messageId"] for report in until(sandbox.pull)]

    first = lost(7)
    assert 5 < len(first) < 35
    assert lost(7) == first
    assert lost(8) != first
