"""The fates: what becomes of a message and of its current attempt, each step in one function.

Whoever learns something of an attempt (an answer, a report, the logs, the clock) decides which step it is and takes it
here, with the message locked; `Transitions.write` then writes all steps at once. Only the claim moves messages besides.

    accept, await_report          Infobip has it; and still says no more
    deliver                       the recipient has it
    end_replay                    it replays a message that has arrived after all
    fail, refuse                  an attempt failed: the retry rule decides; the same message would fail again
    release                       known not to have been sent: as it was before
    postpone                      its window is closed: its turn is when that opens, or it ends
    doubt, stay_in_doubt, absent  nobody knows; nor do the logs; and they show it at no look
    wait_absent                   at no look, and it may not go out again now: the last look is made once more
    end_unsent, expire            it never left, and is not to leave any more
    leave_unconfirmed             the recipient may have it, and nobody will ever know
    note_overtaken                an earlier attempt delivered it: how the current one stands is all that is left to say
    note_block                    Infobip reported that its recipient is blocked, whatever becomes of the message
"""

import random
from datetime import datetime, timedelta

from worker import retry
from worker.gate import BARRED_ENDS_AS
from worker.infobip.statuses import Verdict
from worker.locking import LockedMessage
from worker.look_times import ABSENT_FOR, missing_report_look
from worker.metrics import OTHER, retries_scheduled_total
from worker.reasons import (
    DELIVERED_LATE,
    FALLBACK,
    REFUSED,
    SOURCE_DELIVERED,
    UNKNOWN_FATE,
    VALIDITY_OVER,
    WINDOW_CLOSED,
)
from worker.settings import Settings
from worker.states import FINAL, State
from worker.transitions import Transitions
from worker.windows import Turn, is_no_turn
from worker.words import MOST_WORDS, UNSETTLED, AttemptOutcome

SOONEST_LOOK = timedelta(seconds=1)


def accept(transitions: Transitions, message: LockedMessage, settings: Settings) -> None:
    """Infobip has it: wait for the report, and know when to ask for one that does not come."""
    transitions.move(message, State.SENT)
    look_at = missing_report_look(transitions.now, 0, message.expires_at, settings.missing_report_after)
    transitions.settle(message.id, message.number, AttemptOutcome.ACCEPTED, look_at=look_at)


def await_report(transitions: Transitions, message: LockedMessage, looks: int, look_at: datetime | None) -> None:
    """Accepted, and after so many looks without a final report: ask again at `look_at`, or never."""
    transitions.settle(message.id, message.number, AttemptOutcome.ACCEPTED, look_at=look_at, looks=looks)


def deliver(transitions: Transitions, message: LockedMessage, number: int, code: str) -> None:
    """By any attempt, at any time. Where it was an earlier one, nobody needs to ask about the current one any more."""
    current = message.attempt_outcome
    if number != message.number and current is not None and current in (*UNSETTLED, AttemptOutcome.ACCEPTED):
        transitions.settle(message.id, message.number, current)
    transitions.settle(message.id, number, AttemptOutcome.DELIVERED, code)
    transitions.move(message, State.DELIVERED, DELIVERED_LATE if message.state in FINAL else None)


def end_replay(transitions: Transitions, message: LockedMessage) -> None:
    """What it replays has arrived, and it has not left yet."""
    transitions.move(message, State.CANCELLED, SOURCE_DELIVERED)


