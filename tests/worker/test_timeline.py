from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from worker import reasons, replies
from worker.consent import OLDER
from worker.ids import new_id
from worker.inbound_timeline import NO_REPLY, inbound_timeline, why_no_reply
from worker.models import Attempt, Batch, ConsentChange, DeliveryReport, InboundMessage, Message, Submission
from worker.sentences import SENTENCES, explain
from worker.states import WAITING, State
from worker.timeline import situation, timeline
from worker.words import Action, AttemptOutcome

START = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
ID = new_id()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def message(state: State, **fields: Any) -> Message:
    given = {"next_attempt_at": START, "created_at": START, "expires_at": at(3600), "recipient": "919876543210"}
    return Message(id=ID, state=state, origin="api", **{**given, **fields})


def attempt(number: int, started: float, **fields: Any) -> Attempt:
    given = {"submission_id": UUID(int=number), "started_at": at(started)}
    return Attempt(message_id=ID, number=number, **{**given, **fields})


def report(number: int, received: float, **fields: Any) -> DeliveryReport:
    given = {"status_name": "DELIVERED_TO_HANDSET", "source": "push", "result": "applied", "received_at": at(received)}
    return DeliveryReport(message_id=ID, id=new_id(), attempt=number, **{**given, **fields})


def kinds(*rows: Any) -> list[str]:
    return [event["kind"] for event in timeline(*rows)]


def test_delivered_at_the_second_attempt_is_told_in_order() -> None:
    events = timeline(
        message(State.DELIVERED, attempt_count=2, finished_at=at(70), reason="EC_ABSENT_SUBSCRIBER"),
        [
            attempt(2, 64, answered_at=at(65), outcome="delivered"),
            attempt(1, 1, answered_at=at(2), outcome="failed", code="EC_ABSENT_SUBSCRIBER"),
        ],
        [],
        [report(2, 70), report(1, 4, status_name="UNDELIVERABLE_NOT_DELIVERED", error_name="EC_ABSENT_SUBSCRIBER")],
    )
    assert [(event["kind"], event.get("number")) for event in events] == [
        ("accepted", None),
        ("attempt", 1),
        ("accepted_by_infobip", 1),
        ("report", 1),
        ("attempt", 2),
        ("accepted_by_infobip", 2),
        ("report", 2),
        ("finished", None),
    ]
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
    assert events[1]["submission_id"] == UUID(int=1)
    assert events[3]["error"] == "EC_ABSENT_SUBSCRIBER"
    assert "reason" not in events[-1]


def test_refusal_in_the_answer_is_told_with_its_words() -> None:
    events = timeline(
        message(State.FAILED, attempt_count=1, finished_at=at(2), reason=reasons.REFUSED),
        [attempt(1, 1, answered_at=at(2), outcome="failed", code=reasons.REFUSED, detail="bad sender")],
        [],
        [],
    )
    assert [event["kind"] for event in events] == ["accepted", "attempt", "refused", "finished"]
    assert events[2]["detail"] == "bad sender"
    assert events[3]["reason"] == reasons.REFUSED
    assert events[3]["sentence"]


def test_doubt_and_what_settled_it_are_both_told() -> None:
    submission = Submission(
        id=UUID(int=1), parent_id=UUID(int=9), bulk_ids=[], lane_id=ID, opened_at=at(30), lease_until=at(90)
    )
    told = kinds(
        message(State.SENT, attempt_count=1),
        [attempt(1, 1, doubted_at=at(10), answered_at=at(31), outcome="accepted")],
        [submission],
        [],
    )
    assert told == ["accepted", "attempt", "in_doubt", "resubmitted", "accepted_by_infobip"]


def test_doubt_that_stands_open_has_no_answer() -> None:
    told = kinds(
        message(State.SENDING, attempt_count=1),
        [attempt(1, 1, doubted_at=at(10), answered_at=at(10), outcome="in doubt")],
        [],
        [],
    )
    assert told == ["accepted", "attempt", "in_doubt"]


