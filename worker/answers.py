"""What becomes of a submission's messages once Infobip answered, refused, or did not.

Each function is one use case over one session; the caller commits, then sends the submissions that are returned. Until
that commit the submission is open, and a crash leaves it to recovery.abandon. A report may have overtaken the answer:
only messages that still are `sending` under the same attempt number are touched. Where that report was of an earlier
attempt, the message is delivered, and all that is recorded of the answer is what it says of the current one.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker import lanes, poison
from worker.claims import OpenSubmission, reopen
from worker.errors import CredentialRefused, RequestRefused, SendError, Throttled
from worker.failures import fail
from worker.infobip.client import Answer
from worker.infobip.payloads import Outgoing
from worker.infobip.statuses import Verdict
from worker.looks import missing_report_look
from worker.metrics import attempts_total, submissions_total, unknown_codes_total
from worker.reasons import BATCH_CANCELLED, REFUSED, UNKNOWN_FATE
from worker.settings import Settings
from worker.states import State
from worker.transitions import LockedMessage, Transitions, database_now, lock
from worker.words import AttemptOutcome, HoldKind, Outcome

SOONEST_LOOK = timedelta(seconds=1)

_CLOSE = text("""
    UPDATE submission SET outcome = :outcome, detail = :detail, closed_at = statement_timestamp()
    WHERE id = :id AND outcome IS NULL
