"""JSON as Infobip sends it, read with tolerance: a strange value costs that value alone.

The `as_` readers give None, or an empty object, for what is not of their kind. Texts, numbers and times can be stored.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

_MOST_INT = 2**31 - 1
_MOST_DIGITS = 4_000  # Python refuses to read a number of more than 4,300


class Unreadable(ValueError):
    """A body that is not JSON, or lacks what everything in it would hang on."""


@dataclass(frozen=True, slots=True)
class BadItem:
    """An entry of `results` that cannot be used; kept as it came."""

    reason: str
    body: Any


def read_json(body: bytes) -> Any:
    """JSON, with lone surrogates, bare control characters and bytes that are no UTF-8. Errors: Unreadable."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        # The standard parser takes what orjson refuses for a whole body, where it stands in one text of it.
        return json.loads(body.decode("utf-8-sig", "replace"), strict=False, parse_int=_parse_int)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the body is not JSON: {type(error).__name__}") from error


def _parse_int(digits: str) -> int | str:
    """Its first 64 digits, where it is too long for a number."""
    return int(digits) if len(digits) <= _MOST_DIGITS else digits[:64]


def results_of(document: Any) -> list[Any]:
    """The entries of a callback, a log page or a page of the inbox: objects whose "results" list holds them.

    Errors: Unreadable if there is no such list.
    """
    results = as_object(document).get("results")
    if not isinstance(results, list):
        raise Unreadable('the body has no "results" list')
    return results


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


def as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_text(value: Any) -> str | None:
    """Also of an integer, its first 64 digits: codes come as either."""
    if isinstance(value, str):
        return _clean(value)
    return str(value)[:64] if isinstance(value, int) and not isinstance(value, bool) else None


def as_bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def as_int(value: Any) -> int | None:
    """Of 32 bits; also of its digits as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if abs(value) <= _MOST_INT else None


def as_decimal(value: Any) -> Decimal | None:
    """Below a thousand million, with at most 12 decimal places; also of a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    # By its digits: arithmetic fails of a huge exponent, and PostgreSQL refuses one even of a zero.
    is_storable = amount.is_finite() and amount.adjusted() < 9 and amount.as_tuple().exponent >= -12  # type: ignore[operator]
    return amount if is_storable else None


def as_instant(value: Any) -> datetime | None:
    """Of `2026-11-23T05:30:00.000+0000`, also with a colon or a Z: aware UTC, and UTC where the offset is missing."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