def test_released_attempt_says_why() -> None:
    submission = Submission(
        id=UUID(int=1), bulk_ids=[], lane_id=ID, opened_at=at(1), lease_until=at(60), detail="connection refused"
    )
    events = timeline(
        message(State.QUEUED, attempt_count=0), [attempt(1, 1, answered_at=at(2), outcome="released")], [submission], []
    )
    assert events[-1] == {"at": at(2), "kind": "released", "number": 1, "detail": "connection refused"}


def test_retry_that_is_scheduled_stands_last_with_its_time() -> None:
    events = timeline(
        message(State.RETRYING, attempt_count=1, reason="EC_ABSENT_SUBSCRIBER", next_attempt_at=at(65)),
        [attempt(1, 1, answered_at=at(2), outcome="failed")],
        [],
        [report(1, 4)],
    )
    assert events[-1]["kind"] == "retry_scheduled"
    assert events[-1]["next_attempt_at"] == at(65)
    assert events[-1]["at"] == at(4)


def test_report_after_the_end_is_told_after_it() -> None:
    told = kinds(
        message(State.EXPIRED, attempt_count=1, finished_at=at(10), reason=reasons.VALIDITY_OVER),
        [attempt(1, 1, answered_at=at(2), outcome="accepted")],
        [],
        [report(1, 20, result="late")],
    )
    assert told == ["accepted", "attempt", "accepted_by_infobip", "finished", "report"]


TOLD_OF_OUTCOME = [
    (None, False, []),  # its submission is open
    (AttemptOutcome.RELEASED, False, ["released"]),
    (AttemptOutcome.IN_DOUBT, False, []),  # told by `doubted_at`
    (AttemptOutcome.ABSENT, False, []),
    (AttemptOutcome.ACCEPTED, False, ["accepted_by_infobip"]),
    (AttemptOutcome.DELIVERED, True, ["accepted_by_infobip"]),
    (AttemptOutcome.FAILED, False, ["refused"]),
    (AttemptOutcome.FAILED, True, ["accepted_by_infobip"]),  # the report says of what it failed
]


def test_every_outcome_stands_in_the_table() -> None:
    assert {outcome for outcome, _, _ in TOLD_OF_OUTCOME} == {None, *AttemptOutcome}


@pytest.mark.parametrize(("outcome", "was_reported", "told"), TOLD_OF_OUTCOME)
def test_what_came_of_an_attempt_is_told_by_its_outcome(
    outcome: AttemptOutcome | None, was_reported: bool, told: list[str]
) -> None:
    answered = attempt(1, 1, answered_at=at(2), outcome=outcome)
    found = kinds(message(State.SENDING), [answered], [], [report(1, 4)] if was_reported else [])
    assert found == ["accepted", "attempt", *told, *(["report"] if was_reported else [])]


def test_outcome_that_nobody_knows_is_not_told_as_accepted() -> None:
    with pytest.raises(ValueError, match="lost in the post"):
        kinds(message(State.SENDING), [attempt(1, 1, answered_at=at(2), outcome="lost in the post")], [], [])


SENTENCES_BY_STATE = {
    State.QUEUED: "Waits to be sent as soon as its lane allows.",
    State.SENDING: "Attempt 1 is on its way to Infobip.",
    State.SENT: "Infobip accepted the message; its delivery report is awaited.",
    State.RETRYING: "Waits for attempt 2 at 12:00:00 UTC.",
    State.DELIVERED: None,
    State.FAILED: "Failed.",
    State.EXPIRED: "Expired.",
    State.SUPPRESSED: "Not sent again.",
    State.CANCELLED: "Cancelled.",
    State.UNCONFIRMED: "Unconfirmed.",
}


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_sentence_but_delivered(state: State) -> None:
    assert situation(message(state, attempt_count=1), None) == SENTENCES_BY_STATE[state]


@pytest.mark.parametrize("state", State)
def test_stopped_batch_is_told_only_of_what_waits(state: State) -> None:
    told = situation(message(state, attempt_count=1), Batch(paused_at=START, pause_reason="Infobip refused it."))
    stopped = "Waits for its batch, which is paused. Infobip refused it."
    assert told == (stopped if state in WAITING else SENTENCES_BY_STATE[state])


