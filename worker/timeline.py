"""What happened to a message, from its rows: a timeline for people, and one sentence about where it stands."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from worker.models import Attempt, Batch, DeliveryReport, InboundMessage, Lane, Message, Submission
from worker.reasons import DELIVERED_LATE, REFUSED, UNKNOWN_FATE
from worker.retry import LEAST_REMAINING
from worker.sentences import SENTENCES, explain
from worker.states import State
from worker.windows import opening, read_given, window_for
from worker.words import AttemptOutcome, HoldKind, MessageType, Origin, ReportResult

Event = dict[str, Any]

_ENDS = {
    State.FAILED: "Failed",
    State.EXPIRED: "Expired",
    State.SUPPRESSED: "Not sent",
    State.CANCELLED: "Cancelled",
    State.UNCONFIRMED: "Unconfirmed",
}


@dataclass(frozen=True, slots=True)
class Around:
    """What a message's situation depends on besides its own row: the database's clock, its lane, its batch (None for a
    single one), and its current attempt, if there is one."""

    now: datetime
    lane: Lane
    batch: Batch | None = None
    attempt: Attempt | None = None


def timeline(
    message: Message,
    attempts: Sequence[Attempt],
    submissions: Iterable[Submission],
    reports: Sequence[DeliveryReport],
    inbound: InboundMessage | None = None,
    source: Message | None = None,
    replay: Message | None = None,
) -> list[Event]:
    """Events oldest first, each {"at", "kind", ...}. `submissions` are the newest of each attempt, `inbound` is what a
    reply answers, `source` what a replay sends again, or what a fallback goes in the place of, `replay` what sends this
    one again, or goes in its place.

    Kinds: inbound, replays or fallback_of; accepted; attempt; in_doubt, resubmitted, released; accepted_by_infobip or
    refused; report; retry_scheduled; finished; replayed or fallback.
    """
    by_id = {submission.id: submission for submission in submissions}
    reported = {report.attempt for report in reports}
    events: list[Event] = [] if inbound is None else [_of_inbound(inbound)]
    if source is not None:
        kind = "fallback_of" if message.origin == Origin.FALLBACK else "replays"
        events.append({"at": message.created_at, "kind": kind, "message_id": source.id, "state": source.state})
    events.append({"at": message.created_at, "kind": "accepted", "origin": message.origin})
    for attempt in sorted(attempts, key=lambda attempt: attempt.number):
        events += _of_attempt(attempt, by_id.get(attempt.submission_id), was_reported=attempt.number in reported)
    events += [_of_report(report) for report in sorted(reports, key=lambda report: report.id)]
    events.sort(key=lambda event: event["at"])
    if message.state == State.RETRYING and message.next_attempt_at is not None:
        # When it was scheduled is not kept: with whatever happened last.
        events.append(
            {
                "at": events[-1]["at"],
                "kind": "retry_scheduled",
                "next_attempt_at": message.next_attempt_at,
                **_reasoned(message.reason),
            }
        )
    if message.finished_at is not None:
        events.append(
            {"at": message.finished_at, "kind": "finished", "state": message.state, **_reasoned(_reason(message))}
        )
    if replay is not None:
        kind = "fallback" if replay.origin == Origin.FALLBACK else "replayed"
        events.append({"at": replay.created_at, "kind": kind, "message_id": replay.id, "state": replay.state})
    # A late report stands after the end, and so may a replay; what led to the end stands before it.
    events.sort(key=lambda event: event["at"])
    return events


def situation(message: Message, around: Around) -> str | None:
    """Where the message is and what happens next, in a sentence. None once it is delivered, unless it was late."""
    state = State(message.state)
    match state:
        case State.QUEUED | State.RETRYING:
            return _stopped(message, around) or _waits(message, around)
        case State.SENDING:
            return _is_on_its_way(message, around)
        case State.SENT:
            return _awaits_report(message, around)
        case State.DELIVERED:
            return _sentence("Delivered late", DELIVERED_LATE, None) if message.reason == DELIVERED_LATE else None
        case State.SUPPRESSED if message.attempt_count:
            return _sentence("Not sent again", message.reason, around.attempt)
        case State.FAILED | State.EXPIRED | State.SUPPRESSED | State.CANCELLED | State.UNCONFIRMED:
            return _sentence(_ENDS[state], message.reason, around.attempt)
        case _:
            assert_never(state)


def _stopped(message: Message, around: Around) -> str | None:
    """What keeps it from leaving whatever its turn is."""
    batch = around.batch
    if batch is not None and batch.cancelled_at is not None:
        return "Its batch is cancelled; it will not be sent."
    ends = _clock(message.expires_at, around.now)
    if batch is not None and batch.move_to is not None and message.state == State.QUEUED:
        start = _clock(batch.move_to, around.now)
        paused = ", and is paused" if batch.paused_at is not None else ""
        return f"Its batch is being given other turns, from {start} on{paused}; this one's follows within moments."
    if message.expires_at < around.now + LEAST_REMAINING:
        return f"Its validity period ended at {ends}; it is about to end as expired."
    if batch is not None and batch.paused_at is not None:
        why = f" {batch.pause_reason}" if batch.pause_reason else ""
        return (
            f"Waits for its batch, which is paused: it goes on once that is resumed, or expires at {ends}.{why}"
            f"{_last_met(message)}"
        )
    return None


def _waits(message: Message, around: Around) -> str:
    now, lane, turn = around.now, around.lane, message.next_attempt_at
    ends = _clock(message.expires_at, now)
    number = message.attempt_count + 1
    what = f"attempt {number}" if message.state == State.RETRYING else "its first attempt"
    after = f", after {message.reason}: {explain(message.reason)}" if message.reason else "."
    if turn is not None and turn > now:
        held = ", while its lane is held" if lane.kind is not None else ""
        if _is_opening(message, around, turn):
            window = f"its sending window to open {_when(turn, now)}"
            return f"Waits for {window}, for {what}{held}; it is tried until {ends}{after}"
        pace = _by_pace(message, around.batch)
        return f"Waits for {what} {_when(turn, now)}{pace}{held}; it is tried until {ends}{after}"
    if lane.kind is not None:
        begin = what[0].upper() + what[1:]
        held = f"the lane is held {_hold(lane, now)}{_last_met(message)}"
        return f"{begin} waits for its lane, until {ends} at most; {held}"
    return f"Its turn has come: {what} leaves as soon as its lane's rate allows, until {ends} at most{after}"


def _is_opening(message: Message, around: Around, turn: datetime) -> bool:
    """Its sending window opens just then."""
    if message.leave_before is None:
        return False
    given = message.sending_window if around.batch is None else around.batch.sending_window
    is_marketing = around.lane.message_type == MessageType.MARKETING
    hours = read_given(None if given is None else json.dumps(given))
    window = window_for(hours, is_marketing=is_marketing, recipient=message.recipient)
    before = None if window is None else opening(window, turn - timedelta(microseconds=1))
    return before is not None and before.at == turn


def _last_met(message: Message) -> str:
    return f" Its last attempt ended with {message.reason}: {explain(message.reason)}" if message.reason else ""


def _by_pace(message: Message, batch: Batch | None) -> str:
    if batch is None or batch.messages_per_second is None or message.state != State.QUEUED:
        return ""
    return f", its turn at the batch's {batch.messages_per_second:,} a second"


def _hold(lane: Lane, now: datetime) -> str:
    why = lane.reason or "nobody wrote down why."
    if lane.kind == HoldKind.BY_HAND or lane.held_until is None:
        return f"until a hand opens it: {why}"
    return f"and tried again {_when(lane.held_until, now)}: {why}"


def _is_on_its_way(message: Message, around: Around) -> str:
    number, attempt, now = message.attempt_count, around.attempt, around.now
    ends = _clock(message.expires_at, now)
    match attempt.outcome if attempt is not None else None:
        case AttemptOutcome.IN_DOUBT:
            look = _when(attempt.look_at, now) if attempt and attempt.look_at else "at the next look"
            return (
                f"Attempt {number} left, and nobody knows whether Infobip took it: its logs are asked {look}, and "
                f"it goes out again only if they do not show it, until {ends}."
            )
        case AttemptOutcome.ABSENT:
            held = f"; but its lane is held {_hold(around.lane, now)}" if around.lane.kind else "."
            return (
                f"The fate of attempt {number} was unknown and Infobip's logs do not show it, so it goes out again "
                f"under the same number, until {ends}{held}"
            )
        case _:
            since = f" since {_clock(attempt.started_at, now)}" if attempt is not None else ""
            return f"Attempt {number} is on its way to Infobip{since}; what happens next is for its answer to say."


def _awaits_report(message: Message, around: Around) -> str:
    attempt, now = around.attempt, around.now
    look_at = attempt.look_at if attempt is not None else None
    ends = _clock(message.expires_at, now)
    accepted = f"Infobip accepted attempt {message.attempt_count}; its delivery report is awaited"
    if look_at is None:
        return f"{accepted}, and it ends as unconfirmed where none comes until some time after {ends}."
    if look_at <= now:
        return f"{accepted}, and Infobip's logs are asked for it now."
    return f"{accepted}, and Infobip's logs are asked for it {_when(look_at, now)} where none has come."


def _of_inbound(inbound: InboundMessage) -> Event:
    return {
        "at": inbound.received_at,
        "kind": "inbound",
        "inbound_id": inbound.id,
        "action": inbound.action,
        "keyword": inbound.keyword,
    }


def _of_attempt(attempt: Attempt, submission: Submission | None, *, was_reported: bool) -> list[Event]:
    number = attempt.number
    events: list[Event] = [
        {"at": attempt.started_at, "kind": "attempt", "number": number, "submission_id": attempt.submission_id}
    ]
    if attempt.doubted_at is not None:
        events.append({"at": attempt.doubted_at, "kind": "in_doubt", "number": number, **_reasoned(UNKNOWN_FATE)})
    if submission is not None and submission.parent_id is not None:
        events.append(
            {"at": submission.opened_at, "kind": "resubmitted", "number": number, "submission_id": submission.id}
        )
    if attempt.outcome is None or attempt.answered_at is None:
        return events
    outcome, at = AttemptOutcome(attempt.outcome), attempt.answered_at
    match outcome:
        case AttemptOutcome.RELEASED:
            why = attempt.detail or (submission.detail if submission else None)
            events.append({"at": at, "kind": "released", "number": number, "detail": why})
        case AttemptOutcome.FAILED if not was_reported:
            detail = {"detail": attempt.detail} if attempt.detail else {}
            events.append({"at": at, "kind": "refused", "number": number, **_reasoned(attempt.code), **detail})
        case AttemptOutcome.ACCEPTED | AttemptOutcome.DELIVERED | AttemptOutcome.FAILED:
            events.append({"at": at, "kind": "accepted_by_infobip", "number": number})
        case AttemptOutcome.IN_DOUBT | AttemptOutcome.ABSENT:
            pass  # told where the doubt began
        case _:
            assert_never(outcome)
    return events


def _of_report(report: DeliveryReport) -> Event:
    return {
        "at": report.received_at,
        "kind": "report",
        "number": report.attempt,
        "status": report.status_name,
        "error": report.error_name,
        "source": report.source,
        "is_late": report.result == ReportResult.LATE,
        "done_at": report.done_at,
    }


def _sentence(start: str, reason: str | None, attempt: Attempt | None) -> str:
    if reason is None:
        return f"{start}."
    if reason == REFUSED and attempt is not None and attempt.detail:
        return f"{start}: Infobip refused the request: {attempt.detail}"
    is_infobips = reason not in SENTENCES and explain(reason) != reason
    return f"{start} after {reason}: {explain(reason)}" if is_infobips else f"{start}: {explain(reason)}"


def _reason(message: Message) -> str | None:
    """In a final state only where it says why: a delivered message may remember what an earlier attempt met."""
    return message.reason if message.state in _ENDS or message.reason == DELIVERED_LATE else None


def _reasoned(code: str | None) -> dict[str, Any]:
    return {"reason": code, "sentence": explain(code)} if code else {}


def _when(at: datetime, now: datetime) -> str:
    """Of what is to come: nothing comes at a time that is over, nor within a second that has begun."""
    return "now" if at <= now else f"at {_clock(at + timedelta(microseconds=-at.microsecond % 1_000_000), now)}"


def _clock(at: datetime, now: datetime) -> str:
    """The time, with its day where that is not today."""
    at = at.astimezone(UTC)
    return f"{at:%H:%M:%S} UTC" if at.date() == now.astimezone(UTC).date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"
