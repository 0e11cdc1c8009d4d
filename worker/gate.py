"""The gate: the one condition under which a message may leave, read in the transaction that opens its submission.

The claim puts it into its WHERE; those who reopen attempts that are `sending` already read it while they lock them
(`LockedMessage.may_leave`). Whether the lane is held is read beside it, since a probe passes that and nothing else.
"""

from typing import Final

# Over message m and its batch b (null for single sends), by the database's clock.
GATE: Final = """
    m.expires_at >= statement_timestamp() + interval '1 second'
    AND (b.id IS NULL OR (b.paused_at IS NULL AND b.cancelled_at IS NULL))
"""