@pytest.mark.parametrize(
    ("state", "fields", "words"),
    [
        (State.QUEUED, {}, "as soon as its lane allows"),
        (State.QUEUED, {"next_attempt_at": at(7200)}, "first attempt at 14:00:00 UTC"),
        (State.SENDING, {"attempt_count": 2}, "Attempt 2 is on its way"),
        (State.SENT, {"attempt_count": 1}, "report is awaited"),
        (
            State.RETRYING,
            {"attempt_count": 2, "reason": "EC_ABSENT_SUBSCRIBER", "next_attempt_at": at(245)},
            "Waits for attempt 3 at 12:04:05 UTC after EC_ABSENT_SUBSCRIBER: ",
        ),
        (State.FAILED, {"reason": "EC_UNKNOWN_SUBSCRIBER"}, "Failed after EC_UNKNOWN_SUBSCRIBER: "),
        (State.FAILED, {"reason": "EC_FROM_THE_FUTURE"}, "Failed: EC_FROM_THE_FUTURE"),
        (State.EXPIRED, {"reason": reasons.VALIDITY_OVER}, "validity period ended"),
        (State.UNCONFIRMED, {"reason": reasons.NO_REPORT}, "no final report"),
        (State.CANCELLED, {"reason": reasons.BATCH_CANCELLED}, "batch was cancelled"),
        (State.CANCELLED, {}, "Cancelled."),
        (State.SUPPRESSED, {"reason": reasons.OPTED_OUT}, "Not sent: The recipient has opted out"),
        (State.SUPPRESSED, {"reason": reasons.NOT_OPTED_IN}, "Not sent: The surface requires an opt-in"),
        (State.SUPPRESSED, {"reason": reasons.NUMBER_BLOCKED}, "Not sent: Infobip reported that the number is blocked"),
        (State.SUPPRESSED, {"reason": reasons.OPTED_OUT, "attempt_count": 2}, "Not sent again: The recipient has"),
    ],
)
def test_situation_is_one_sentence_about_where_and_what_next(state: State, fields: dict, words: str) -> None:
    told = situation(message(state, **fields), None)
    assert told is not None
    assert words in told


def test_delivered_message_needs_no_explanation() -> None:
    assert situation(message(State.DELIVERED, reason="EC_ABSENT_SUBSCRIBER"), None) is None


def test_refused_message_shows_infobips_own_words() -> None:
    told = situation(
        message(State.FAILED, reason=reasons.REFUSED), None, [attempt(1, 1, outcome="failed", detail="bad sender")]
    )
    assert told == "Failed: Infobip refused the request: bad sender"


def test_doubt_says_that_the_logs_are_asked_and_when() -> None:
    told = situation(message(State.SENDING, attempt_count=1), None, [attempt(1, 1, outcome="in doubt", look_at=at(65))])
    assert told is not None
    assert "logs are asked" in told
    assert "12:01:05 UTC" in told


@pytest.mark.parametrize(("flag", "words"), [("paused_at", "paused"), ("cancelled_at", "cancelled")])
def test_waiting_message_of_a_stopped_batch_says_so(flag: str, words: str) -> None:
    told = situation(message(State.QUEUED), Batch(**{flag: START}))
    assert told is not None
    assert words in told


def test_every_code_of_ours_has_a_sentence_and_unknown_ones_stand_for_themselves() -> None:
    codes = {value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)}
    assert codes == set(SENTENCES)
    assert explain("EC_FROM_THE_FUTURE") == "EC_FROM_THE_FUTURE"
    assert explain("EC_ABSENT_SUBSCRIBER") != "EC_ABSENT_SUBSCRIBER"


