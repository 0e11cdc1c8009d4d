"""What becomes of a submission's messages once Infobip answered, refused, or did not.

Each function is one use case over one session; the caller commits, then sends the submissions it is given back. Until
that commit the submission is open, and a crash leaves it to recovery.abandon. A report may have overtaken the answer:
only messages that still are `sending` under the same attempt number are touched. Where that report was of an earlier
attempt, the message is delivered, and all that is recorded of the answer is what it says of the current one.

Done twice, since the first commit's answer was lost, nothing moves twice. A fault is then counted twice, and the halves
of a refused request are left to recovery.abandon, as if we had died after the commit.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session

from worker import fates, holds, stops, submissions
from worker.claims import reopen
from worker.db import database_now
from worker.errors import RequestRefused, SendError
from worker.infobip.answers import Answer
from worker.infobip.payloads import Outgoing
from worker.infobip.statuses import Verdict
from worker.locking import LockedMessage, lock
from worker.metrics import attempts_total, submissions_total, unknown_codes_total
from worker.reasons import REFUSED, UNKNOWN_FATE
from worker.settings import Settings
from worker.states import State
from worker.submissions import OpenSubmission
from worker.transitions import Transitions
from worker.words import MOST_WORDS, AttemptOutcome, HoldKind, Outcome, SubmissionOutcome


@dataclass(frozen=True, slots=True)
class _Hand:
    """A message that left, as it stands now under its lock."""

    sent: Outgoing
    message: LockedMessage
    index: int  # in the order it was given to the request
    is_newest: bool  # of this attempt's submissions, this one: what an older one learns too late settles less


@dataclass(frozen=True, slots=True)
class _Said:
    """What an answer, or its absence, says of one attempt."""

    outcome: AttemptOutcome
    code: str | None = None
    detail: str | None = None
    verdict: Verdict | None = None  # None: it has no entry in the answer


def record_answer(session: Session, submission: OpenSubmission, answer: Answer, settings: Settings) -> None:
    """A readable 200: each message by its own status; those without an entry are in doubt."""
    transitions, hands = _waiting(session, submission, lambda hand: _answered(hand, answer))
    counted: Counter[str] = Counter()
    accounts: list[Verdict] = []
    accepted: list[LockedMessage] = []
    for hand in hands:
        said = _answered(hand, answer)
        counted[_label(said)] += 1
        if said.outcome is AttemptOutcome.ACCEPTED:
            fates.accept(transitions, hand.message, settings)
            accepted.append(hand.message)
        elif not hand.is_newest:
            continue
        elif said.outcome is AttemptOutcome.IN_DOUBT:
            fates.doubt(transitions, hand.message, settings)
        else:
            assert said.verdict is not None  # a failure has one
            fates.note_block(transitions, hand.message, said.verdict, transitions.now)
            fates.fail(transitions, hand.message, said.verdict, settings, said.detail)
            if said.verdict.outcome is Outcome.ACCOUNT:
                accounts.append(said.verdict)
    if accounts:
        holds.hold(session, submission.route, HoldKind.ACCOUNT, accounts[0].sentence)
    else:
        holds.note_success(session, submission.route, is_probe=submission.is_probe)
    stops.forget(session, submission.route, accepted)
    _close(session, submission, transitions, SubmissionOutcome.ANSWERED)
    for label, n in counted.items():
        attempts_total.labels(submission.route.channel, submission.route.message_type, label).inc(n)


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


def record_unsent(
    session: Session, submission: OpenSubmission, settings: Settings, *, only: Set[UUID] | None = None
) -> None:
    """Too late to send within the lease or the validity, or barred by now: released before the request was made.

    With `only`, these messages alone; the submission stays open for the others, if there are any. A crash before the
    commit leaves them in doubt, as if they had been sent.
    """
    transitions, hands = _waiting(session, submission, _unsent, only=only)
    for hand in hands:
        if hand.is_newest:
            fates.release(transitions, hand.message, settings)
    if only is None or len(only) == len(submission.messages):
        _close(session, submission, transitions, SubmissionOutcome.UNSENT)
    else:
        transitions.write()


def release_barred(session: Session, submission: OpenSubmission, settings: Settings) -> set[UUID]:
    """Before a request that was not made at once: the gate is read once more, and what may not leave now is released.

    Returns those messages, and those that have gone on meanwhile: they are to be left out of the request.
    """
    locked = lock(session, (sent.message_id for sent in submission.messages))
    behind = {
        sent.message_id
        for sent in submission.messages
        if not _leaves(locked.get(sent.message_id), sent.number, submission)
    }
    if behind:
        record_unsent(session, submission, settings, only=behind)
    return behind


def _leaves(message: LockedMessage | None, number: int, submission: OpenSubmission) -> bool:
    return (
        message is not None
        and (message.state, message.number, message.submission_id) == (State.SENDING, number, submission.id)
        and _may_go(message)
        and (message.is_lane_open or submission.is_probe)
    )


def _may_go(message: LockedMessage) -> bool:
    """After a wait since it was taken. A batch that has another start keeps back what it still can."""
    return message.may_leave and not message.is_moved


def _record_failure(session: Session, submission: OpenSubmission, error: SendError, settings: Settings) -> None:
    """In doubt where nobody knows, else released as it was, with nothing burnt."""
    transitions, hands = _waiting(session, submission, lambda hand: _unanswered(hand, error))
    for message in (hand.message for hand in hands if hand.is_newest):
        if error.is_fate_known:
            fates.release(transitions, message, settings)
        else:
            fates.doubt(transitions, message, settings, error.detail)
    holds.note_error(session, submission.route, error)
    _close(session, submission, transitions, error.code, error.detail)


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
    transitions, hands = _waiting(session, submission, _unsent)
    hands = [hand for hand in hands if hand.is_newest]
    words = "; ".join([error.detail, *(violation.words for violation in error.violations)])
    named = {violation.index: violation.words for violation in error.violations if violation.index is not None}
    if len(submission.messages) == 1:
        named = {0: words}
    is_held = _fail_named(session, submission, transitions, hands, named, settings)
    rest: list[LockedMessage] = []
    for message in (hand.message for hand in hands if hand.index not in named):
        if _may_go(message) and message.is_lane_open and not is_held:
            rest.append(message)
        else:
            fates.release(transitions, message, settings)
    if not is_held:
        holds.note_success(session, submission.route, is_probe=submission.is_probe)  # the account and the way are well
    _close(session, submission, transitions, REFUSED, words[:MOST_WORDS])
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
    streaks = stops.Streaks(session, submission.route, (hand.message for hand in hands))
    # A batch of which others are spared is not at fault; of single sends each is the other's neighbour.
    spared = {hand.message.batch_id for hand in hands if hand.index not in named}
    for message, words in ((hand.message, named[hand.index]) for hand in hands if hand.index in named):
        if message.batch_id not in spared and streaks.stops(message, words):
            # Behind the others: the next probe is another one.
            fates.release(transitions, message, settings, next_attempt_at=transitions.now)
            continue
        fates.refuse(transitions, message, words)
        if message.batch_id not in spared:
            streaks.add(message, words)
    return streaks.write(next(iter(named.values())))


def _waiting(
    session: Session,
    submission: OpenSubmission,
    say: Callable[[_Hand], _Said],
    *,
    only: Set[UUID] | None = None,
) -> tuple[Transitions, list[_Hand]]:
    """The messages that still wait for this answer. Of those that do not, since an earlier attempt delivered them
    meanwhile, what it says is noted."""
    locked = lock(session, (sent.message_id for sent in submission.messages))
    transitions = Transitions(session, database_now(session))
    hands: list[_Hand] = []
    for index, sent in enumerate(submission.messages):
        message = locked.get(sent.message_id)
        if message is None or message.number != sent.number or (only is not None and message.id not in only):
            continue
        hand = _Hand(sent, message, index, is_newest=message.submission_id == submission.id)
        if message.state is State.SENDING:
            hands.append(hand)
        elif message.attempt_outcome is None and hand.is_newest:
            said = say(hand)
            fates.note_overtaken(transitions, message, said.outcome, said.code, said.detail)
    return transitions, hands


def _answered(hand: _Hand, answer: Answer) -> _Said:
    verdict = answer.verdicts.get(hand.sent.wire_id)
    if verdict is None:
        return _Said(AttemptOutcome.IN_DOUBT, UNKNOWN_FATE)
    if not verdict.is_known:
        unknown_codes_total.inc()
    # An ID used before: an earlier try of this attempt had landed, if there was one.
    had_landed = verdict.outcome is Outcome.DUPLICATE and hand.message.was_in_doubt
    if had_landed or verdict.outcome in (Outcome.PENDING, Outcome.DELIVERED):
        return _Said(AttemptOutcome.ACCEPTED, verdict=verdict)
    if verdict.outcome is Outcome.DUPLICATE:
        return _Said(AttemptOutcome.IN_DOUBT, UNKNOWN_FATE, verdict=verdict)
    return _Said(AttemptOutcome.FAILED, verdict.code, answer.details.get(hand.sent.wire_id), verdict)


def _unanswered(hand: _Hand, error: SendError) -> _Said:
    return _unsent(hand) if error.is_fate_known else _Said(AttemptOutcome.IN_DOUBT, UNKNOWN_FATE, error.detail)


def _unsent(hand: _Hand) -> _Said:
    if hand.message.was_in_doubt:
        return _Said(AttemptOutcome.IN_DOUBT, UNKNOWN_FATE)
    return _Said(AttemptOutcome.RELEASED)


def _label(said: _Said) -> str:
    """How an attempt's answer is counted."""
    if said.verdict is None:
        return "missing"
    if said.outcome is AttemptOutcome.ACCEPTED and said.verdict.outcome is Outcome.DUPLICATE:
        return Outcome.PENDING.value
    return said.verdict.outcome.value


def _close(
    session: Session, submission: OpenSubmission, transitions: Transitions, outcome: str, detail: str | None = None
) -> None:
    transitions.write()
    submissions.close(session, [submission.id], outcome, detail)
    route = submission.route
    submissions_total.labels(route.credential_name, route.channel, route.message_type, outcome).inc()
