"""When Infobip's logs are asked about an attempt: of unknown fate, or accepted and without a final report. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

LOGS_REACH_BACK = timedelta(hours=48)
LAST_LOOK_AFTER = timedelta(hours=47)  # after acceptance, while the logs still know
ABSENT_FOR = timedelta(seconds=60)  # how long "the logs do not show it" counts: then they are asked again


def missing_report_look(
    accepted_at: datetime, looks: int, expires_at: datetime, delays: Sequence[timedelta]
) -> datetime | None:
    """When to ask for a report that has not come, `looks` times having passed; None when no look is left.

    At `delays` after acceptance, and once more at `expires_at`, or 47 hours after acceptance if that is earlier.
    """
    last = min(expires_at, accepted_at + LAST_LOOK_AFTER)
    waits = [delay for delay in sorted(set(delays)) if delay < last - accepted_at]
    if looks < len(waits):
        return accepted_at + waits[looks]
    return last if looks == len(waits) else None
