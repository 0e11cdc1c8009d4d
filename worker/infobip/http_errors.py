"""What an HTTP status other than 2xx means, and what Infobip says in the body of it: its words, and which of our
messages they name."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from worker.errors import CredentialRefused, OutcomeUncertain, RequestRefused, Throttled, Violation
from worker.infobip.payloads import SendRequest
from worker.infobip.reading import Unreadable, as_object, read_json, storable
from worker.words import MOST_WORDS, Channel

LEAST_RETRY_AFTER, MOST_RETRY_AFTER, DEFAULT_RETRY_AFTER = 1.0, 300.0, 2.0  # seconds

_PLACE = re.compile(r"messages\[(\d{1,6})\](?:\.destinations\[(\d{1,6})\])?")


def raise_for_status(
    status: int, headers: Mapping[str, str], body: bytes, channel: Channel, request: SendRequest | None
) -> None:
    """The one place where an HTTP status becomes an error of ours. `request` is None for a question of the logs.

    Errors: every SendError but NotSent, which had no answer.
    """
    if 200 <= status < 300:
        return
    document = _document(body)
    words = f"HTTP {status}: {_words(document)}"
    if status == 429:
        raise Throttled(words, _retry_after(headers))
    if status == 408 or status >= 500:
        raise OutcomeUncertain(words)
    if status in (400, 413, 422):
        raise RequestRefused(words, _violations(document, request))
    raise CredentialRefused(words, only_channel=channel if status == 403 else None)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait, from a number or an HTTP date, within bounds that neither hammer nor sleep for hours."""
    header = headers.get("Retry-After", "")
    seconds = DEFAULT_RETRY_AFTER
    try:
        seconds = float(header)
    except ValueError:
        with suppress(ValueError, TypeError):
            # By the clock that set the date, where the answer tells it: ours may be wrong.
            now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)
            seconds = (parsedate_to_datetime(header) - now).total_seconds()
    if seconds != seconds:  # "nan" is a float too
        seconds = DEFAULT_RETRY_AFTER
    return min(max(seconds, LEAST_RETRY_AFTER), MOST_RETRY_AFTER)


def _words(document: dict[str, Any]) -> str:
    """What an error body says, for people: flat (`description`, `action`), nested (`serviceException.text`), or that of
    a refused upload (`errorMessage`)."""
    nested = _nested(document)
    words = [document.get("errorCode"), document.get("description"), document.get("action")]
    words += [nested.get("messageId"), nested.get("text"), document.get("errorMessage")]
    said = ". ".join(word for word in words if isinstance(word, str) and word)
    return said[:MOST_WORDS] or "no explanation"


def _violations(document: dict[str, Any], request: SendRequest | None) -> tuple[Violation, ...]:
    """The violations in an error body, one for each message they name, or with no index where they name none."""
    flat = document.get("violations")
    named = [
        (str(item.get("property") or ""), str(item.get("violation") or ""))
        for item in (flat if isinstance(flat, list) else [])
        if isinstance(item, dict)
    ]
    for name, texts in as_object(_nested(document).get("validationErrors")).items():
        named.append((str(name), "; ".join(map(str, texts)) if isinstance(texts, list) else str(texts)))
    return tuple(violation for name, words in named for violation in _placed(name, words, request))


def _placed(name: str, words: str, request: SendRequest | None) -> list[Violation]:
    said = f"{name}: {words}"[:MOST_WORDS]
    found = _PLACE.search(name)
    if request is None or found is None:
        return [Violation(None, said)]
    destination = int(found[2]) if found[2] is not None else None
    indexes = request.messages_at(int(found[1]), destination)
    return [Violation(index, said) for index in indexes] or [Violation(None, said)]


def _document(body: bytes) -> dict[str, Any]:
    try:
        return as_object(storable(read_json(body)))
    except Unreadable:
        return {}


def _nested(document: dict[str, Any]) -> dict[str, Any]:
    return as_object(as_object(document.get("requestError")).get("serviceException"))
