"""Requests that cannot be done as they stand: each error says what the caller has to change.

Refusal           the body, a row or a reference in it
  NotFound        nothing of that name or ID
  Conflict        something else stands in the way
  Gone            it was there once

What each kind is over HTTP: api/problems.py.
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
    """`title` names the kind in a few words, `detail` what to change."""

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
    title = "Not found"


class Conflict(Refusal):
    title = "Conflict"


class Gone(Refusal):
    title = "Gone"
