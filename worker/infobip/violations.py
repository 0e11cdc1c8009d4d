"""Infobip's two error bodies: its words, and which of our messages they name."""

import re
from typing import Any

from worker.errors import Violation
from worker.infobip.payloads import SendRequest
from worker.infobip.reports import UnreadableCallback, read_json, storable

_PLACE = re.compile(r"messages\[(\d{1,6})\](?:\.destinations\[(\d{1,6})\])?")
_MOST_WORDS = 500  # characters kept of Infobip's text


def error_words(body: bytes) -> str:
    """What an error body says, for people: flat (`description`, `action`) or nested (`serviceException.text`)."""
    document = _document(body)
    nested = _nested(document)
    words = [document.get("errorCode"), document.get("description"), document.get("action")]
    words += [nested.get("messageId"), nested.get("text")]
    said = ". ".join(word for word in words if isinstance(word, str) and word)
    return said[:_MOST_WORDS] or "no explanation"


def read_violations(body: bytes, request: SendRequest | None) -> tuple[Violation, ...]:
    """The violations in an error body, one for each message they name, or with no index where they name none."""
    document = _document(body)
    flat = document.get("violations")
    named = [
        (str(item.get("property") or ""), str(item.get("violation") or ""))
        for item in (flat if isinstance(flat, list) else [])
        if isinstance(item, dict)
    ]
    nested = _nested(document).get("validationErrors")
    for name, texts in (nested if isinstance(nested, dict) else {}).items():
        named.append((str(name), "; ".join(map(str, texts)) if isinstance(texts, list) else str(texts)))
    return tuple(violation for name, words in named for violation in _placed(name, words, request))


def _placed(name: str, words: str, request: SendRequest | None) -> list[Violation]:
    said = f"{name}: {words}"[:_MOST_WORDS]
    found = _PLACE.search(name)
    if request is None or found is None:
        return [Violation(None, said)]
    destination = int(found[2]) if found[2] is not None else None
    indexes = request.messages_at(int(found[1]), destination)
    return [Violation(index, said) for index in indexes] or [Violation(None, said)]


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = storable(read_json(body))
    except UnreadableCallback:
        return {}
    return document if isinstance(document, dict) else {}


def _nested(document: dict[str, Any]) -> dict[str, Any]:
    error = document.get("requestError")
    exception = error.get("serviceException") if isinstance(error, dict) else None
    return exception if isinstance(exception, dict) else {}
