"""Delivery reports and log rows as Infobip sends them: a strange field costs that field, never the report, and a
strange report never its neighbours."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from worker.ids import parse_attempt_id
from worker.infobip.reading import (
    BadItem,
    as_bool,
    as_decimal,
    as_instant,
    as_int,
    as_object,
    as_text,
    read_json,
    results_of,
)
from worker.infobip.statuses import GROUP_LABELS, Verdict, verdict


@dataclass(frozen=True, slots=True)
class Report:
    """One report or log row of one attempt. Times are aware UTC; price is of one message, in major currency units."""

    message_id: UUID
    attempt: int
    status_id: int | None
    status_name: str | None
    status_group: str | None
    error_id: int | None
    error_name: str | None
    error_permanent: bool | None
    callback_data: str | None
    price: Decimal | None
    currency: str | None
    segment_count: int | None
    mcc_mnc: str | None
    sent_at: datetime | None
    done_at: datetime | None
    verdict: Verdict
    body: dict[str, Any]  # as received, for the reports that find no message

    @property
    def bulk_id(self) -> str | None:
        """Of the submission, as Infobip names it: any text."""
        return as_text(self.body.get("bulkId"))

    @property
    def group_label(self) -> str:
        """The status's group as one of a few words, for a metric: "other" where there is none, or an unknown one."""
        return GROUP_LABELS.get(self.status_group or "", "other")


def parse_reports(body: bytes) -> list[Report | BadItem]:
    """Delivery reports in one callback, in the order given. Shape: {"results": [{"messageId", "status"}]}.

    Errors: Unreadable if the body is not JSON or "results" is not a list.
    Source: Infobip, outbound SMS delivery reports (SMS v3).
    """
    return parse_results(read_json(body))


def parse_results(document: Any) -> list[Report | BadItem]:
    """The reports of a callback, or the rows of a log page. Errors: Unreadable if it has no "results" list."""
    return [parse_item(item) for item in results_of(document)]


def parse_item(item: Any) -> Report | BadItem:
    if not isinstance(item, dict):
        return BadItem("not an object", item)
    ours = parse_attempt_id(item.get("messageId"))
    if ours is None:
        return BadItem("the message ID is not one of ours", item)
    status, error, price = (as_object(item.get(key)) for key in ("status", "error", "price"))
    amount = as_decimal(price.get("pricePerMessage"))
    return Report(
        message_id=ours[0],
        attempt=ours[1],
        status_id=as_int(status.get("id")),
        status_name=as_text(status.get("name")),
        status_group=as_text(status.get("groupName")),
        error_id=as_int(error.get("id")),
        error_name=as_text(error.get("name")),
        error_permanent=as_bool(error.get("permanent")),
        callback_data=as_text(item.get("callbackData")),
        price=amount,
        currency=as_text(price.get("currency")) if amount is not None else None,
        segment_count=as_int(item.get("messageCount")),
        mcc_mnc=as_text(item.get("mccMnc")),
        sent_at=as_instant(item.get("sentAt")),
        done_at=as_instant(item.get("doneAt")),
        verdict=read_verdict(status, error),
        body=item,
    )


def read_verdict(status: dict[str, Any], error: dict[str, Any]) -> Verdict:
    """What a `status` and an `error` object say together."""
    return verdict(
        as_int(status.get("id")),
        as_int(status.get("groupId")),
        as_int(error.get("id")),
        as_bool(error.get("permanent")),
        status_name=as_text(status.get("name")),
        error_name=as_text(error.get("name")),
        group_name=as_text(status.get("groupName")),
    )
