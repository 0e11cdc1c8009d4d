"""The bodies of a 200: an answer is read message by message, a log page row by row."""

from typing import Any

import orjson
import pytest

from worker.errors import OutcomeUncertain
from worker.infobip.answers import read_answer, read_log_page
from worker.infobip.reports import BadItem, Report
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
