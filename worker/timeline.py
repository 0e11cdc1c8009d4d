"""What happened to a message, from its rows: a timeline for people, and one sentence about where it stands."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, assert_never

from worker.models import Attempt, Batch, DeliveryReport, InboundMessage, Message, Submission
from worker.reasons import REFUSED, UNKNOWN_FATE
from worker.sentences import SENTENCES, explain
from worker.states import State
from worker.words import UNSETTLED, AttemptOutcome, ReportResult

Event = dict[str, Any]

_ENDS = {
    State.FAILED: "Failed",
    State.EXPIRED: "Expired",
    State.SUPPRESSED: "Not sent",
    State.CANCELLED: "Cancelled",
    State.UNCONFIRMED: "Unconfirmed",
}


def timeline(
    message: Message,
    attempts: Sequence[Attempt],
    submissions: Iterable[Submission],
    reports: Sequence[DeliveryReport],
    inbound: InboundMessage | None = None,
) -> list[Event]:
    """Events oldest first, each {"at", "kind", ...}. `submissions` are the newest of each attempt, `inbound` is what a
    reply answers.

    Kinds: inbound; accepted; attempt; in_doubt, resubmitted, released; accepted_by_infobip or refused; report;
    retry_scheduled; finished.
    """
    by_id = {submission.id: submission for submission in submissions}
    reported = {report.attempt for report in reports}
    events: list[Event] = [] if inbound is None else [_of_inbound(inbound)]
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
        # A late report stands after the end; what led to the end stands before it.
        events.sort(key=lambda event: event["at"])
    return events


def situation(message: Message, batch: Batch | None, attempts: Sequence[Attempt] = ()) -> str | None:
    """Where the message is and what happens next, in a sentence. None once it is delivered.

    With the `attempts`, also Infobip's own words for a refused request.
    """
    state = State(message.state)
    match state:
        case State.QUEUED:
            return _stopped(batch) or _waits_for_first_attempt(message)
        case State.RETRYING:
            return _stopped(batch) or _waits_for_next_attempt(message)
        case State.SENDING:
            return f"Attempt {message.attempt_count} is on its way to Infobip." + _doubt(message, attempts)
        case State.SENT:
            return "Infobip accepted the message; its delivery report is awaited."
        case State.DELIVERED:
            return None
        case State.SUPPRESSED if message.attempt_count:
            return _sentence("Not sent again", message.reason, attempts)
        case State.FAILED | State.EXPIRED | State.SUPPRESSED | State.CANCELLED | State.UNCONFIRMED:
            return _sentence(_ENDS[state], message.reason, attempts)
        case _:
            assert_never(state)


def _stopped(batch: Batch | None) -> str | None:
    if batch is not None and batch.cancelled_at is not None:
        return "Its batch is cancelled; it will not be sent."
    if batch is not None and batch.paused_at is not None:
        return f"Waits for its batch, which is paused. {batch.pause_reason or ''}".rstrip()
    return None


def _waits_for_first_attempt(message: Message) -> str:
    if message.next_attempt_at is not None and message.next_attempt_at > message.created_at:
        return f"Waits for its first attempt at {_clock(message.next_attempt_at)}."
    return "Waits to be sent as soon as its lane allows."


def _waits_for_next_attempt(message: Message) -> str:
    after = f" after {message.reason}: {explain(message.reason)}" if message.reason else "."
    return f"Waits for attempt {message.attempt_count + 1} at {_clock(message.next_attempt_at)}{after}"


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


def _sentence(start: str, reason: str | None, attempts: Sequence[Attempt]) -> str:
    if reason is None:
        return f"{start}."
    if reason == REFUSED:
        words = next((attempt.detail for attempt in _latest_first(attempts) if attempt.detail), None)
        if words:
            return f"{start}: Infobip refused the request: {words}"
    is_infobips = reason not in SENTENCES and explain(reason) != reason
    return f"{start} after {reason}: {explain(reason)}" if is_infobips else f"{start}: {explain(reason)}"


def _doubt(message: Message, attempts: Sequence[Attempt]) -> str:
    current = next((attempt for attempt in attempts if attempt.number == message.attempt_count), None)
    if current is None or current.outcome not in UNSETTLED:
        return ""
    if current.outcome == AttemptOutcome.ABSENT:
        return " Its fate was unknown and Infobip's logs do not show it, so it goes out again under the same number."
    look = f", next at {_clock(current.look_at)}" if current.look_at is not None else ""
    return f" {explain(UNKNOWN_FATE)[:-1]}{look}."


def _latest_first(attempts: Sequence[Attempt]) -> list[Attempt]:
    return sorted(attempts, key=lambda attempt: -attempt.number)


def _reason(message: Message) -> str | None:
    """In a final state only where it says why: a delivered message may remember what an earlier attempt met."""
    return message.reason if message.state in _ENDS else None


def _reasoned(code: str | None) -> dict[str, Any]:
    return {"reason": code, "sentence": explain(code)} if code else {}


def _clock(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%H:%M:%S} UTC" if at is not None else "once its lane allows"