@pytest.mark.parametrize("reason", [reasons.OPTED_OUT, reasons.NOT_OPTED_IN, reasons.NUMBER_BLOCKED])
def test_suppressed_at_birth_is_told_in_two_events(reason: str) -> None:
    accepted, finished = timeline(message(State.SUPPRESSED, finished_at=START, reason=reason), [], [], [])
    assert accepted["kind"] == "accepted"
    assert finished == {
        "at": START,
        "kind": "finished",
        "state": State.SUPPRESSED,
        "reason": reason,
        "sentence": SENTENCES[reason],
    }


def test_suppressed_between_two_attempts_is_told_after_the_first() -> None:
    told = kinds(
        message(State.SUPPRESSED, attempt_count=1, finished_at=at(65), reason=reasons.OPTED_OUT),
        [attempt(1, 1, answered_at=at(2), outcome="failed", code="EC_ABSENT_SUBSCRIBER")],
        [],
        [report(1, 4)],
    )
    assert told == ["accepted", "attempt", "accepted_by_infobip", "report", "finished"]


def inbound(**fields: Any) -> InboundMessage:
    given = {"credential_id": ID, "sender": "919876543210", "received_at": at(-2), "created_at": at(-1)}
    return InboundMessage(**{**given, **fields})


def test_reply_begins_with_what_it_answers() -> None:
    stop = inbound(action=Action.OPT_OUT, keyword="STOP", reply_id=ID)
    first, second = timeline(message(State.QUEUED), [], [], [], stop)
    assert first == {
        "at": at(-2),
        "kind": "inbound",
        "inbound_id": stop.id,
        "action": Action.OPT_OUT,
        "keyword": "STOP",
    }
    assert second["kind"] == "accepted"


def change(**fields: Any) -> ConsentChange:
    return ConsentChange(**{"recipient": "919876543210", "credential_id": ID, "changed_at": START, **fields})


def test_inbound_message_is_told_from_the_handset_to_its_reply() -> None:
    events = inbound_timeline(
        inbound(action=Action.OPT_OUT, keyword="STOP", consent="opted_out", reply_id=ID),
        change(state="opted_out"),
        message(State.SENT, attempt_count=1),
        [attempt(1, 1, answered_at=at(2), outcome="accepted")],
    )
    assert events == [
        {"at": at(-2), "kind": "received"},
        {"at": at(-1), "kind": "stored"},
        {"at": START, "kind": "read", "action": Action.OPT_OUT, "keyword": "STOP"},
        {"at": START, "kind": "consent", "state": "opted_out"},
        {
            "at": START,
            "kind": "replied",
            "message_id": ID,
            "state": State.SENT,
            "sentence": "Infobip accepted the message; its delivery report is awaited.",
        },
    ]


def test_inbound_message_without_reply_says_why() -> None:
    told = inbound_timeline(inbound(action=Action.HELP, keyword="HELP", no_reply=replies.TOO_SOON), None, None, [])
    assert [event["kind"] for event in told] == ["received", "stored", "read", "not_replied"]
    assert told[-1]["reason"] == replies.TOO_SOON
    assert told[-1]["sentence"] == NO_REPLY[replies.TOO_SOON]


def test_inbound_message_that_is_not_settled_is_told_until_it_was_stored() -> None:
    waiting = inbound()
    assert [event["kind"] for event in inbound_timeline(waiting, None, None, [])] == ["received", "stored"]
    assert why_no_reply(waiting) is None


@pytest.mark.parametrize(("action", "code"), [("custom:JOIN: now", Action.CUSTOM), ("other_number",) * 2])
def test_action_that_nothing_answers_is_the_reason_itself(action: str, code: str) -> None:
    unanswered = inbound(action=action)
    assert inbound_timeline(unanswered, None, None, [])[-1]["reason"] == code
    assert why_no_reply(unanswered) == NO_REPLY[code]


def test_every_code_for_no_reply_has_its_sentence() -> None:
    constants = {value for name, value in vars(replies).items() if name.isupper() and isinstance(value, str)}
    codes = constants - {replies.KEYWORD_PLACE}
    assert codes | {OLDER, Action.CUSTOM, Action.OTHER_NUMBER} == set(NO_REPLY)
    assert all(sentence.endswith(".") for sentence in NO_REPLY.values())
