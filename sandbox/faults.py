"""Trouble on demand: what share of calls and of reports goes wrong, and how long things take.

One random draw decides the fate of a call, another that of a report, so the shares of one kind are exact as long as
their sum is at most 1. Above that the first named win. The same seed and the same order of calls repeat the same fates.
"""

import random
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fault = TypeVar("Fault")


class CallFault(StrEnum):
    TOO_MANY_REQUESTS = "too_many_requests"
    SERVER_ERROR = "server_error"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    TIMEOUT_BEFORE = "timeout_before"
    TIMEOUT_AFTER = "timeout_after"


class ReportFault(StrEnum):
    LOST = "report_lost"
    REPEATED = "report_repeated"
    REORDERED = "report_reordered"


class FaultSet(BaseModel):
    """Shares from 0 to 1, delays in seconds. "Before" and "after" say whether the call is accepted first."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    too_many_requests: Share = 0.0
    server_error: Share = 0.0
    reset_before: Share = 0.0
    reset_after: Share = 0.0
    timeout_before: Share = 0.0
    timeout_after: Share = 0.0
    report_lost: Share = 0.0
    report_repeated: Share = 0.0
    report_reordered: Share = 0.0
    report_intermediate: Share = 0.0
    answer_seconds: Seconds = 0.0
    report_seconds: Seconds = 0.5
    retry_after_seconds: Seconds = 1.0
    logs_seconds: Seconds = 0.0  # how long after its acceptance a message shows in the logs
    seed: int = 0


class Faults:
    """The fault set in force, with its dice."""

    def __init__(self) -> None:
        self.replace(FaultSet())

    def replace(self, chosen: FaultSet) -> None:
        self.chosen = chosen
        self._random = random.Random(chosen.seed)
        self._call_shares = [(fault, share) for fault in CallFault if (share := getattr(chosen, fault))]
        self._report_shares = [(fault, share) for fault in ReportFault if (share := getattr(chosen, fault))]

    def next_for_call(self) -> CallFault | None:
        return self._draw(self._call_shares)

    def next_for_report(self) -> ReportFault | None:
        return self._draw(self._report_shares)

    def is_intermediate_due(self) -> bool:
        share = self.chosen.report_intermediate
        return share > 0 and self._random.random() < share

    def _draw(self, shares: list[tuple[Fault, float]]) -> Fault | None:
        if not shares:
            return None
        point = self._random.random()
        for fault, share in shares:
            if point < share:
                return fault
            point -= share
        return None
