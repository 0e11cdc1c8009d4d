from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from worker import reasons, replies
from worker.consent import OLDER
from worker.ids import new_id
from worker.inbound_timeline import NO_REPLY, inbound_timeline, why_no_reply
from worker.models import Attempt, Batch, ConsentChange, DeliveryReport, InboundMessage, Lane, Message, Submission
from worker.sentences import SENTENCES, explain
from worker.states import State
from worker.timeline import Around, situation, timeline
from worker.words import UNSETTLED, Action, AttemptOutcome, HoldKind

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


NOW = at(10)
ABSENT = "EC_ABSENT_SUBSCRIBER"
UNTIL = "until 13:00:00 UTC"
ATTEMPTED = {"attempt_count": 1}
RETRIED = {**ATTEMPTED, "reason": ABSENT}
NO_CREDIT = {"kind": "account", "reason": "Not enough credit.", "held_until": at(40)}
TOMORROW = at(24 * 3600)


def around(
    lane: dict[str, Any] | None = None, batch: dict[str, Any] | None = None, current: dict[str, Any] | None = None
) -> Around:
    return Around(
        NOW,
        Lane(**(lane or {})),
        Batch(**batch) if batch is not None else None,
        attempt(1, 1, **current) if current else None,
    )


HOUR = timedelta(hours=1)
WINDOW = {"from": "12:30", "to": "14:30", "time_zone": "UTC"}
INDIA_OPENS = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)  # 10:00 there


