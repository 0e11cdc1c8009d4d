"""Events: what is told of what happens, each once, in the order in which it happens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from tests.factories import HANDSET, OUR_NUMBER, MadeLane, make_batch, make_inbound, make_lane
from tests.worker.steps import (
    absent,
    answer,
    apply,
    change,
    consented,
    doubted,
    fail_with,
    lane_row,
    probed,
    pushed,
    report,
    retries_due,
    steered,
    swept,
    take,
    took,
    wrote,
)
from worker import endings, holds, inbound, steering
from worker.enqueue import enqueue_message
from worker.errors import CredentialRefused, NotSent, RequestRefused, Throttled, Violation
from worker.feeds import START, read_events
from worker.infobip.statuses import verdict
from worker.keywords import Keywords, Reading
from worker.lookups import Lookups
from worker.models import Lane
from worker.orders import MessageOrder
from worker.reasons import BATCH_CANCELLED, DELIVERED_LATE, NO_REPORT, OPTED_OUT, REFUSED, UNKNOWN_FATE, VALIDITY_OVER
from worker.reports import apply_reports
from worker.settings import settings
from worker.submissions import OpenSubmission
from worker.words import Action, Channel, ConsentState, EventType, MessageType

Said = tuple[str, int | None, str | None]  # type, attempt, reason

AWAY, BAD = "EC_ABSENT_SUBSCRIBER", "EC_UNKNOWN_SUBSCRIBER"  # tried again; never again
is_away = partial(report, status=9, group=2, error=27)
is_bad = partial(report, status=9, group=2, error=1)
UNREPORTED = partial(report, status=29, group=4)
BAD_VERDICT = verdict(9, 2, 1, None)

FAILED_AND_WAITS: Said = ("attempt.failed", 1, AWAY)


@dataclass
class Scene:
    """One message in a batch of its own, through a lane for marketing."""

    session: Session
    engine: Engine
    lane: MadeLane
    lookups: Lookups
    id: UUID

    def sent(self) -> None:
        answer(self.session, took(self.session, self.lane))

    def reported(self, *reports: Callable[[UUID], Any]) -> None:
        apply(self.session, self.lane, *(of(self.id) for of in reports))

    def waits_again(self) -> None:
        self.sent()
        self.reported(is_away)

    def sent_again(self) -> None:
        self.waits_again()
        retries_due(self.session)
        self.sent()

    def comes_up(self) -> None:
        """Its turn has come, and nothing of it leaves."""
        retries_due(self.session)
        assert take(self.session, self.lane) is None

    def over(self) -> None:
        change(self.session, "UPDATE message SET expires_at = now() - interval '1 hour'")
        endings.expire(self.engine)

    def cancelled(self) -> None:
        steered(self.session, steering.cancel, self.id)
        swept(self.engine)

    def opts_out(self) -> None:
        consented(self.session, self.lane, HANDSET, ConsentState.OPTED_OUT)


@pytest.fixture
def scene(session: Session, engine: Engine, sandbox: str, lookups: Lookups) -> Scene:
    lane = make_lane(session, base_url=sandbox, message_type=MessageType.MARKETING)
    (message_id,) = make_batch(session, lane, [HANDSET])
    return Scene(session, engine, lane, lookups, message_id)


def log(session: Session) -> Sequence[Any]:
    session.rollback()
    return read_events(session, START, (), 1_000, 1_000).rows


def told(session: Session, subject: UUID | None = None) -> list[Said]:
    return [(row.type, row.attempt, row.reason) for row in log(session) if subject in (None, row.subject_id)]


# Messages


def delivered(scene: Scene) -> None:
    scene.sent()
    scene.reported(report)


def delivered_before_the_answer(scene: Scene) -> None:
    submission = took(scene.session, scene.lane)
    scene.reported(report)
    answer(scene.session, submission)


def delivered_at_the_second_attempt(scene: Scene) -> None:
    scene.sent_again()
    scene.reported(partial(report, attempt=2))


def delivered_by_the_first_attempt_when_the_second_is_sent(scene: Scene) -> None:
    scene.sent_again()
    scene.reported(report)
    scene.reported(partial(is_bad, attempt=2))


def delivered_while_it_waits(scene: Scene) -> None:
    scene.waits_again()
    scene.reported(report)


def failed_by_a_report(scene: Scene) -> None:
    scene.sent()
    scene.reported(is_bad)


def failed_by_the_answer(scene: Scene) -> None:
    answer(scene.session, took(scene.session, scene.lane), {scene.id: BAD_VERDICT})


def failed_in_a_refused_request(scene: Scene) -> None:
    submission = took(scene.session, scene.lane)
    fail_with(scene.session, submission, RequestRefused("HTTP 400", (Violation(0, "too long"),)))


def delivered_after_it_had_failed(scene: Scene) -> None:
    failed_by_a_report(scene)
    scene.reported(report)


def both_in_one_push(scene: Scene) -> None:
    scene.sent()
    scene.reported(is_bad, report)


def failure_and_delivery_in_one_push(scene: Scene) -> None:
    scene.sent()
    scene.reported(is_away, report)


def told_again(scene: Scene) -> None:
    scene.sent()
    scene.reported(is_bad, is_bad)
    scene.reported(is_bad)


def told_of_a_former_attempt(scene: Scene) -> None:
    scene.sent_again()
    scene.reported(partial(is_bad, done="13:00:00.000"))


def expired_unsent(scene: Scene) -> None:
    scene.over()


def expired_after_a_failure(scene: Scene) -> None:
    scene.waits_again()
    scene.over()


def expired_in_doubt(scene: Scene) -> None:
    doubted(scene.session, scene.lane)
    change(scene.session, "UPDATE message SET expires_at = now() - interval '1 second'")
    absent(scene.session, scene.lookups)


def unconfirmed_by_a_report(scene: Scene) -> None:
    scene.sent()
    scene.reported(UNREPORTED)


def unconfirmed_for_want_of_a_report(scene: Scene) -> None:
    scene.sent()
    change(scene.session, "UPDATE message SET expires_at = now() - interval '3 days'")
    change(scene.session, "UPDATE attempt SET look_at = NULL")
    endings.give_up(scene.engine, settings())


def cancelled_while_it_waits(scene: Scene) -> None:
    scene.cancelled()


def cancelled_while_it_waits_again(scene: Scene) -> None:
    scene.waits_again()
    scene.cancelled()


def cancelled_on_its_way(scene: Scene) -> None:
    scene.sent()
    scene.cancelled()
    scene.reported(is_away)


def cancelled_in_the_claim(scene: Scene) -> None:
    change(scene.session, "UPDATE batch SET cancelled_at = now(), is_cleared = true")
    scene.comes_up()


def suppressed_in_the_claim(scene: Scene) -> None:
    scene.opts_out()
    scene.comes_up()


def suppressed_before_its_second_attempt(scene: Scene) -> None:
    scene.waits_again()
    scene.opts_out()
    scene.comes_up()


def suppressed_as_it_comes_back(scene: Scene) -> None:
    scene.sent()
    scene.opts_out()
    scene.reported(is_away)


def suppressed_when_known_unsent(scene: Scene) -> None:
    submission = took(scene.session, scene.lane)
    scene.opts_out()
    fail_with(scene.session, submission, NotSent("refused"))


def nothing_yet(scene: Scene) -> None:
    fail_with(scene.session, took(scene.session, scene.lane), NotSent("refused"))
    doubted(scene.session, scene.lane)
    scene.reported(partial(report, status=7, group=1))


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        (nothing_yet, []),
        (delivered, [("message.delivered", 1, None)]),
        (delivered_before_the_answer, [("message.delivered", 1, None)]),
        (delivered_at_the_second_attempt, [FAILED_AND_WAITS, ("message.delivered", 2, None)]),
        (delivered_by_the_first_attempt_when_the_second_is_sent, [FAILED_AND_WAITS, ("message.delivered", 2, None)]),
        (delivered_while_it_waits, [FAILED_AND_WAITS, ("message.delivered", 1, None)]),
        (failed_by_a_report, [("attempt.failed", 1, BAD), ("message.failed", 1, BAD)]),
        (failed_by_the_answer, [("attempt.failed", 1, BAD), ("message.failed", 1, BAD)]),
        (failed_in_a_refused_request, [("attempt.failed", 1, REFUSED), ("message.failed", 1, REFUSED)]),
        (
            delivered_after_it_had_failed,
            [("attempt.failed", 1, BAD), ("message.failed", 1, BAD), ("message.delivered", 1, DELIVERED_LATE)],
        ),
        (
            both_in_one_push,
            [("attempt.failed", 1, BAD), ("message.failed", 1, BAD), ("message.delivered", 1, DELIVERED_LATE)],
        ),
        (failure_and_delivery_in_one_push, [FAILED_AND_WAITS, ("message.delivered", 1, None)]),
        (told_again, [("attempt.failed", 1, BAD), ("message.failed", 1, BAD)]),
        (told_of_a_former_attempt, [FAILED_AND_WAITS]),
        (expired_unsent, [("message.expired", 0, VALIDITY_OVER)]),
        (expired_after_a_failure, [FAILED_AND_WAITS, ("message.expired", 1, AWAY)]),
        (expired_in_doubt, [("message.expired", 1, UNKNOWN_FATE)]),
        (
            unconfirmed_by_a_report,
            [("attempt.failed", 1, "EXPIRED_DLR_UNKNOWN"), ("message.unconfirmed", 1, "EXPIRED_DLR_UNKNOWN")],
        ),
        (unconfirmed_for_want_of_a_report, [("message.unconfirmed", 1, NO_REPORT)]),
        (cancelled_while_it_waits, [("message.cancelled", 0, BATCH_CANCELLED)]),
        (cancelled_while_it_waits_again, [FAILED_AND_WAITS, ("message.cancelled", 1, BATCH_CANCELLED)]),
        (cancelled_on_its_way, [FAILED_AND_WAITS, ("message.cancelled", 1, BATCH_CANCELLED)]),
        (cancelled_in_the_claim, [("message.cancelled", 0, BATCH_CANCELLED)]),
        (suppressed_in_the_claim, [("message.suppressed", 0, OPTED_OUT)]),
        (suppressed_before_its_second_attempt, [FAILED_AND_WAITS, ("message.suppressed", 1, OPTED_OUT)]),
        (suppressed_as_it_comes_back, [FAILED_AND_WAITS, ("message.suppressed", 1, OPTED_OUT)]),
        (suppressed_when_known_unsent, [("message.suppressed", 1, OPTED_OUT)]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_ends_and_failures_of_a_message_are_told_once_and_in_order(
    scene: Scene, happens: Callable[[Scene], None], expected: list[Said]
) -> None:
    happens(scene)
    assert told(scene.session, scene.id) == expected
    assert told(scene.session) == expected


def test_a_failure_says_when_the_next_attempt_is_due_where_there_is_one(scene: Scene) -> None:
    scene.waits_again()
    (failure,) = log(scene.session)
    due = scene.session.connection().exec_driver_sql("SELECT next_attempt_at FROM message").scalar_one()
    assert failure.next_at == due
    scene.opts_out()
    scene.comes_up()
    assert [row.next_at for row in log(scene.session)] == [due, None]


def test_what_is_born_suppressed_is_told(session: Session) -> None:
    lane = make_lane(session, name="offers", message_type=MessageType.MARKETING)
    consented(session, lane, HANDSET, ConsentState.OPTED_OUT)
    accepted = enqueue_message(session, MessageOrder(surface="offers", to=f"+{HANDSET}", text="hi"))
    session.commit()
    assert told(session, accepted.id) == [("message.suppressed", 0, OPTED_OUT)]


def test_a_change_that_is_rolled_back_is_not_told(scene: Scene) -> None:
    scene.sent()
    apply_reports(scene.session, [(scene.lane.credential_id, [is_bad(scene.id)])], settings())
    scene.session.rollback()
    assert told(scene.session) == []


# Inbound messages


@pytest.mark.parametrize(
    ("text", "to", "type_"),
    [
        ("STOP", OUR_NUMBER, EventType.INBOUND_OPT_OUT),
        ("HELP", OUR_NUMBER, EventType.INBOUND_HELP),
        ("JOIN", OUR_NUMBER, EventType.INBOUND_DOUBLE_OPT_IN),
        ("START", OUR_NUMBER, EventType.INBOUND_OPT_IN),
        ("BALANCE", OUR_NUMBER, EventType.INBOUND_CUSTOM),
        ("STPO", OUR_NUMBER, EventType.INBOUND_NEAR_MISS),
        ("When do you open?", OUR_NUMBER, EventType.INBOUND_NONE),
        ("STOP", "447700900002", EventType.INBOUND_OTHER_NUMBER),
    ],
)
def test_what_a_handset_asks_for_is_told(
    session: Session, lane: MadeLane, text: str, to: str, type_: EventType
) -> None:
    words = "double_opt_in_keywords = '{JOIN}', custom_keywords = '{BALANCE}'"
    change(session, f"UPDATE credential SET {words}, inbound_number = :number", number=OUR_NUMBER)
    row = wrote(session, lane, text, recipient=to)
    assert [(event.type, event.subject_id) for event in log(session)] == [(type_, row.id)]


def test_every_type_of_inbound_event_is_told_by_an_action() -> None:
    assert {f"inbound.{action}" for action in Action} == {word for word in EventType if word.kind == "inbound"}


def test_an_inbound_message_is_told_once_however_often_it_comes(session: Session, lane: MadeLane) -> None:
    item = make_inbound("STOP")
    pushed(session, lane, item, item)
    pushed(session, lane, item)
    assert told(session) == [("inbound.opt_out", None, None)]


def test_a_stored_message_is_told_when_it_is_settled(session: Session, engine: Engine, lane: MadeLane) -> None:
    inbound.store(session, [(lane.credential_id, [make_inbound("STOP")])])
    session.commit()
    assert told(session) == []
    while inbound.settle_stored(engine, settings()):
        pass
    assert told(session) == [("inbound.opt_out", None, None)]


def test_one_that_is_set_aside_for_a_fault_of_ours_is_told_too(
    session: Session, engine: Engine, lane: MadeLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumbling(text: str, keywords: Keywords) -> Reading:
        raise ZeroDivisionError

    monkeypatch.setattr(inbound, "read", stumbling)
    inbound.store(session, [(lane.credential_id, [make_inbound("STOP")])])
    session.commit()
    while inbound.settle_stored(engine, settings()):
        pass
    assert told(session) == [("inbound.none", None, None)]


# Lanes


@dataclass
class Trouble:
    session: Session
    lane: MadeLane

    def faults(self) -> None:
        for _ in range(holds.FAULTS_IN_A_ROW):
            fail_with(self.session, took(self.session, self.lane), NotSent("DNS"))

    def pause(self) -> None:
        fail_with(self.session, took(self.session, self.lane), Throttled("HTTP 429", 30.0))

    def refusal(self) -> None:
        fail_with(self.session, took(self.session, self.lane), CredentialRefused("HTTP 401"))

    def probe(self) -> OpenSubmission:
        change(self.session, "UPDATE lane SET probe_at = now()")
        assert holds.take_probe(self.session, self.lane.id)
        return probed(self.session, self.lane)

    def failing_probe(self) -> None:
        fail_with(self.session, self.probe(), CredentialRefused("HTTP 401"))

    def passing_probe(self) -> None:
        answer(self.session, self.probe())

    def change_of_key(self) -> None:
        holds.release(self.session, self.lane.credential_id)
        self.session.commit()


HELD, OPENED = "lane.held", "lane.opened"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([Trouble.faults], [(HELD, "fault", "DNS")]),
        ([Trouble.pause], [(HELD, "fault", "HTTP 429")]),
        ([Trouble.refusal], [(HELD, "account", "HTTP 401")]),
        ([Trouble.refusal, Trouble.failing_probe], [(HELD, "account", "HTTP 401")]),
        # Of another kind: who waits for seconds must hear that a hand is needed.
        ([Trouble.pause, Trouble.failing_probe], [(HELD, "fault", "HTTP 429"), (HELD, "account", "HTTP 401")]),
        ([Trouble.refusal, Trouble.passing_probe], [(HELD, "account", "HTTP 401"), (OPENED, None, None)]),
        ([Trouble.refusal, Trouble.change_of_key], [(HELD, "account", "HTTP 401"), (OPENED, None, None)]),
        ([Trouble.change_of_key], []),
        ([Trouble.change_of_key, Trouble.change_of_key], []),
    ],
)
def test_a_hold_and_its_end_are_told_once(
    session: Session, lane: MadeLane, steps: list[Callable[[Trouble], None]], expected: list[tuple[str, str, str]]
) -> None:
    make_batch(session, lane, ["919900000001"])
    for step in steps:
        step(Trouble(session, lane))
    assert [(row.type, row.kind, row.reason) for row in log(session)] == expected
    assert {row.subject_id for row in log(session)} <= {lane.id}


def test_a_hold_says_until_when(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, ["919900000001"])
    Trouble(session, lane).pause()
    (held,) = log(session)
    assert held.next_at == lane_row(session, lane).held_until


def test_faults_that_hold_nothing_are_not_told_when_they_are_over(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, ["919900000001"])
    fail_with(session, took(session, lane), NotSent("DNS"))
    answer(session, took(session, lane))
    assert told(session) == []


def test_account_trouble_is_told_of_each_lane_of_the_credential(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, ["919900000001"])
    other = Lane(credential_id=lane.credential_id, channel=Channel.MMS, message_type=MessageType.MARKETING)
    session.add(other)
    session.commit()
    Trouble(session, lane).refusal()
    assert {row.subject_id for row in log(session)} == {lane.id, other.id}
