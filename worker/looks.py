"""When Infobip's logs are asked about an attempt: of unknown fate, or accepted and without a final report. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

LOGS_REACH_BACK = timedelta(hours=48)
LAST_LOOK_AFTER = timedelta(hours=47)  # after acceptance, while the logs still know


def missing_report_look(
    accepted_at: datetime, looks: int, expires_at: datetime, delays: Sequence[timedelta]
) -> datetime | None:
    """When to ask for a report that has not come, `looks` times having passed; None when no look is left.

    At `delays` after acceptance, and once more at `expires_at`, or 47 hours after acceptance if that is earlier.
    """
    last = min(expires_at, accepted_at + LAST_LOOK_AFTER)
    times = sorted({accepted_at + delay for delay in delays if accepted_at + delay < last} | {last})
    return times[looks] if looks < len(times) else None


def doubt_look(doubted_at: datetime, looks: int, delays: Sequence[timedelta]) -> datetime | None:
    """When to ask about an unknown fate next; None when it was absent at each look and may go out again."""
    return doubted_at + delays[looks] if looks < len(delays) else None
