"""The shapes of Infobip's error bodies.

Flat on `/sms/3/*` and `/mms/2/*`, nested on `/sms/1/*` and `/mms/1/*`, but flat for a 429 of any call: Infobip
documents throttling in no other form. The 400 of an upload has a shape of its own.
Violations are pairs of property path and sentence.
"""

from collections.abc import Callable, Sequence

import orjson

Violations = Sequence[tuple[str, str]]
ErrorBody = Callable[[int, Violations], bytes]

_FLAT = {
    400: ("Request cannot be processed.", "Check the syntax, violations and adjust the request."),
    401: (
        "The request lacks valid authentication credentials for the requested resource.",
        "Check the resources and adjust authentication credentials.",
    ),
    403: (
        "Insufficient permissions to access the requested resource.",
        "Repeat the request with new or different credentials.",
    ),
    429: (
        "Too many requests sent.",
        "Check request rate limit specified in the API endpoint documentation resource.",
    ),
    500: ("Something went wrong.", "Contact the support."),
}
_NESTED = {
    400: ("BAD_REQUEST", "Bad request"),
    401: ("UNAUTHORIZED", "Unauthorized"),
    403: ("FORBIDDEN", "Forbidden"),
    500: ("GENERAL_ERROR", "Something went wrong. Please contact support."),
}


def flat(status: int, violations: Violations = ()) -> bytes:
    description, action = _FLAT[status]
    return orjson.dumps(
        {
            "errorCode": f"E{status}",
            "description": description,
            "action": action,
            "violations": [{"property": path, "violation": sentence} for path, sentence in violations],
            "resources": [],
        }
    )


def nested(status: int, violations: Violations = ()) -> bytes:
    if status == 429:
        return flat(status, violations)
    message_id, text = _NESTED[status]
    exception: dict[str, object] = {"messageId": message_id, "text": text}
    if violations:
        by_path: dict[str, list[str]] = {}
        for path, sentence in violations:
            by_path.setdefault(path, []).append(sentence)
        exception["validationErrors"] = by_path
    return orjson.dumps({"requestError": {"serviceException": exception}})


def of_upload(status: int, violations: Violations = ()) -> bytes:
    """The 400 is a remnant of the first MMS API."""
    if status != 400:
        return nested(status, violations)
    message = "; ".join(f"{path}: {sentence}" for path, sentence in violations)
    return orjson.dumps({"bulkId": "", "messages": [], "errorMessage": message})
