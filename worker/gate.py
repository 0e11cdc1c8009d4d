"""The gate: the one condition under which a message may leave, read in the transaction that opens its submission.

The claim puts it into its statement; those who reopen attempts that are `sending` already read it while they lock them
(`LockedMessage.may_leave`). Whether the lane is held is read beside it, since a probe passes that and nothing else.

What bars a message for good, and not only for now, is named: its batch is cancelled, it goes in the place of another
that has arrived, consent forbids it, or it is an MMS to a handset that MMS does not reach. The claim ends one that is
barred when its turn comes, and where it comes back from Infobip undelivered, or never came there, it ends as barred
too (fates.py). One whose window has closed waits for the next opening (missed_windows.py).

Over message m, its batch b (nulls for single sends), its lane l (credential and message type) and the consent c of its
recipient for that credential (nulls where nothing was said), by the database's clock. Pure.
"""

from typing import Final

from worker.reasons import BATCH_CANCELLED, FALLBACK, NOT_OPTED_IN, NUMBER_BLOCKED, OPTED_OUT, SOURCE_DELIVERED
from worker.retry import LEAST_REMAINING
from worker.states import WAITING, State
from worker.windows import INDIA
from worker.words import Channel, ConsentState, MessageType, Origin, listed

# It is not with Infobip, and nobody has set it aside: the condition of the due index.
WAITS: Final = f"m.state IN ({listed(WAITING)}) AND NOT m.held"

# Of a batch, no alias: it is paused, or what waits is being given other turns, or is being ended since it is cancelled.
STANDS_STILL: Final = "paused_at IS NOT NULL OR move_to IS NOT NULL OR (cancelled_at IS NOT NULL AND NOT is_cleared)"

HAS_TIME: Final = f"m.expires_at >= statement_timestamp() + interval '{LEAST_REMAINING.total_seconds()} seconds'"

# Its turn, which stays while it is on its way, lies in an opening of its window, and that has not closed. Where it
# closes with its turn, the window is yet to be asked; where it never closes, there is none.
WINDOW_IS_OPEN: Final = """(m.leave_before IS NULL
    OR (m.next_attempt_at <= statement_timestamp() AND statement_timestamp() < m.leave_before))"""

# In the last second of its opening no request would leave whole: it stands until that has passed, and is missed then.
IS_CLOSING: Final = f"""(m.leave_before > statement_timestamp()
    AND m.leave_before < statement_timestamp() + interval '{LEAST_REMAINING.total_seconds()} seconds')"""

CONSENT_OF: Final = "c.recipient = m.recipient AND c.credential_id = l.credential_id"  # consent c of message m

# A process that was begun and not confirmed in time counts for nothing: what was said before it counts again.
_SAYS: Final = f"""CASE WHEN c.state = '{ConsentState.PENDING}' AND c.pending_until <= statement_timestamp()
    THEN c.pending_from ELSE c.state END"""


def barred_by_consent(is_marketing: str, needs_opt_in: str) -> str:
    """SQL: why consent c forbids a message, or null. Both conditions are SQL.

    Who has opted out and asks to come back is still out until they have confirmed it.
    """
    return f"""CASE
        WHEN c.blocked THEN '{NUMBER_BLOCKED}'
        WHEN NOT ({is_marketing}) THEN NULL
        WHEN '{ConsentState.OPTED_OUT}' IN (c.state, c.pending_from) THEN '{OPTED_OUT}'
        WHEN ({needs_opt_in}) AND ({_SAYS}) IS DISTINCT FROM '{ConsentState.OPTED_IN}' THEN '{NOT_OPTED_IN}'
    END"""


# Of message m: it may stand in a chain of messages each of which goes in the earlier one's place.
IS_IN_PLACE: Final = f"m.origin IN ('{Origin.REPLAY}', '{Origin.FALLBACK}')"

# Of message m: one of its chain has, of all that were sent before it. Asked of those alone that go in another's place,
# and of each by itself: EXISTS the planner may work out once for all of them, over all that was ever delivered.
SOURCE_HAS_ARRIVED: Final = f"""{IS_IN_PLACE} AND (
    SELECT true FROM replayed own JOIN replayed earlier ON earlier.root_id = own.root_id
    JOIN message source ON source.id = earlier.source_message_id
    WHERE own.message_id = m.id AND source.state = '{State.DELIVERED}' LIMIT 1) IS NOT NULL"""

# Of message m: it is an MMS that says what may go as an SMS in its place (fallbacks.py).
HAS_FALLBACK: Final = f"(l.channel = '{Channel.MMS}' AND coalesce(m.mms, b.mms) ->> 'fallback_text' IS NOT NULL)"

# Why it never leaves again: a reason, or null. The surfaces are read once a statement, not once a message.
_NEEDS_OPT_IN: Final = "m.surface_id = ANY(ARRAY(SELECT id FROM surface WHERE require_opt_in))"
BARRED: Final = f"""CASE
    WHEN b.cancelled_at IS NOT NULL THEN '{BATCH_CANCELLED}'
    WHEN {SOURCE_HAS_ARRIVED} THEN '{SOURCE_DELIVERED}'
    ELSE coalesce(
        {barred_by_consent(f"l.message_type = '{MessageType.MARKETING}'", _NEEDS_OPT_IN)},
        CASE WHEN {HAS_FALLBACK} AND m.recipient LIKE '{INDIA}%' THEN '{FALLBACK}' END)
END"""
BARRED_ENDS_AS: Final = {
    BATCH_CANCELLED: State.CANCELLED,
    SOURCE_DELIVERED: State.CANCELLED,
    FALLBACK: State.CANCELLED,
    OPTED_OUT: State.SUPPRESSED,
    NOT_OPTED_IN: State.SUPPRESSED,
    NUMBER_BLOCKED: State.SUPPRESSED,
}

GATE: Final = f"{HAS_TIME} AND {WINDOW_IS_OPEN} AND b.paused_at IS NULL AND ({BARRED}) IS NULL"

# Message m never was with Infobip, as its current attempt a says, and its turn or its end is not by its batch's start:
# that is another one since it was taken, or about to be (moving.py).
START: Final = "coalesce(b.move_to, b.send_at, b.created_at)"
IS_MOVED: Final = f"""(b.id IS NOT NULL AND m.attempt_count <= 1 AND a.doubted_at IS NULL AND (
    (m.next_attempt_at >= {START}) IS NOT TRUE
    OR (m.expires_at, m.validity_seconds) IS DISTINCT FROM (b.expires_at, b.validity_seconds)))"""

LANE_IS_OPEN: Final = "l.kind IS NULL"  # of lane l