""")


_Settled = tuple[AttemptOutcome, str | None, str | None]  # with code and detail


@dataclass(frozen=True, slots=True)
class _Hand:
    """A message that left, as it stands now under its lock."""

    sent: Outgoing
    message: LockedMessage
    index: int  # in the order it was given to the request


def record_answer(
    session: Session, submission: OpenSubmission, answer: Answer, settings: Settings
) -> list[OpenSubmission]:
    """A readable 200: each message by its own status; those without an entry are in doubt. Nothing follows it."""
    transitions, hands = _open(session, submission, lambda hand: _answered(hand, answer))
    counted: Counter[str] = Counter()
    accounts: list[Verdict] = []
    accepted: list[LockedMessage] = []
    for hand in hands:
        verdict = answer.verdicts.get(hand.sent.wire_id)
        outcome = _read(hand, verdict)
        counted[outcome.value if outcome else "missing"] += 1
        is_newest = hand.message.submission_id == submission.id
        if outcome is None or outcome is Outcome.DUPLICATE:
            if is_newest:
                doubt(transitions, hand.message, settings.doubt_looks)
        elif outcome in (Outcome.PENDING, Outcome.DELIVERED):
            accept(transitions, hand.message, settings.missing_report_after)
            accepted.append(hand.message)
        elif is_newest:
            assert verdict is not None  # _read gives a failure only from a verdict
            detail = answer.details.get(hand.sent.wire_id)
            number = hand.message.number
            fail(transitions, hand.message, verdict, settings.retry_schedule)
            transitions.settle(hand.message.id, number, AttemptOutcome.FAILED, verdict.code, detail)
            if outcome is Outcome.ACCOUNT:
                accounts.append(verdict)
    if accounts:
        lanes.hold(session, submission.route, HoldKind.ACCOUNT, accounts[0].sentence)
    else:
        lanes.note_success(session, submission.route, is_probe=submission.is_probe)
    poison.forget(session, submission.route, accepted)
    _close(session, submission, transitions, "answered")
    for outcome_word, n in counted.items():
        attempts_total.labels(submission.route.channel, outcome_word).inc(n)
    return []


def record_error(
    session: Session,
    submission: OpenSubmission,
    error: SendError,
    settings: Settings,
    monotonic: Callable[[], float],
) -> list[OpenSubmission]:
    """No usable answer. Returns the submissions that go out next in its stead: the parts of a refused request."""
    if isinstance(error, RequestRefused):
        return _record_refusal(session, submission, error, settings, monotonic)
    _record_failure(session, submission, error, settings)
    return []


def _record_failure(session: Session, submission: OpenSubmission, error: SendError, settings: Settings) -> None:
    """In doubt where nobody knows, else released as it was, with nothing burnt."""
    transitions, hands = _open(session, submission, lambda hand: _unanswered(hand, error))
    for hand in hands:
        if hand.message.submission_id != submission.id:
            continue
        if error.is_fate_known:
            release(transitions, hand.message, settings.doubt_looks)
        else:
            doubt(transitions, hand.message, settings.doubt_looks, error.detail)
    route = submission.route
    if isinstance(error, Throttled):
        lanes.pause(session, route, error.retry_after_seconds, error.detail)
    elif isinstance(error, CredentialRefused):
        lanes.hold(session, route, HoldKind.ACCOUNT, error.detail, only_channel=error.only_channel)
    else:
        lanes.count_fault(session, route, error.detail)
    _close(session, submission, transitions, error.code, error.detail)


def record_unsent(
    session: Session, submission: OpenSubmission, settings: Settings, *, only: Set[UUID] | None = None
) -> list[OpenSubmission]:
    """Too late to send within the lease or the validity: released before the request was made. Nothing follows it.

    With `only`, these messages alone; the submission stays open for the others, if there are any.
    """
    transitions, hands = _open(session, submission, _unsent, only=only)
    for hand in hands:
        if hand.message.submission_id == submission.id:
            release(transitions, hand.message, settings.doubt_looks)
    if only is None or len(only) == len(submission.messages):
        _close(session, submission, transitions, "unsent")
    else:
        transitions.write()
    return []


def _record_refusal(
    session: Session,
    submission: OpenSubmission,
    error: RequestRefused,
    settings: Settings,
    monotonic: Callable[[], float],
) -> list[OpenSubmission]:
    """A 400: the messages it names fail with Infobip's words, and so does one that stands alone; the others go out
    again, whole where someone was named, else in halves. Their submissions are opened here, in the transaction that
    closes this one, so that no crash leaves them without an owner.
    """
    transitions, hands = _open(session, submission, _unsent)
    hands = [hand for hand in hands if hand.message.submission_id == submission.id]
    words = "; ".join([error.detail, *(violation.words for violation in error.violations)])
    named = {violation.index: violation.words for violation in error.violations if violation.index is not None}
    if len(submission.messages) == 1:
        named = {0: words}
    is_held = _fail_named(session, submission, transitions, hands, named, settings)
    rest: list[LockedMessage] = []
    for message in (hand.message for hand in hands if hand.index not in named):
        if message.may_leave and message.is_lane_open and not is_held:
            rest.append(message)
        else:
            release(transitions, message, settings.doubt_looks)
    if not is_held:
        lanes.note_success(session, submission.route, is_probe=submission.is_probe)  # the account and the way are well
    _close(session, submission, transitions, REFUSED, words[:500])
    middle = len(rest) if named else (len(rest) + 1) // 2
    return [
        reopen(
            session,
            submission.route,
            submission.id,
            submission.bulk_ids,
            [(message.id, message.number) for message in part],
            settings.lease_seconds,
            monotonic(),
        )
        for part in (rest[:middle], rest[middle:])
        if part
    ]


def _fail_named(
    session: Session,
    submission: OpenSubmission,
    transitions: Transitions,
    hands: list[_Hand],
    named: Mapping[int, str],
    settings: Settings,
) -> bool:
    """The messages that a 400 is about fail with its words, until they are a streak: then the others wait, with their
    batch or their lane. True where the lane is held."""
    if not named:
        return False
    refusals = poison.Refusals(session, submission.route, (hand.message for hand in hands))
    # A batch of which others are spared is not at fault; of single sends each is the other's neighbour.
    spared = {hand.message.batch_id for hand in hands if hand.index not in named}
    for message, words in ((hand.message, named[hand.index]) for hand in hands if hand.index in named):
        if message.batch_id not in spared and refusals.stops(message, words):
            # Behind the others: the next probe is another one.
            release(transitions, message, settings.doubt_looks, next_attempt_at=transitions.now)
            continue
        transitions.settle(message.id, message.number, AttemptOutcome.FAILED, REFUSED, words[:500])
        transitions.move(message, State.FAILED, REFUSED)
        if message.batch_id not in spared:
            refusals.add(message, words)
    return refusals.write(next(iter(named.values())))


def accept(transitions: Transitions, message: LockedMessage, missing_report_after: list[timedelta]) -> None:
    """Infobip has it: wait for the report, and know when to ask for one that does not come."""
    transitions.move(message, State.SENT)
    look_at = missing_report_look(transitions.now, 0, message.expires_at, missing_report_after)
    transitions.settle(message.id, message.number, AttemptOutcome.ACCEPTED, look_at=look_at)


def doubt(
    transitions: Transitions, message: LockedMessage, doubt_looks: list[timedelta], detail: str | None = None
) -> None:
    """Nobody here knows: the message stays `sending`, and the looks at Infobip's logs begin anew."""
    transitions.settle(
        message.id,
        message.number,
        AttemptOutcome.IN_DOUBT,
        UNKNOWN_FATE,
        detail,
        look_at=transitions.now + doubt_looks[0],
    )


