"""What must hold of the tables after every step, whatever happened, beside what the model of Infobip knows.

Each check takes the `World` and says in its docstring what it holds to.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from tests.worker.any_order.model_infobip import Attempt, ModelInfobip, Told
from tests.worker.any_order.model_people import ModelPeople
from tests.worker.any_order.tables import Key, World
from worker import retry
from worker.reasons import DELIVERED_LATE, NUMBER_BLOCKED, OPTED_OUT, SOURCE_DELIVERED, WINDOW_CLOSED
from worker.states import FINAL, REASONED, UNDELIVERED, WAITING, State, may_become
from worker.windows import OFF
from worker.words import UNSETTLED, AttemptOutcome, EventType


def key(told: Told) -> Key:
    """What makes a report the same report."""
    report = told.report()
    return report.message_id, report.attempt, report.status_id, report.done_at


def check_steps(world: World) -> None:
    """Each change of state is one that states.py allows: so delivered is for ever, and other ends only become that.

    A claim takes the next number, a release gives it back, nothing else touches it.
    """
    for step in world.steps:
        was, state = State(step.was), State(step.state)
        assert may_become(was, state), f"{was} became {state}"
        change = step.number - step.was_number
        if was in WAITING and state is State.SENDING:
            assert change == 1, f"the claim went from number {step.was_number} to {step.number}"
        elif was is State.SENDING and state in WAITING:
            assert change in (0, -1), f"from number {step.was_number} back to {step.number}"
        else:
            assert change == 0, f"{was} became {state}, number {step.was_number} became {step.number}"


def check_attempts(world: World, infobip: ModelInfobip) -> None:
    """Numbers have no gap. The count is that of the newest attempt that used up an ID or is open; past it stands at
    most one that was released, whose ID is unused."""
    for message_id, message in world.messages.items():
        rows = world.attempts[message_id]
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        newest = max((row.number for row in rows if row.outcome != AttemptOutcome.RELEASED), default=0)
        if message.state in FINAL:  # which may have ended with its release
            assert message.attempt_count in (newest, len(rows))
        else:
            assert message.attempt_count == newest
        assert len(rows) - newest <= 1
        used = max((number for known, number in infobip.seen if known == message_id), default=0)
        assert used <= message.attempt_count, f"{used} is used up and counts as unused"


def check_open_attempts(world: World, infobip: ModelInfobip) -> None:
    """A message has at most one open attempt, as Infobip sees it: one that was accepted, and of which no failure was
    told. While one is open the message does not wait for the next; and what is `sent` Infobip knows."""
    for message_id, message in world.messages.items():
        open_attempts = infobip.open_attempts(message_id)
        assert len(open_attempts) <= 1, f"two copies: {open_attempts}"
        if message.state in WAITING:
            assert not open_attempts, f"{message.state} while {open_attempts} is open"
        if message.state == State.SENT:
            assert (message_id, message.attempt_count) in infobip.seen


def check_ends(world: World, infobip: ModelInfobip) -> None:
    """Nothing is cancelled but with its batch or for what it replays, and nothing expires before its last margin, but
    for its window.
    Neither they nor consent end a message that Infobip has accepted and shows in its logs. In a batch that is
    cancelled, none waits anew."""
    for step in world.steps:
        if step.state in WAITING:
            assert not world.messages[UUID(step.message_id)].is_cancelled
        if step.state in (State.CANCELLED, State.EXPIRED, State.SUPPRESSED):
            shown = infobip.open_attempts(UUID(step.message_id), are_shown=True)
            assert not shown, f"{step.was} became {step.state}, but Infobip has {shown}"
    for message in world.messages.values():
        assert (message.finished_in is not None) == (message.state in FINAL)
        if message.state == State.CANCELLED:
            assert message.is_cancelled or message.reason == SOURCE_DELIVERED
        if message.state == State.EXPIRED and message.reason != WINDOW_CLOSED:
            margin = retry.margin(timedelta(seconds=message.validity_seconds)).total_seconds()
            assert message.finished_in >= message.expires_in - margin


def is_open(window: Any, at: datetime) -> bool:
    """As promotional messages to India have it."""
    minute = 60 * at.hour + at.minute
    if window == OFF:
        return True
    if window is not None:
        opens, closes = (60 * int(text[:2]) + int(text[3:]) for text in (getattr(window, "from"), window.to))
        if not (opens <= minute < closes if opens < closes else minute >= opens or minute < closes):
            return False
    return 4 * 60 + 30 <= minute < 15 * 60 + 30


def check_closed_windows(world: World, now: datetime) -> None:
    """What ends for its window would not have seen it open again before its last margin; and what waits for an opening
    has one that ends after its turn, or has none in time, and is due, to end."""
    for message in world.messages.values():
        if message.state in WAITING and message.leave_in is not None:
            assert message.leave_in >= message.due_in or message.due_in <= 0
    for step in world.steps:
        message = world.messages[UUID(step.message_id)]
        if step.state == State.EXPIRED and message.reason == WINDOW_CLOSED:
            margin = retry.margin(timedelta(seconds=message.validity_seconds)).total_seconds()
            minutes = range(1, int((message.expires_in - margin) // 60))
            start = now.replace(second=0, microsecond=0)
            stands = [is_open(message.window, start + timedelta(minutes=minute)) for minute in (0, *minutes)]
            assert not any(then and not before for before, then in pairwise(stands)), "it would have opened again"


def check_held(world: World) -> None:
    """What was taken out of the due index will be put back: its batch knows of it."""
    assert not any(message.is_held_astray for message in world.messages.values())


def check_fates(world: World) -> None:
    """What waits has an instant; of what is in doubt the logs will be asked, as long as the message is not over."""
    for message_id, message in world.messages.items():
        if message.state in WAITING:
            assert message.due_in is not None
        for attempt in world.attempts[message_id]:
            if attempt.outcome in UNSETTLED:
                is_current = attempt.number == message.attempt_count and message.state == State.SENDING
                assert (attempt.look_in is not None) == is_current


def check_tally(world: World) -> None:
    """The tally is count(*) by state and reason, of the lane and of each batch; one that was delivered after another
    end has that as its reason."""
    expected: Counter[tuple[str, str, str]] = Counter()
    for message_id, message in world.messages.items():
        reason = (message.reason or "") if State(message.state) in REASONED else ""
        if message.state == State.DELIVERED:
            ends = {event.type.removeprefix("message.") for event in world.told[message_id]}
            reason = next(iter(ends & {state.value for state in UNDELIVERED}), "")
        for subject in (message.lane_id, message.batch_id):
            expected[subject, message.state, reason] += 1
    assert world.tally == expected


def check_log(world: World) -> None:
    """The log tells of each message its attempts' failures, each once, then its end, and nothing else; and where it is
    delivered after another end, both. What failed before it was delivered after all is told; what comes of the last
    attempt when an earlier one has delivered the message is not."""
    for message_id, message in world.messages.items():
        told = world.told.get(message_id, [])
        failed = {row.number for row in world.attempts[message_id] if row.outcome == AttemptOutcome.FAILED}
        delivered = {row.number for row in world.attempts[message_id] if row.outcome == AttemptOutcome.DELIVERED}
        failures = [event.attempt for event in told if event.type == EventType.ATTEMPT_FAILED]
        assert failures == sorted(set(failures)), "told twice, or out of order"
        untold = {message.attempt_count} if delivered else set()
        assert {*(failed - untold), *range(1, message.attempt_count)} <= set(failures) <= failed | delivered
        ends = told[len(failures) :]
        assert all(event.type.startswith("message.") for event in ends), "a failure is told after the end"
        assert all(event.attempt == message.attempt_count for event in ends)
        states = [event.type.partition(".")[2] for event in ends]
        if message.state == State.DELIVERED:
            assert states[-1:] == [State.DELIVERED]
            assert len(states) == (2 if message.reason == DELIVERED_LATE else 1)
            assert State.DELIVERED not in states[:-1]
        else:
            assert states == ([message.state] if message.state in FINAL else [])
            assert all(event.reason == message.reason for event in ends)


def check_replays(world: World) -> None:
    """A message is replayed once, to the same person, after its end; and where one of a chain is delivered, none of it
    waits any more."""
    sources = [replay.source_message_id for replay in world.replays]
    assert len(sources) == len(set(sources)), "replayed twice"
    roots = {replay.message_id: replay.root_id for replay in world.replays}
    for replay in world.replays:
        source, message = world.messages[UUID(replay.source_message_id)], world.messages[UUID(replay.message_id)]
        assert replay.root_id == roots.get(source.id, source.id)
        assert source.recipient == message.recipient
        assert source.state in UNDELIVERED or source.reason == DELIVERED_LATE, f"replayed, and {source.state}"
    arrived = world.chains_that_arrived
    for message_id, message in world.messages.items():
        if message.reason == SOURCE_DELIVERED:
            assert message_id in arrived
        assert not (message.state in WAITING and message_id in arrived), "waits, and one of its chain was delivered"


def check_reports(world: World, infobip: ModelInfobip, pushed: set[Key], strangers: int) -> None:
    """Each report that was pushed is stored, once, and besides them only rows of the logs; what names no message of
    ours is kept apart."""
    stored = set(world.reports)
    assert len(world.reports) == len(stored)
    assert pushed <= stored
    assert stored <= pushed | {key(row) for row in infobip.rows_given}
    assert world.unmatched == strangers


def check_consent(world: World, people: ModelPeople) -> None:
    """Nothing is suppressed but to those who said stop, or of whom Infobip told a block. How people stand is the last
    that their history says."""
    for message in world.messages.values():
        if message.state == State.SUPPRESSED:
            assert message.recipient in people.named, "nobody said anything"
            assert message.reason in (OPTED_OUT, NUMBER_BLOCKED)
    assert not world.forgotten


def check_deliveries(world: World, delivered: Iterable[Attempt]) -> None:
    """What was reported as delivered, by whichever attempt, is delivered."""
    for message_id, _ in delivered:
        assert world.messages[message_id].state == State.DELIVERED


OF_THE_TABLES = (check_steps, check_held, check_fates, check_tally, check_log, check_replays)
OF_TABLES_AND_INFOBIP = (check_attempts, check_open_attempts, check_ends)
