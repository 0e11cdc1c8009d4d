"""The one error body: application/problem+json (RFC 9457), for every error a caller can meet."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from worker.db import advice, is_away
from worker.logs import log_bug
from worker.refusals import Conflict, Fault, Gone, NotFound, Refusal
from worker.sqlstates import LOCK_NOT_AVAILABLE, has_given_way, sqlstate

_log = structlog.get_logger()

_RETRY_AFTER_SECONDS = 2
_MOST_FAULTS = 1_000
_MOST_READ_FAULTS = 10_000  # of more, pydantic's own list takes many times the memory of the body


class Unauthorized(Refusal):
    title = "Not authorised"


class Forbidden(Refusal):
    title = "Scope missing"


class TooSlow(Refusal):
    title = "Body did not come in time"


class TooLarge(Refusal):
    title = "Body too large"


class UnsupportedBody(Refusal):
    title = "Body of another type expected"


class Unavailable(Refusal):
    title = "Unavailable for now"


STATUS: Mapping[type[Refusal], int] = {  # a kind that is not here has its parent's
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    TooSlow: 408,
    Conflict: 409,
    Gone: 410,
    TooLarge: 413,
    UnsupportedBody: 415,
    Refusal: 422,
    Unavailable: 503,
}
_WORDS = {  # for what pydantic finds of these types
    "extra_forbidden": "is not a field of this request: remove it, or correct its name",
    "missing": "is missing",
    "model_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text (in quotes)",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number: give a smaller one",
    "int_from_float": "must be a whole number",
    "uuid_type": "must be an ID (a UUID, in quotes)",
    "uuid_parsing": "must be an ID (a UUID)",
}
_ALTERNATIVE = re.compile("'([^']*)'")  # in pydantic's list: `'enforce', 'warn' or 'off'`
_HEADERS = {401: {"WWW-Authenticate": 'Bearer realm="delivery"'}}  # what HTTP asks for beside a status


def install(app: FastAPI) -> None:
    """Handlers for what routes and the framework raise; all else ends in `of_bug`, called by the edge."""
    app.add_exception_handler(Refusal, lambda _, error: of_refusal(error))
    app.add_exception_handler(RequestValidationError, lambda _, error: _of_parameters(error))
    app.add_exception_handler(HTTPException, lambda _, error: _of_framework(error))


def problem(
    status: int,
    title: str,
    detail: str,
    faults: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if faults:
        body["errors"] = [
            {"field": fault.field, "message": fault.message}
            if fault.index is None
            else {"index": fault.index, "field": fault.field, "message": fault.message}
            for fault in faults
        ]
    return Response(orjson.dumps(body), status, dict(headers or {}), media_type="application/problem+json")


def of_bug(error: Exception) -> Response:
    """503 where the database is away (also when only a commit's answer was lost), or another holds what is needed for
    longer than one waits, else 500 without internals."""
    if sqlstate(error) == LOCK_NOT_AVAILABLE:
        _log.warning("lock_not_given", error=type(error).__name__)
        words = "Somebody else is changing or using what this needs right now: repeat the request, with its "
        return of_refusal(
            Unavailable(f"{words}Idempotency-Key if it has one", retry_after_seconds=_RETRY_AFTER_SECONDS)
        )
    if is_away(error) or has_given_way(error):
        _log.warning("database_away", error=type(error).__name__, detail=advice(error))
        words = "The database cannot be reached right now: repeat the request, with its Idempotency-Key if it has one"
        return of_refusal(Unavailable(advice(error) or words, retry_after_seconds=_RETRY_AFTER_SECONDS))
    log_bug(_log, "request_failed", error)
    return problem(500, "Internal error", "Something went wrong on our side; the log holds it under the request's ID")


def refusal_of(error: ValidationError) -> Refusal:
    """What a body's model found wrong."""
    if error.error_count() > _MOST_READ_FAULTS:
        return Refusal(f"There are {error.error_count():,} faults in the body, too many to name them")
    faults = faults_of(error)
    named = "; ".join(f"{fault.field}: {fault.message}" if fault.field else fault.message for fault in faults[:3])
    return Refusal(named + ("; and more" if len(faults) > 3 else ""), faults[:_MOST_FAULTS])


def faults_of(error: ValidationError) -> list[Fault]:
    """pydantic's errors in our words."""
    return [_fault(fault["loc"], fault) for fault in error.errors(include_url=False, include_input=False)]


def _fault(place: tuple[int | str, ...], error: Any) -> Fault:
    message = (
        _WORDS.get(error["type"])
        or _of_length(error)
        or _of_range(error)
        or str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    )
    if error["type"] == "json_invalid" or not place:
        return Fault("body", message)
    # "[key]" is pydantic's word for a name that is itself at fault.
    return Fault(".".join(str(part) for part in place if part != "[key]"), message)


def _of_length(error: Any) -> str | None:
    """Pydantic counts the characters of a text in "items" where the limit stands beside other checks."""
    context = error.get("ctx", {})
    one, many = ("entry", "entries") if context.get("field_type") == "List" else ("character", "characters")
    match error["type"], context:
        case "too_long", {"actual_length": int(count), "max_length": most}:
            return f"has {count:,} {many}: at most {most:,} fit"
        case "too_short", {"actual_length": 0, "min_length": 1}:
            return f"is empty: give at least 1 {one}"
    return None


def _of_range(error: Any) -> str | None:
    """Of a number, or a word of a closed set."""
    match error["type"], error.get("ctx", {}):
        case "greater_than_equal", {"ge": least}:
            return f"must be at least {least:,}"
        case "less_than_equal", {"le": most}:
            return f"must be at most {most:,}"
        case "enum" | "literal_error", {"expected": str(words)}:
            named = _ALTERNATIVE.findall(words)
            return f"must be {'one of ' if len(named) > 1 else ''}{', '.join(named)}"
    return None


def of_refusal(error: Refusal) -> Response:
    status = status_of(type(error))
    headers = dict(_HEADERS.get(status, {}))
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    return problem(status, error.title, error.detail, error.faults, headers)


def status_of(kind: type[Refusal]) -> int:
    return next(STATUS[parent] for parent in kind.__mro__ if parent in STATUS)


def _of_parameters(error: RequestValidationError) -> Response:
    """Path and query. An ID that cannot be one names nothing: 404."""
    errors = error.errors()
    if any(fault["loc"][0] == "path" for fault in errors):
        return of_refusal(NotFound("There is nothing under this ID"))
    faults = [_fault(tuple(fault["loc"][1:]), fault) for fault in errors]
    detail = "; ".join(f"{fault.field}: {fault.message}" for fault in faults)
    return of_refusal(Refusal(detail, faults))


def _of_framework(error: HTTPException) -> Response:
    details = {
        404: "There is no such address: /docs lists those there are",
        405: "This address does not answer to this method: /docs lists those it does",
    }
    title = HTTPStatus(error.status_code).phrase
    return problem(error.status_code, title, details.get(error.status_code, str(error.detail)), headers=error.headers)