def stay_in_doubt(
    transitions: Transitions,
    message: LockedMessage,
    looks: int,
    wait: timedelta,
    *,
    outcome: AttemptOutcome = AttemptOutcome.IN_DOUBT,
) -> None:
    """After so many looks its fate is still unknown: ask again after `wait`, or already when its validity ends."""
    wait = max(wait, SOONEST_LOOK)
    look_at = transitions.now + wait
    if transitions.now < message.expires_at < look_at:
        look_at = max(message.expires_at, transitions.now + SOONEST_LOOK)
    transitions.settle(message.id, message.number, outcome, UNKNOWN_FATE, look_at=look_at, looks=looks)


def release(
    transitions: Transitions,
    message: LockedMessage,
    doubt_looks: list[timedelta],
    *,
    next_attempt_at: datetime | None = None,
) -> None:
    """Known not to have been sent: as it was before, with its turn unless another is given, and the number goes out
    again.

    An attempt that was in doubt before stays so: this request did not reach Infobip, an earlier one may have.
    """
    if message.doubted_at is not None:
        doubt(transitions, message, doubt_looks)
        return
    transitions.settle(message.id, message.number, AttemptOutcome.RELEASED)
    if message.is_cancelled:
        transitions.move(message, State.CANCELLED, BATCH_CANCELLED)
        return
    before = message.number - 1
    transitions.move(
        message,
        State.RETRYING if before else State.QUEUED,
        message.reason,
        next_attempt_at=next_attempt_at or message.next_attempt_at,
        number=before,
    )


def _open(
    session: Session,
    submission: OpenSubmission,
    settled: Callable[[_Hand], _Settled],
    *,
    only: Set[UUID] | None = None,
) -> tuple[Transitions, list[_Hand]]:
    """The messages that still wait for this answer. `settled` is asked about those that do not: an earlier attempt
    delivered them meanwhile, so nobody is to send them again or to ask about them."""
    locked = lock(session, (sent.message_id for sent in submission.messages))
    transitions = Transitions(session, database_now(session))
    hands: list[_Hand] = []
    for index, sent in enumerate(submission.messages):
        message = locked.get(sent.message_id)
        if message is None or message.number != sent.number or (only is not None and message.id not in only):
            continue
        hand = _Hand(sent, message, index)
        if message.state is State.SENDING:
            hands.append(hand)
        elif message.attempt_outcome is None and message.submission_id == submission.id:
            transitions.settle(message.id, message.number, *settled(hand))
    return transitions, hands


def _answered(hand: _Hand, answer: Answer) -> _Settled:
    verdict = answer.verdicts.get(hand.sent.wire_id)
    outcome = _read(hand, verdict)
    if verdict is None or outcome is Outcome.DUPLICATE:
        return AttemptOutcome.IN_DOUBT, UNKNOWN_FATE, None
    if outcome in (Outcome.PENDING, Outcome.DELIVERED):
        return AttemptOutcome.ACCEPTED, None, None
    return AttemptOutcome.FAILED, verdict.code, answer.details.get(hand.sent.wire_id)


def _unanswered(hand: _Hand, error: SendError) -> _Settled:
    return _unsent(hand) if error.is_fate_known else (AttemptOutcome.IN_DOUBT, UNKNOWN_FATE, error.detail)


def _unsent(hand: _Hand) -> _Settled:
    if hand.message.doubted_at is not None:
        return AttemptOutcome.IN_DOUBT, UNKNOWN_FATE, None
    return AttemptOutcome.RELEASED, None, None


def _read(hand: _Hand, verdict: Verdict | None) -> Outcome | None:
    """The answer's meaning for this message: None where it has no entry."""
    if verdict is None:
        return None
    if not verdict.is_known:
        unknown_codes_total.inc()
    if verdict.outcome is Outcome.DUPLICATE and hand.message.doubted_at is not None:
        return Outcome.PENDING  # an earlier try under this ID had landed
    return verdict.outcome


def _close(
    session: Session, submission: OpenSubmission, transitions: Transitions, outcome: str, detail: str | None = None
) -> None:
    transitions.write()
    session.execute(_CLOSE, {"id": submission.id, "outcome": outcome, "detail": detail})
    submissions_total.labels(submission.route.channel, outcome).inc()
