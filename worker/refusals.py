"""Requests that cannot be done as they stand: each error says what the caller has to change.

Refusal           422  the body, a row or a reference in it
  NotFound        404  nothing of that name or ID in the path
  Conflict        409  something else stands in the way
  Gone            410  it was there once
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to change. `index` counts the rows of a batch from 0; None where no row is meant."""

    field: str
    message: str
    index: int | None = None


class Refusal(Exception):
    """A business error that knows the status and title of its problem body."""

    status: ClassVar[int] = 422
    title: ClassVar[str] = "Request cannot be accepted"

    def __init__(self, detail: str, faults: Sequence[Fault] = (), retry_after_seconds: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)
        self.retry_after_seconds = retry_after_seconds

    @classmethod
    def of_field(cls, field: str, message: str) -> "Refusal":
        """One field at fault: named in the detail and in the list of faults."""
        return cls(f"{field}: {message}", [Fault(field, message)])


class NotFound(Refusal):
    status = 404
    title = "Not found"


class Conflict(Refusal):
    status = 409
    title = "Conflict"


class Gone(Refusal):
    status = 410
    title = "Gone"
