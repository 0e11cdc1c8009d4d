"""The gate: the one condition under which a message may leave, read in the transaction that opens its submission.

The claim puts it into its WHERE; those who reopen attempts that are `sending` already read it while they lock them
(`LockedMessage.may_leave`). Whether the lane is held is read beside it, since a probe passes that and nothing else.

What bars a message for good, and not only for now, is named: the claim passes over one that is barred, and where it
comes back from Infobip undelivered, or never came there, it ends as barred (fates.py).
Over message m and its batch b (nulls for single sends), by the database's clock. Pure.
"""

from typing import Final

from worker.reasons import BATCH_CANCELLED
from worker.retry import LEAST_REMAINING
from worker.states import WAITING, State
from worker.words import listed

# It is not with Infobip, and nobody has set it aside: the condition of the due index.
WAITS: Final = f"m.state IN ({listed(WAITING)}) AND NOT m.held"

# Why it never leaves again: a reason, or null.
BARRED: Final = f"CASE WHEN b.cancelled_at IS NOT NULL THEN '{BATCH_CANCELLED}' END"
BARRED_ENDS_AS: Final = {BATCH_CANCELLED: State.CANCELLED}

GATE: Final = f"""
    m.expires_at >= statement_timestamp() + interval '{LEAST_REMAINING.total_seconds()} seconds'
    AND b.paused_at IS NULL AND ({BARRED}) IS NULL
"""

LANE_IS_OPEN: Final = "l.kind IS NULL"  # of lane l
