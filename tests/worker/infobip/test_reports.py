"""Delivery reports and log rows: tolerant of every field, exact about ours."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.infobip.samples import anything
from worker.infobip.reading import BadItem, Unreadable
from worker.infobip.reports import Report, parse_item, parse_reports
from worker.words import Outcome

ID = "01a20405-ce9f-74a6-bc29-443efafb1900"
ITEM: dict[str, Any] = {
    "bulkId": "01a20405-ce9f-74a6-bc29-443efafb1901",
    "price": {"pricePerMessage": 0.0021, "currency": "EUR"},
    "status": {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET"},
    "error": {"groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR", "permanent": False},
    "messageId": f"{ID}-2",
    "to": "919900000001",
    "sender": "KITEBK",
    "sentAt": "2026-11-23T05:30:01.204+0000",
    "doneAt": "2026-11-23T11:00:04.871+0530",
    "messageCount": 1,
    "mccMnc": "40410",
    "callbackData": "tenant=14;kind=order",
    "platform": {"entityId": "tenant-14"},
}


def read(**changes: Any) -> Report:
    item = parse_item({**ITEM, **changes})
    assert isinstance(item, Report)
    return item


def test_a_whole_report_is_read() -> None:
    report = read()
    assert (str(report.message_id), report.attempt) == (ID, 2)
    assert (report.status_id, report.status_name, report.status_group) == (5, "DELIVERED_TO_HANDSET", "DELIVERED")
    assert (report.price, report.currency, report.segment_count) == (Decimal("0.0021"), "EUR", 1)
    assert report.callback_data == "tenant=14;kind=order"
    assert report.done_at == datetime(2026, 11, 23, 5, 30, 4, 871000, tzinfo=UTC)
    assert report.verdict.outcome is Outcome.DELIVERED


@pytest.mark.parametrize(
    "text",
    ["2026-11-23T05:30:00.000+0000", "2026-11-23T05:30:00.000+00:00", "2026-11-23T05:30:00Z", "2026-11-23T05:30:00"],
)
def test_every_form_of_time_is_read(text: str) -> None:
    assert read(doneAt=text).done_at == datetime(2026, 11, 23, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "value", "attribute", "expected"),
    [
        ("mccMnc", 40410, "mcc_mnc", "40410"),
        ("doneAt", "yesterday", "done_at", None),
        ("doneAt", "9999-12-31T23:59:59.999-1200", "done_at", None),
        ("price", "free", "price", None),
        ("price", {"pricePerMessage": "NaN"}, "price", None),
        ("price", {"pricePerMessage": True}, "price", None),
        ("messageCount", "2", "segment_count", 2),
        ("messageCount", 10**12, "segment_count", None),
        ("status", None, "status_id", None),
        ("status", {"id": "5"}, "status_id", 5),
        ("error", [], "error_id", None),
        ("callbackData", "a\0b", "callback_data", "ab"),
        ("callbackData", "\ud800", "callback_data", "?"),
        ("callbackData", None, "callback_data", None),
    ],
)
def test_a_strange_field_costs_that_field_alone(field: str, value: Any, attribute: str, expected: Any) -> None:
    report = read(**{field: value})
    assert getattr(report, attribute) == expected
    assert report.attempt == 2


def test_an_unknown_group_is_kept_and_decides_nothing() -> None:
    report = read(status={"groupId": 42, "groupName": "TELEPORTED", "id": 777, "name": "BEAMED"})
    assert (report.status_group, report.status_name) == ("TELEPORTED", "BEAMED")
    assert report.verdict.outcome is Outcome.PENDING
    assert not report.verdict.is_known


@pytest.mark.parametrize(
    ("group", "label"),
    [
        ("ACCEPTED", "accepted"),
        ("PENDING", "pending"),
        ("UNDELIVERABLE", "undeliverable"),
        ("DELIVERED", "delivered"),
        ("EXPIRED", "expired"),
        ("REJECTED", "rejected"),
        ("Delivered", "other"),
        ("TELEPORTED", "other"),
        (None, "other"),
    ],
)
def test_a_group_has_one_of_few_labels(group: str | None, label: str) -> None:
    assert read(status={"id": 5, "groupName": group}).group_label == label


def test_a_bad_item_stands_beside_the_good_ones() -> None:
    body = json.dumps({"results": [ITEM, None, {"messageId": "theirs"}, ITEM | {"messageId": f"{ID}-1"}]}).encode()
    kinds = [type(item) for item in parse_reports(body)]
    assert kinds == [Report, BadItem, BadItem, Report]


def test_one_report_with_a_lone_surrogate_does_not_cost_the_others() -> None:
    body = json.dumps({"results": [ITEM | {"callbackData": "\ud800"}, ITEM | {"messageId": f"{ID}-1"}]}).encode()
    assert [type(item) for item in parse_reports(body)] == [Report, Report]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"results": 7}', b"{}", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_callback_is_said_to_be_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse_reports(body)


@given(st.dictionaries(st.sampled_from([*ITEM, "extra"]), anything))
def test_no_item_makes_the_parser_fail(changes: dict[str, Any]) -> None:
    item = parse_item({**ITEM, **changes})
    assert isinstance(item, Report | BadItem)