# (state, the message, what is around it, the sentence)
SITUATIONS = {
    "due": (
        State.QUEUED,
        {},
        {},
        f"Its turn has come: its first attempt leaves as soon as its lane's rate allows, {UNTIL} at most.",
    ),
    "due again": (
        State.RETRYING,
        RETRIED,
        {},
        f"Its turn has come: attempt 2 leaves as soon as its lane's rate allows, {UNTIL} at most, "
        f"after {ABSENT}: {explain(ABSENT)}",
    ),
    "retry": (
        State.RETRYING,
        {**RETRIED, "next_attempt_at": at(245)},
        {},
        f"Waits for attempt 2 at 12:04:05 UTC; it is tried {UNTIL}, after {ABSENT}: {explain(ABSENT)}",
    ),
    "retry, lane held meanwhile": (
        State.RETRYING,
        {**RETRIED, "next_attempt_at": at(245)},
        {"lane": NO_CREDIT},
        f"Waits for attempt 2 at 12:04:05 UTC, while its lane is held; it is tried {UNTIL}, "
        f"after {ABSENT}: {explain(ABSENT)}",
    ),
    "retry within this second": (
        State.RETRYING,
        {**RETRIED, "next_attempt_at": at(10.4)},
        {},
        f"Waits for attempt 2 at 12:00:11 UTC; it is tried {UNTIL}, after {ABSENT}: {explain(ABSENT)}",
    ),
    "scheduled for another day": (
        State.QUEUED,
        {"next_attempt_at": TOMORROW, "expires_at": TOMORROW + timedelta(hours=1)},
        {"batch": {"send_at": TOMORROW}},
        "Waits for its first attempt at 2026-11-23 12:00:00 UTC; it is tried until 2026-11-23 13:00:00 UTC.",
    ),
    "at a pace": (
        State.QUEUED,
        {"next_attempt_at": at(60)},
        {"batch": {"messages_per_second": 1_500}},
        f"Waits for its first attempt at 12:01:00 UTC, its turn at the batch's 1,500 a second; it is tried {UNTIL}.",
    ),
    "retry in a batch with a pace": (
        State.RETRYING,
        {**ATTEMPTED, "next_attempt_at": at(60)},
        {"batch": {"messages_per_second": 5}},
        f"Waits for attempt 2 at 12:01:00 UTC; it is tried {UNTIL}.",
    ),
    "window opens today": (
        State.QUEUED,
        {"next_attempt_at": at(1800), "leave_before": at(9000)},
        {"batch": {"sending_window": WINDOW}},
        f"Waits for its sending window to open at 12:30:00 UTC, for its first attempt; it is tried {UNTIL}.",
    ),
    "retry in the next opening, lane held meanwhile": (
        State.RETRYING,
        {**RETRIED, "next_attempt_at": at(1800), "leave_before": at(9000)},
        {"batch": {"sending_window": WINDOW}, "lane": NO_CREDIT},
        f"Waits for its sending window to open at 12:30:00 UTC, for attempt 2, while its lane is held; it is tried "
        f"{UNTIL}, after {ABSENT}: {explain(ABSENT)}",
    ),
    "marketing to India, sent at night": (
        State.QUEUED,
        {"next_attempt_at": INDIA_OPENS, "leave_before": INDIA_OPENS + 11 * HOUR, "expires_at": INDIA_OPENS + HOUR},
        {"lane": {"message_type": "marketing"}},
        "Waits for its sending window to open at 2026-11-23 04:30:00 UTC, for its first attempt; it is tried until "
        "2026-11-23 05:30:00 UTC.",
    ),
    "a turn within its window, or one at which that is asked": (
        State.QUEUED,
        {"next_attempt_at": at(1801), "leave_before": at(9000)},
        {"batch": {"sending_window": WINDOW}},
        f"Waits for its first attempt at 12:30:01 UTC; it is tried {UNTIL}.",
    ),
    "lane held": (
        State.QUEUED,
        {},
        {"lane": NO_CREDIT},
        f"Its first attempt waits for its lane, {UNTIL} at most; the lane is held and tried again at 12:00:40 UTC: "
        "Not enough credit.",
    ),
    "lane tried again this moment": (
        State.RETRYING,
        RETRIED,
        {"lane": {**NO_CREDIT, "held_until": at(9)}},
        f"Attempt 2 waits for its lane, {UNTIL} at most; the lane is held and tried again now: Not enough credit. "
        f"Its last attempt ended with {ABSENT}: {explain(ABSENT)}",
    ),
    "lane tried again within this second": (
        State.QUEUED,
        {},
        {"lane": {**NO_CREDIT, "held_until": at(10.2)}},
        f"Its first attempt waits for its lane, {UNTIL} at most; the lane is held and tried again at 12:00:11 UTC: "
        "Not enough credit.",
    ),
    "lane held by hand": (
        State.QUEUED,
        {},
        {"lane": {"kind": HoldKind.BY_HAND, "reason": "Move."}},
        f"Its first attempt waits for its lane, {UNTIL} at most; the lane is held until a hand opens it: Move.",
    ),
    "batch paused by a person": (
        State.QUEUED,
        {},
        {"batch": {"paused_at": START}, "lane": NO_CREDIT},
        "Waits for its batch, which is paused: it goes on once that is resumed, or expires at 13:00:00 UTC.",
    ),
    "batch paused for a reason": (
        State.RETRYING,
        RETRIED,
        {"batch": {"paused_at": START, "pause_reason": "Infobip refused 20 in a row."}},
        "Waits for its batch, which is paused: it goes on once that is resumed, or expires at 13:00:00 UTC. "
        f"Infobip refused 20 in a row. Its last attempt ended with {ABSENT}: {explain(ABSENT)}",
    ),
    "retry, batch paused by a person": (
        State.RETRYING,
        {**RETRIED, "next_attempt_at": at(245)},
        {"batch": {"paused_at": START}},
        "Waits for its batch, which is paused: it goes on once that is resumed, or expires at 13:00:00 UTC. "
        f"Its last attempt ended with {ABSENT}: {explain(ABSENT)}",
    ),
    "batch cancelled": (
        State.QUEUED,
        {},
        {"batch": {"cancelled_at": START, "paused_at": START}},
        "Its batch is cancelled; it will not be sent.",
    ),
    "batch rescheduled": (
        State.QUEUED,
        {"expires_at": at(-5)},  # it gets another end with its turn
        {"batch": {"move_to": at(600)}},
        "Its batch is being given other turns, from 12:10:00 UTC on; this one's follows within moments.",
    ),
    "batch rescheduled while paused": (
        State.QUEUED,
        {},
        {"batch": {"move_to": at(600), "paused_at": START}},
        "Its batch is being given other turns, from 12:10:00 UTC on, and is paused; this one's follows within moments.",
    ),
    "retry in a batch that is rescheduled": (
        State.RETRYING,
        {**ATTEMPTED, "next_attempt_at": at(60)},
        {"batch": {"move_to": at(600)}},
        f"Waits for attempt 2 at 12:01:00 UTC; it is tried {UNTIL}.",
    ),
    "over, and not ended yet": (
        State.QUEUED,
        {"expires_at": at(10.5)},
        {"batch": {"paused_at": START}},
        "Its validity period ended at 12:00:10 UTC; it is about to end as expired.",
    ),
    "on its way": (
        State.SENDING,
        ATTEMPTED,
        {"current": {"outcome": None}, "batch": {"paused_at": START}},
        "Attempt 1 is on its way to Infobip since 12:00:01 UTC; what happens next is for its answer to say.",
    ),
    "in doubt": (
        State.SENDING,
        ATTEMPTED,
        {"current": {"outcome": "in doubt", "look_at": at(65)}},
        "Attempt 1 left, and nobody knows whether Infobip took it: its logs are asked at 12:01:05 UTC, and it goes out "
        f"again only if they do not show it, {UNTIL}.",
    ),
    "in doubt, asked for this moment": (
        State.SENDING,
        ATTEMPTED,
        {"current": {"outcome": "in doubt", "look_at": at(9)}},
        "Attempt 1 left, and nobody knows whether Infobip took it: its logs are asked now, and it goes out again only "
        f"if they do not show it, {UNTIL}.",
    ),
    "absent": (
        State.SENDING,
        ATTEMPTED,
        {"current": {"outcome": "absent", "look_at": at(65)}},
        "The fate of attempt 1 was unknown and Infobip's logs do not show it, so it goes out again under the same "
        f"number, {UNTIL}.",
    ),
    "absent, lane held": (
        State.SENDING,
        ATTEMPTED,
        {"current": {"outcome": "absent", "look_at": at(65)}, "lane": NO_CREDIT},
        "The fate of attempt 1 was unknown and Infobip's logs do not show it, so it goes out again under the same "
        f"number, {UNTIL}; but its lane is held and tried again at 12:00:40 UTC: Not enough credit.",
    ),
    "sent": (
        State.SENT,
        ATTEMPTED,
        {"current": {"outcome": "accepted", "look_at": at(601)}},
        "Infobip accepted attempt 1; its delivery report is awaited, and Infobip's logs are asked for it at "
        "12:10:01 UTC where none has come.",
    ),
    "sent, asked for this moment": (
        State.SENT,
        ATTEMPTED,
        {"current": {"outcome": "accepted", "look_at": at(5)}},
        "Infobip accepted attempt 1; its delivery report is awaited, and Infobip's logs are asked for it now.",
    ),
    "sent, no look left": (
        State.SENT,
        ATTEMPTED,
        {"current": {"outcome": "accepted", "look_at": None}},
        "Infobip accepted attempt 1; its delivery report is awaited, and it ends as unconfirmed where none comes until "
        "some time after 13:00:00 UTC.",
    ),
    "delivered": (State.DELIVERED, RETRIED, {}, None),
    "delivered late": (
        State.DELIVERED,
        {"reason": reasons.DELIVERED_LATE},
        {},
        f"Delivered late: {SENTENCES[reasons.DELIVERED_LATE]}",
    ),
    "failed": (State.FAILED, RETRIED, {}, f"Failed after {ABSENT}: {explain(ABSENT)}"),
    "failed for what nobody knows": (State.FAILED, {"reason": "EC_FROM_THE_FUTURE"}, {}, "Failed: EC_FROM_THE_FUTURE"),
    "refused in Infobip's words": (
        State.FAILED,
        {"reason": reasons.REFUSED},
        {"current": {"outcome": "failed", "detail": "bad sender"}},
        "Failed: Infobip refused the request: bad sender",
    ),
    "expired": (
        State.EXPIRED,
        {"reason": reasons.VALIDITY_OVER},
        {"batch": {"paused_at": START}},
        f"Expired: {SENTENCES[reasons.VALIDITY_OVER]}",
    ),
    "unconfirmed": (
        State.UNCONFIRMED,
        {"reason": reasons.NO_REPORT},
        {},
        f"Unconfirmed: {SENTENCES[reasons.NO_REPORT]}",
    ),
    "cancelled with its batch": (
        State.CANCELLED,
        {"reason": reasons.BATCH_CANCELLED},
        {"batch": {"cancelled_at": START}},
        f"Cancelled: {SENTENCES[reasons.BATCH_CANCELLED]}",
    ),
    "cancelled since its source arrived": (
        State.CANCELLED,
        {"reason": reasons.SOURCE_DELIVERED},
        {},
        f"Cancelled: {SENTENCES[reasons.SOURCE_DELIVERED]}",
    ),
    "cancelled, nobody wrote why": (State.CANCELLED, {}, {}, "Cancelled."),
    "suppressed": (
        State.SUPPRESSED,
        {"reason": reasons.OPTED_OUT},
        {},
        f"Not sent: {SENTENCES[reasons.OPTED_OUT]}",
    ),
    "suppressed between two attempts": (
        State.SUPPRESSED,
        {**ATTEMPTED, "reason": reasons.OPTED_OUT},
        {},
        f"Not sent again: {SENTENCES[reasons.OPTED_OUT]}",
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_situation_says_where_the_message_is_and_what_happens_next(name: str) -> None:
    state, fields, given, sentence = SITUATIONS[name]
    assert situation(message(state, **{"attempt_count": 0, **fields}), around(**given)) == sentence


def test_every_state_and_every_outcome_that_stands_open_has_its_situation() -> None:
    assert {state for state, *_ in SITUATIONS.values()} == set(State)
    outcomes = {(given.get("current") or {}).get("outcome") for state, _, given, _ in SITUATIONS.values()}
    assert outcomes >= {None, *UNSETTLED, AttemptOutcome.ACCEPTED}


@pytest.mark.parametrize("state", [state for state in State if state is not State.DELIVERED])
def test_a_message_of_which_nothing_more_is_known_has_a_sentence_too(state: State) -> None:
    told = situation(message(state, attempt_count=1), around())
    assert told is not None
    assert told.endswith(".")
    assert "None" not in told


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


def test_a_replay_and_its_source_name_each_other() -> None:
    source = message(State.EXPIRED, finished_at=at(10), reason=reasons.VALIDITY_OVER)
    replay = message(State.SENT, created_at=at(30), attempt_count=1)
    replay.id = new_id()
    told = timeline(source, [], [], [report(1, 40, result="late")], replay=replay)
    assert [event["kind"] for event in told] == ["accepted", "finished", "replayed", "report"]
    assert told[2] == {"at": at(30), "kind": "replayed", "message_id": replay.id, "state": State.SENT}
    first, second = timeline(replay, [], [], [], source=source)
    assert first == {"at": at(30), "kind": "replays", "message_id": ID, "state": State.EXPIRED}
    assert second["kind"] == "accepted"


def test_a_late_delivery_says_so_at_its_end() -> None:
    late = message(State.DELIVERED, finished_at=at(20), reason=reasons.DELIVERED_LATE)
    assert timeline(late, [], [], [])[-1]["sentence"] == SENTENCES[reasons.DELIVERED_LATE]


def change(**fields: Any) -> ConsentChange:
    return ConsentChange(**{"recipient": "919876543210", "credential_id": ID, "changed_at": START, **fields})


def test_inbound_message_is_told_from_the_handset_to_its_reply() -> None:
    events = inbound_timeline(
        inbound(action=Action.OPT_OUT, keyword="STOP", consent="opted_out", reply_id=ID),
        change(state="opted_out"),
        message(State.SENT, attempt_count=1),
        "Its delivery report is awaited.",
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
            "sentence": "Its delivery report is awaited.",
        },
    ]


def test_inbound_message_without_reply_says_why() -> None:
    told = inbound_timeline(inbound(action=Action.HELP, keyword="HELP", no_reply=replies.TOO_SOON), None, None, None)
    assert [event["kind"] for event in told] == ["received", "stored", "read", "not_replied"]
    assert told[-1]["reason"] == replies.TOO_SOON
    assert told[-1]["sentence"] == NO_REPLY[replies.TOO_SOON]


def test_inbound_message_that_is_not_settled_is_told_until_it_was_stored() -> None:
    waiting = inbound()
    assert [event["kind"] for event in inbound_timeline(waiting, None, None, None)] == ["received", "stored"]
    assert why_no_reply(waiting) is None


@pytest.mark.parametrize(("action", "code"), [("custom:JOIN: now", Action.CUSTOM), ("other_number",) * 2])
def test_action_that_nothing_answers_is_the_reason_itself(action: str, code: str) -> None:
    unanswered = inbound(action=action)
    assert inbound_timeline(unanswered, None, None, None)[-1]["reason"] == code
    assert why_no_reply(unanswered) == NO_REPLY[code]


def test_every_code_for_no_reply_has_its_sentence() -> None:
    constants = {value for name, value in vars(replies).items() if name.isupper() and isinstance(value, str)}
    codes = constants - {replies.KEYWORD_PLACE}
    assert codes | {OLDER, Action.CUSTOM, Action.OTHER_NUMBER} == set(NO_REPLY)
    assert all(sentence.endswith(".") for sentence in NO_REPLY.values())
