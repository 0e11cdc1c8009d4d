"""Delivery reports and log rows as Infobip sends them, read with tolerance: a strange field costs that field, never the
report, and a strange report never its neighbours."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import orjson

from worker.ids import parse_attempt_id
from worker.infobip.statuses import Verdict, verdict

_MOST_INT = 2**31 - 1


class UnreadableCallback(ValueError):
    """The body is not JSON, or has no `results` list."""


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


@dataclass(frozen=True, slots=True)
class BadItem:
    """An entry of `results` that names no message of ours; kept as it came."""

    reason: str
    body: Any


def parse_reports(body: bytes) -> list[Report | BadItem]:
    """Delivery reports in one callback or log page, in the order given. Shape: {"results": [{"messageId", "status"}]}.

    Errors: UnreadableCallback if the body is not JSON or "results" is not a list.
    Source: Infobip, outbound SMS delivery reports (SMS v3) and SMS logs.
    """
    document = read_json(body)
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list):
        raise UnreadableCallback('the body has no "results" list')
    return [parse_item(item) for item in results]


def read_json(body: bytes) -> Any:
    """JSON, lone surrogates and all. Errors: UnreadableCallback."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        # The standard parser also takes what orjson refuses for a whole body: lone surrogates, NaN.
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableCallback(f"the body is not JSON: {type(error).__name__}") from error


def parse_item(item: Any) -> Report | BadItem:
    if not isinstance(item, dict):
        return BadItem("not an object", item)
    ours = parse_attempt_id(item.get("messageId"))
    if ours is None:
        return BadItem("the message ID is not one of ours", item)
    status, error, price = (_object(item, key) for key in ("status", "error", "price"))
    permanent = error.get("permanent")
    amount = _decimal(price.get("pricePerMessage"))
    return Report(
        message_id=ours[0],
        attempt=ours[1],
        status_id=_int(status.get("id")),
        status_name=_text(status.get("name")),
        status_group=_text(status.get("groupName")),
        error_id=_int(error.get("id")),
        error_name=_text(error.get("name")),
        error_permanent=permanent if isinstance(permanent, bool) else None,
        callback_data=_text(item.get("callbackData")),
        price=amount,
        currency=_text(price.get("currency")) if amount is not None else None,
        segment_count=_int(item.get("messageCount")),
        mcc_mnc=_text(item.get("mccMnc")),
        sent_at=_instant(item.get("sentAt")),
        done_at=_instant(item.get("doneAt")),
        verdict=read_verdict(status, error),
        body=item,
    )


def read_verdict(status: dict[str, Any], error: dict[str, Any]) -> Verdict:
    """What a `status` and an `error` object say together."""
    permanent = error.get("permanent")
    return verdict(
        _int(status.get("id")),
        _int(status.get("groupId")),
        _int(error.get("id")),
        permanent if isinstance(permanent, bool) else None,
        status_name=_text(status.get("name")),
        error_name=_text(error.get("name")),
        group_name=_text(status.get("groupName")),
    )


def storable(value: Any) -> Any:
    """The value with what PostgreSQL's JSON cannot hold taken out: NUL, lone surrogates, NaN, depth past 20."""
    return _storable(value, 20)


def _storable(value: Any, depth: int) -> Any:
    match value:
        case str():
            return _clean(value)
        case float() if value != value or value in (float("inf"), float("-inf")):
            return None
        case int() if abs(value) > 2**63 - 1:
            return str(value)[:64]
        case dict():
            return {_clean(str(key)): _storable(item, depth - 1) for key, item in value.items()} if depth else None
        case list():
            return [_storable(item, depth - 1) for item in value] if depth else None
    return value


def _clean(text: str) -> str:
    if "\0" in text:
        text = text.replace("\0", "")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _object(item: dict[str, Any], key: str) -> dict[str, Any]:
    value = item.get(key)
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return _clean(value)
    return str(value)[:64] if isinstance(value, int) and not isinstance(value, bool) else None


def _int(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if abs(value) <= _MOST_INT else None


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and abs(amount) < 10**9 and amount.as_tuple().exponent >= -12 else None  # type: ignore[operator]


def _instant(value: Any) -> datetime | None:
    """`2026-11-23T05:30:00.000+0000`, also with a colon or a Z; UTC where the offset is missing."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
