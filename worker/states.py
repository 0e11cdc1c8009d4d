"""The states of a message, and what each may become. The table is data; every change of state is checked against it.

queued --> sending --> sent --> delivered
              |          |
              +- retrying <-+          failed, expired, suppressed, cancelled, unconfirmed: final,
                                       though a late `delivered` from any attempt still wins
"""

from enum import StrEnum


class State(StrEnum):
    QUEUED = "queued"  # accepted, never handed to Infobip
    SENDING = "sending"  # in a submission whose fate is open
    SENT = "sent"  # accepted by Infobip, no final report yet
    RETRYING = "retrying"  # refused or undelivered for now, waits for its next attempt
    DELIVERED = "delivered"
    FAILED = "failed"  # the same message would fail again
    EXPIRED = "expired"  # the validity period ended first
    SUPPRESSED = "suppressed"  # consent forbids it
    CANCELLED = "cancelled"
    UNCONFIRMED = "unconfirmed"  # Infobip has or may have it, and no final report ever came


_Q, _G, _S, _R, _D = State.QUEUED, State.SENDING, State.SENT, State.RETRYING, State.DELIVERED
_ENDS = frozenset({State.EXPIRED, State.SUPPRESSED, State.CANCELLED, State.DELIVERED})

MAY_BECOME: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({_G}) | _ENDS,
    # queued and retrying: known not to have been sent, as it was before; sending: a resubmission
    State.SENDING: frozenset({_G, _S, _Q, _R, State.FAILED, State.UNCONFIRMED}) | _ENDS,
    # retrying: Infobip accepted it, then reported a failure that a later attempt may cure
    State.SENT: frozenset({_R, State.FAILED, State.UNCONFIRMED}) | _ENDS,
    State.RETRYING: frozenset({_G}) | _ENDS,
    State.FAILED: frozenset({_D}),
    State.EXPIRED: frozenset({_D}),
    State.SUPPRESSED: frozenset({_D}),
    State.CANCELLED: frozenset({_D}),
    State.UNCONFIRMED: frozenset({_D}),
    State.DELIVERED: frozenset(),
}

WAITING = (State.QUEUED, State.RETRYING)  # in the due index: may be claimed
LIVE = (State.QUEUED, State.SENDING, State.SENT, State.RETRYING)
FINAL = tuple(state for state in State if state not in LIVE)
UNDELIVERED = tuple(state for state in FINAL if state is not State.DELIVERED)

# States whose reason is counted beside them; elsewhere a reason is only the memory of an earlier attempt.
REASONED = (State.RETRYING, *UNDELIVERED)


def may_become(now: State, then: State) -> bool:
    return then in MAY_BECOME[now]
