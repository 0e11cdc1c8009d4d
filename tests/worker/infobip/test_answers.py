"""The bodies of a 200: an answer is read message by message, a log page row by row."""

import json
from typing import Any

import orjson
import pytest

from tests.worker.infobip.samples import INBOUND_SMS, PULLED_MMS
from worker.errors import OutcomeUncertain
from worker.infobip.answers import read_answer, read_inbox_page, read_log_page
from worker.infobip.inbound import Inbound
from worker.infobip.reading import BadItem
from worker.infobip.reports import Report
from worker.words import Outcome

ROW = {"messageId": "01a20405-ce9f-74a6-bc29-443efafb1900-1", "status": {"groupId": 3, "id": 5}}


def test_an_answer_is_read_by_message_and_strange_entries_are_missing() -> None:
    entries = [
        {"messageId": "a", "status": {"groupId": 1, "id": 26}},
        {"messageId": "b", "status": {"groupId": 5, "id": 52, "name": "REJECTED_DESTINATION"}},
        {"messageId": 7, "status": {}},
        {"messageId": "c"},
        None,
    ]
    answer = read_answer(200, orjson.dumps({"messages": entries}))
    assert {key: v.outcome for key, v in answer.verdicts.items()} == {
        "a": Outcome.PENDING,
        "b": Outcome.PERMANENT,
    }
    assert answer.details == {"b": "REJECTED_DESTINATION"}


def test_the_rows_of_a_log_page_are_read_as_reports_are() -> None:
    page = read_log_page(orjson.dumps({"results": [ROW, None]}), None)
    assert [type(row) for row in page.rows] == [Report, BadItem]


@pytest.mark.parametrize(
    ("rows", "given", "following"),
    [
        ([ROW], {"nextCursor": "b"}, "b"),
        ([ROW], {"nextCursor": "a"}, None),
        ([], {"nextCursor": "b"}, None),
        ([ROW], {"nextCursor": 7}, None),
        ([ROW], None, None),
    ],
)
def test_a_page_that_leads_nowhere_new_is_the_last(rows: list[Any], given: Any, following: str | None) -> None:
    assert read_log_page(orjson.dumps({"results": rows, "cursor": given}), "a").cursor == following


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"results": 7}'])
def test_a_page_that_cannot_be_read_tells_nothing(body: bytes) -> None:
    with pytest.raises(OutcomeUncertain):
        read_log_page(body, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad gateway</html>",
        b"[]",
        b"{}",
        b'{"results": {"messageId": "1"}}',
        b'[{"from":"919900000001","text":"STOP"}]',
        b'{"results":[{"from":"919900000001","text":"STOP"',
        "नहीं".encode(),
    ],
)
def test_an_inbox_page_that_cannot_be_read_is_kept_as_it_came(body: bytes) -> None:
    assert read_inbox_page(body) == ([BadItem("unreadable page", body.decode())], 0, False)


def test_of_an_inbox_page_that_cannot_be_read_so_much_is_kept_as_a_row_may_hold() -> None:
    (item,) = read_inbox_page(b"\xff" + b"x" * 100_000).messages
    assert isinstance(item, BadItem)
    assert item.body == "\N{REPLACEMENT CHARACTER}" + "x" * 65_535


def test_an_inbox_page_is_read_message_by_message() -> None:
    page = read_inbox_page(orjson.dumps({"results": [INBOUND_SMS, None], "messageCount": 2, "pendingMessageCount": 40}))
    assert [type(message) for message in page.messages] == [Inbound, BadItem]
    assert (page.pending_count, page.is_readable) == (40, True)


def test_a_page_of_mms_is_read_as_one_of_sms() -> None:
    page = read_inbox_page(orjson.dumps({"results": [PULLED_MMS, None]}))
    assert [type(message) for message in page.messages] == [Inbound, BadItem]
    assert (page.pending_count, page.is_readable) == (0, True)


@pytest.mark.parametrize("pending", [None, "many", -1, 1.5, [], 10**30])
def test_a_strange_count_costs_no_message(pending: Any) -> None:
    body = json.dumps({"results": [INBOUND_SMS], "pendingMessageCount": pending}).encode()
    page = read_inbox_page(body)
    assert [type(message) for message in page.messages] == [Inbound]
    assert page.pending_count == 0


@pytest.mark.parametrize("spoilt", [b"\xff\xfe", b"\x01", b"\\ud800"])
def test_what_spoils_one_text_costs_no_message(spoilt: bytes) -> None:
    body = orjson.dumps({"results": [INBOUND_SMS | {"messageId": "a", "text": "SPOILT"}, INBOUND_SMS]})
    page = read_inbox_page(body.replace(b"SPOILT", b"STOP" + spoilt))
    first, second = page.messages
    assert isinstance(first, Inbound)
    assert isinstance(second, Inbound)
    assert (first.provider_id, first.text is not None and first.text[:4]) == ("a", "STOP")
    assert second.text == INBOUND_SMS["text"]