def fail(
    transitions: Transitions, message: LockedMessage, verdict: Verdict, settings: Settings, detail: str | None = None
) -> None:
    """The current attempt of a message that is sending or sent ended without delivery: schedule the next, or end it.

    One that is barred in the meantime ends as barred where the rule would give it a next attempt.
    """
    transitions.settle(message.id, message.number, AttemptOutcome.FAILED, verdict.code, detail)
    decision = retry.after(
        verdict.outcome,
        message.slots,
        transitions.now,
        message.expires_at,
        message.validity,
        settings.retry_schedule,
        random.random(),
        message.window,
    )
    next_at = decision.at if isinstance(decision, retry.RetryAt) and message.barred is None else None
    transitions.tell_failure(message, verdict.code, next_at)
    if message.barred is None and message.has_fallback and verdict.refuses_mms:
        _fall_back(transitions, message)
    elif isinstance(decision, retry.End) and not decision.is_by_window:
        transitions.move(message, decision.state, verdict.code)
    elif _end_if_barred(transitions, message):
        return
    elif isinstance(decision, retry.End):
        transitions.move(message, decision.state, WINDOW_CLOSED)
    else:
        _retry(transitions, message, decision, verdict.code)
        retries_scheduled_total.labels(verdict.code if verdict.is_known else OTHER).inc()


def _retry(transitions: Transitions, message: LockedMessage, decision: retry.RetryAt, code: str) -> None:
    transitions.move(
        message,
        State.RETRYING,
        code,
        next_attempt_at=decision.at,
        leave_before=decision.leave_before,
        slots=decision.slots,
    )


def refuse(transitions: Transitions, message: LockedMessage, words: str) -> None:
    """Infobip refused a request for its sake, in these words."""
    transitions.settle(message.id, message.number, AttemptOutcome.FAILED, REFUSED, words[:MOST_WORDS])
    transitions.tell_failure(message, REFUSED)
    transitions.move(message, State.FAILED, REFUSED)


def release(
    transitions: Transitions, message: LockedMessage, settings: Settings, *, next_attempt_at: datetime | None = None
) -> None:
    """Known not to have been sent: as it was before, with its turn unless another is given, and the number goes out
    again. Where its window closed meanwhile, or is to be asked for another turn, the claim finds that.

    An attempt that was in doubt before stays so: this request did not reach Infobip, an earlier one may have.
    """
    if message.was_in_doubt:
        doubt(transitions, message, settings)
        return
    transitions.settle(message.id, message.number, AttemptOutcome.RELEASED)
    if _end_if_barred(transitions, message):
        return
    before = message.number - 1
    transitions.move(
        message,
        State.RETRYING if before else State.QUEUED,
        message.reason,
        next_attempt_at=next_attempt_at or message.next_attempt_at,
        leave_before=message.leave_before and (next_attempt_at or message.leave_before),
        number=before,
    )


def postpone(transitions: Transitions, message: LockedMessage) -> None:
    """It waits, and missed its window: its turn is at the next opening, or it ends where that comes too late, or where
    it was given none.

    Never before its validity begins: a scheduled one for which no opening was found is due as soon as it is stored.
    """
    turn = retry.first_turn(message.window, max(transitions.now, message.begins_at), message.expires_at)
    if isinstance(turn, Turn) and is_no_turn(message.next_attempt_at, message.leave_before):
        turn = retry.End(State.EXPIRED, is_by_window=True)
    if isinstance(turn, Turn):
        transitions.give_turn(message, turn)
    else:
        _run_out(transitions, message, turn, VALIDITY_OVER)


def doubt(transitions: Transitions, message: LockedMessage, settings: Settings, detail: str | None = None) -> None:
    """Nobody here knows: the message stays `sending`, and the looks at Infobip's logs begin anew."""
    transitions.settle(
        message.id,
        message.number,
        AttemptOutcome.IN_DOUBT,
        UNKNOWN_FATE,
        detail,
        look_at=transitions.now + settings.doubt_looks[0],
    )


def stay_in_doubt(transitions: Transitions, message: LockedMessage, looks: int, wait: timedelta) -> None:
    """After so many looks its fate is still unknown: ask again after `wait`, or already when its validity ends."""
    look_at = _next_look(transitions, message, wait)
    transitions.settle(message.id, message.number, AttemptOutcome.IN_DOUBT, UNKNOWN_FATE, look_at=look_at, looks=looks)


