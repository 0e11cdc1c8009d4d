"""Consent: what an inbound message, a caller or Infobip makes of what a person has said. Pure.

opted_out   by a keyword, from any state, at once
pending     by a double opt-in keyword; or, where a credential has such keywords, by an opt-in keyword with nothing
            pending. It waits for an opt-in keyword; not confirmed in time, what it came from counts again
opted_in    by an opt-in keyword: with nothing to confirm, or confirming what is pending
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from worker.words import Action, ConsentSource, ConsentState

CHANGING = frozenset({Action.OPT_OUT, Action.OPT_IN, Action.DOUBLE_OPT_IN})  # consent, if anything does
OLDER = "older_than_consent"
SKEW = timedelta(minutes=1)  # by which Infobip's clock and ours may differ
LEAP = timedelta(minutes=5)  # as far as a caller's clock may be ahead
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # that anything can have been said


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a person has said to a credential, as it stands."""

    state: ConsentState = ConsentState.NONE
    source: ConsentSource | None = None  # None: nothing was ever said
    is_blocked: bool = False  # opted out by Infobip's word that the number is: nothing goes there, of no type
    pending_from: ConsentState | None = None
    pending_until: datetime | None = None
    said_at: datetime | None = None  # of a keyword and of Infobip's word by Infobip's clock, else by ours
    # The person's or Infobip's opt-out that stands, also while they ask to come back. None: a caller's, or none.
    opted_out_at: datetime | None = None
    changed_at: datetime | None = None  # by our clock

    def at(self, now: datetime) -> ConsentState:
        """The state that counts: of a process that was not confirmed in time, the one that it came from."""
        if self.pending_until is not None and self.pending_until <= now:
            return self.pending_from or ConsentState.NONE
        return self.state


NOTHING_SAID = Standing()


class Step(NamedTuple):
    """What follows from an inbound message. `state` None: consent stays as it is. `reply`: whose message answers it;
    None: none does, and `why_not` may say why."""

    state: ConsentState | None = None
    reply: Action | None = None
    why_not: str | None = None


def step(action: Action, standing: Standing, written_at: datetime, now: datetime, *, has_double_opt_in: bool) -> Step:
    """`written_at`: when Infobip received it. A push may come late and out of order: what opts in, or asks to, changes
    nothing where it is older than what was said last, while an opt-out counts whenever it comes."""
    match action:
        case Action.OPT_OUT:
            return Step(ConsentState.OPTED_OUT, action)
        case Action.OPT_IN | Action.DOUBLE_OPT_IN if _is_older(written_at, standing):
            return Step(why_not=OLDER)
        case Action.DOUBLE_OPT_IN:
            return Step(ConsentState.PENDING, action)
        case Action.OPT_IN:
            is_ready = standing.at(now) in (ConsentState.PENDING, ConsentState.OPTED_IN)
            if has_double_opt_in and not is_ready:
                return Step(ConsentState.PENDING, Action.DOUBLE_OPT_IN)
            return Step(ConsentState.OPTED_IN, action)
        case Action.HELP | Action.NEAR_MISS | Action.NONE:
            return Step(reply=action)
        case Action.CUSTOM | Action.OTHER_NUMBER:
            return Step()


def said(
    standing: Standing,
    state: ConsentState,
    source: ConsentSource,
    now: datetime,
    *,
    pending_for: timedelta,
    said_at: datetime | None = None,
) -> Standing:
    """How it stands once this was said, at `said_at` or now. Whatever is no opt-out ends a block: if Infobip still
    blocks the number, its next report says so."""
    is_pending, is_out = state is ConsentState.PENDING, state is ConsentState.OPTED_OUT
    before = standing.at(now)
    opted_out_at = standing.opted_out_at if is_pending or is_out else None
    if is_out and source is ConsentSource.KEYWORD:
        opted_out_at = max(filter(None, (opted_out_at, said_at or now)))
    # What comes late does not set the clock back; but two clocks are not compared.
    earlier = standing.said_at if _is_infobips_clock(source) and _is_infobips_clock(standing.source) else None
    return replace(
        standing,
        state=state,
        source=source,
        is_blocked=standing.is_blocked and is_out,
        # Asked for twice, it still comes from where it began.
        pending_from=(standing.pending_from if before is ConsentState.PENDING else before) if is_pending else None,
        pending_until=now + pending_for if is_pending else None,
        said_at=max(filter(None, (earlier, said_at or now))),
        opted_out_at=opted_out_at,
        changed_at=now,
    )


def asked(
    standing: Standing,
    state: ConsentState,
    now: datetime,
    *,
    pending_for: timedelta,
    said_at: datetime | None = None,
    opted_out_at: datetime | None = None,
    pending_from: ConsentState | None = None,
) -> Standing:
    """How it stands once a caller of the API has said this, at `said_at` or now. Who has opted out by themselves, or by
    Infobip's word, is not out by the caller's because that says so too.

    `opted_out_at`: the caller passes on an opt-out of the person's, or of Infobip's. `pending_from`: what a pending is
    known to come from; of what stands and this, an opt-out counts, else what stands.
    """
    if state is standing.state is ConsentState.OPTED_OUT and standing.opted_out_at is not None:
        new = standing
    else:
        new = said(standing, state, ConsentSource.API, now, pending_for=pending_for, said_at=said_at)
    if state is ConsentState.PENDING and (pending_from is ConsentState.OPTED_OUT or standing.source is None):
        new = replace(new, pending_from=pending_from or new.pending_from)
    if opted_out_at is not None and ConsentState.OPTED_OUT in (new.state, new.pending_from):
        new = replace(new, opted_out_at=max(filter(None, (new.opted_out_at, opted_out_at))))
    return new


def stands(
    standing: Standing,
    state: ConsentState,
    now: datetime,
    *,
    opted_out_at: datetime | None = None,
    pending_from: ConsentState | None = None,
) -> bool:
    """Whether a caller who says this, as in `asked`, says what stands."""
    if standing.at(now) is not state:
        return False
    if opted_out_at is not None and (standing.opted_out_at is None or standing.opted_out_at < opted_out_at):
        return False
    return pending_from is not ConsentState.OPTED_OUT or standing.pending_from is ConsentState.OPTED_OUT


def opt_out_holds(standing: Standing, state: ConsentState, at: datetime | None) -> bool:
    """Whether an opt-out of the person's, or of Infobip's, stands that this does not undo. `at`: when consent was
    given; None: nobody knows."""
    if standing.opted_out_at is None or state is ConsentState.OPTED_OUT:
        return False
    return at is None or at <= standing.opted_out_at


def _is_older(written_at: datetime, standing: Standing) -> bool:
    if standing.opted_out_at is not None and written_at < standing.opted_out_at - SKEW:
        return True  # a caller may have passed it on, whatever was said since
    if standing.said_at is None:
        return False
    return written_at < standing.said_at - (timedelta(0) if _is_infobips_clock(standing.source) else SKEW)


def _is_infobips_clock(source: ConsentSource | None) -> bool:
    return source in (ConsentSource.KEYWORD, ConsentSource.PROVIDER)