def absent(transitions: Transitions, message: LockedMessage, looks: int) -> None:
    """The logs did not show it at any look: it goes out again before its next one is due, or is asked about anew."""
    look_at = _next_look(transitions, message, ABSENT_FOR)
    transitions.settle(message.id, message.number, AttemptOutcome.ABSENT, UNKNOWN_FATE, look_at=look_at, looks=looks)


def wait_absent(transitions: Transitions, message: LockedMessage, looks: int) -> None:
    """The logs did not show it at any look, and it may not leave now: the last of its looks is made again, before it
    does. While its window is closed that is at the next opening; where that comes too late, it ends."""
    if message.is_window_open:
        stay_in_doubt(transitions, message, looks, ABSENT_FOR)
        return
    turn = retry.first_turn(message.window, transitions.now, message.expires_at)
    if isinstance(turn, Turn):
        transitions.give_turn(message, turn)
        stay_in_doubt(transitions, message, looks, turn.at - transitions.now)
    else:
        transitions.settle(message.id, message.number, AttemptOutcome.RELEASED, UNKNOWN_FATE)
        _run_out(transitions, message, turn, UNKNOWN_FATE)


def end_unsent(transitions: Transitions, message: LockedMessage) -> None:
    """Its fate was unknown, and the logs say that it never arrived; it is barred, or its time is over."""
    transitions.settle(message.id, message.number, AttemptOutcome.RELEASED, UNKNOWN_FATE)
    expire(transitions, message, UNKNOWN_FATE)


def expire(transitions: Transitions, message: LockedMessage, otherwise: str) -> None:
    """Its validity is over: for the reason of its last failure, or `otherwise`; but one that is barred ends as that."""
    if not _end_if_barred(transitions, message):
        transitions.move(message, State.EXPIRED, message.reason or otherwise)


def leave_unconfirmed(transitions: Transitions, message: LockedMessage, reason: str) -> None:
    """Infobip has it, or may have it, and nobody can be asked any more."""
    has_it = message.state is State.SENT
    outcome = AttemptOutcome.ACCEPTED if has_it else AttemptOutcome.IN_DOUBT
    transitions.settle(message.id, message.number, outcome, reason)
    transitions.move(message, State.UNCONFIRMED, reason)


def note_overtaken(
    transitions: Transitions,
    message: LockedMessage,
    outcome: AttemptOutcome,
    code: str | None = None,
    detail: str | None = None,
) -> None:
    """Nobody is to send it again, or to ask about it. Nor is anything told: a message's delivery is its last event."""
    transitions.settle(message.id, message.number, outcome, code, detail)


def note_block(transitions: Transitions, message: LockedMessage, verdict: Verdict, told_at: datetime) -> None:
    """A block that the verdict tells of, if any, becomes a fact of consent."""
    if verdict.block is not None:
        transitions.block(message, verdict.block, verdict.code, told_at)


def _end_if_barred(transitions: Transitions, message: LockedMessage) -> bool:
    """What the gate bars for good is not sent again, whatever brought it back."""
    if message.barred is None:
        return False
    if message.barred == FALLBACK:
        _fall_back(transitions, message)
    else:
        transitions.move(message, BARRED_ENDS_AS[message.barred], message.barred)
    return True


def _run_out(transitions: Transitions, message: LockedMessage, end: retry.End, otherwise: str) -> None:
    """It has no turn any more: by its window, or since its validity is over."""
    if not end.is_by_window:
        expire(transitions, message, otherwise)
    elif not _end_if_barred(transitions, message):
        transitions.move(message, end.state, WINDOW_CLOSED)


def _fall_back(transitions: Transitions, message: LockedMessage) -> None:
    """The network takes no MMS for it: its text goes as an SMS."""
    transitions.move(message, State.CANCELLED, FALLBACK)
    transitions.fall_back(message)


def _next_look(transitions: Transitions, message: LockedMessage, wait: timedelta) -> datetime:
    look_at = transitions.now + max(wait, SOONEST_LOOK)
    if transitions.now < message.expires_at < look_at:
        return max(message.expires_at, transitions.now + SOONEST_LOOK)
    return look_at
