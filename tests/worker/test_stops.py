"""Refused messages: one fails alone, a fault that is common to many stops what they have in common."""

from uuid import UUID

from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch
from tests.worker.steps import answer, change, fail_with, lane_row, probed, states, take, took
from worker import holds
from worker.errors import RequestRefused, Violation
from worker.models import Batch, Message
from worker.streaks import REFUSED_IN_A_ROW
from worker.submissions import OpenSubmission

MAKE_SINGLE = "UPDATE message SET batch_id = NULL, sender = 'KITEBK', text = 'Hello'"


def numbers(count: int, prefix: str = "9199000") -> list[str]:
    return [f"{prefix}{n:05d}" for n in range(count)]


def refused(
    session: Session, submission: OpenSubmission, *named: int, words: str = "is not registered"
) -> list[OpenSubmission]:
    violations = tuple(Violation(index, f"messages[{index}].sender: {words}") for index in named)
    return fail_with(session, submission, RequestRefused("HTTP 400: Bad request", violations))


def refuse_until_alone(session: Session, submission: OpenSubmission) -> int:
    """As a sender that Infobip never takes: every request is refused. Returns how many there were."""
    waiting, requests = [submission], 0
    while waiting:
        requests += 1
        waiting.extend(refused(session, waiting.pop()))
    return requests


def batches(session: Session) -> list[Batch]:
    session.expire_all()
    return list(session.exec(select(Batch).order_by(Batch.id)))  # type: ignore[arg-type]


def test_a_fault_common_to_a_batch_pauses_it_after_twenty(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, numbers(500))
    requests = refuse_until_alone(session, took(session, lane, 500))
    assert states(session, ids).count("failed") == REFUSED_IN_A_ROW
    assert states(session, ids).count("queued") == 500 - REFUSED_IN_A_ROW
    assert requests < 4 * REFUSED_IN_A_ROW
    (batch,) = batches(session)
    assert batch.paused_at is not None
    assert batch.pause_reason == "Infobip refused 20 of its messages in a row alike: HTTP 400: Bad request"
    assert lane_row(session, lane).kind is None


def test_neighbours_of_a_batch_that_is_paused_go_on(session: Session, lane: MadeLane) -> None:
    bad = make_batch(session, lane, numbers(100))
    good = make_batch(session, lane, numbers(100, "9188000"))
    waiting = [took(session, lane, 200)]
    while waiting:
        submission = waiting.pop()
        if {message.message_id for message in submission.messages} & set(bad):
            waiting.extend(refused(session, submission))
        else:
            answer(session, submission)
    assert states(session, good) == ["sent"] * 100
    assert states(session, bad).count("failed") == REFUSED_IN_A_ROW
    assert [batch.paused_at is not None for batch in batches(session)] == [True, False]


def test_one_that_is_accepted_ends_the_streak(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, numbers(30))
    for n in range(30):
        submission = took(session, lane, 1)
        if n == REFUSED_IN_A_ROW - 1:
            answer(session, submission)
        else:
            refused(session, submission)
    (batch,) = batches(session)
    assert (batch.paused_at, batch.refusals) == (None, 30 - REFUSED_IN_A_ROW)


def test_those_named_among_others_are_their_own_fault(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, numbers(60))
    (rest,) = refused(session, took(session, lane), *range(30), words="is not a number")
    answer(session, rest)
    assert states(session, ids) == ["failed"] * 30 + ["sent"] * 30
    assert batches(session)[0].paused_at is None


def test_all_of_a_batch_named_alike_pauses_it_and_spares_the_rest(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, numbers(60))
    assert refused(session, took(session, lane), *range(60)) == []
    assert states(session, ids).count("failed") == REFUSED_IN_A_ROW
    assert states(session, ids).count("queued") == 40
    assert batches(session)[0].paused_at is not None


def test_small_batches_that_fail_alike_hold_their_lane(session: Session, lane: MadeLane) -> None:
    ids: list[UUID] = []
    for n in range(10):
        ids += make_batch(session, lane, numbers(5, f"91990{n:02d}"))
    refuse_until_alone(session, took(session, lane))
    assert states(session, ids).count("failed") == REFUSED_IN_A_ROW
    found = lane_row(session, lane)
    assert found.kind == "account"
    assert found.reason == "Infobip refused 20 messages in a row alike: HTTP 400: Bad request"
    assert not any(batch.paused_at for batch in batches(session))


def test_single_sends_that_fail_alike_hold_their_lane(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, numbers(40))
    change(session, MAKE_SINGLE)
    refuse_until_alone(session, took(session, lane))
    assert states(session, ids).count("failed") == REFUSED_IN_A_ROW
    assert lane_row(session, lane).kind == "account"


def test_bad_single_sends_named_among_good_ones_hold_nobody(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, numbers(100))
    change(session, MAKE_SINGLE)
    (rest,) = refused(session, took(session, lane), *range(25))
    answer(session, rest)
    assert states(session, ids) == ["failed"] * 25 + ["sent"] * 75
    assert lane_row(session, lane).kind is None


def test_a_batch_that_reaches_its_limit_with_its_lane_is_paused_all_the_same(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, numbers(2))
    (first,) = batches(session)
    nearly = {"words": "messages[#].sender: is not registered", "count": REFUSED_IN_A_ROW - 1}
    change(session, "UPDATE batch SET refusal = :words, refusals = :count", **nearly)
    of_the_lane = "UPDATE lane SET refusal = :words, refusals = :count, refused_batches = :batches"
    change(session, of_the_lane, **nearly, batches=[first.id, lane.id])
    make_batch(session, lane, numbers(1, "9188000"))
    refused(session, took(session, lane), 0, 1, 2)
    assert lane_row(session, lane).kind == "account"
    assert [batch.paused_at is not None for batch in batches(session)] == [True, False]
    holds.release(session, lane.credential_id)
    session.commit()
    assert take(session, lane) is None  # else it would go out and be refused for ever


def hold_by_refusals(session: Session, lane: MadeLane) -> list[UUID]:
    ids: list[UUID] = []
    for n in range(10):
        ids += make_batch(session, lane, numbers(5, f"91990{n:02d}"))
    refuse_until_alone(session, took(session, lane))
    return ids


def test_a_probe_that_is_refused_too_burns_nothing_and_the_hold_stays(session: Session, lane: MadeLane) -> None:
    ids = hold_by_refusals(session, lane)
    for _ in range(3):
        probe = probed(session, lane)
        refused(session, probe)
    assert states(session, ids).count("failed") == REFUSED_IN_A_ROW
    assert lane_row(session, lane).kind == "account"
    probe = probed(session, lane)
    answer(session, probe)
    found = lane_row(session, lane)
    assert (found.kind, found.refusals, found.refused_batches) == (None, 0, [])


def test_a_probe_that_is_refused_for_something_else_fails_alone_and_begins_anew(
    session: Session, lane: MadeLane
) -> None:
    ids = hold_by_refusals(session, lane)
    probe = probed(session, lane)
    refused(session, probe, 0, words="is no text")
    assert states(session, ids).count("failed") == REFUSED_IN_A_ROW + 1
    found = lane_row(session, lane)
    assert (found.kind, found.refusals) == (None, 1)  # Infobip took the request for what it is


def test_each_probe_is_another_message(session: Session, lane: MadeLane) -> None:
    hold_by_refusals(session, lane)
    tried = set()
    for _ in range(5):
        probe = probed(session, lane)
        tried.add(probe.messages[0].message_id)
        refused(session, probe)
    assert len(tried) == 5


def test_a_hand_that_opens_the_lane_gives_it_twenty_more(session: Session, lane: MadeLane) -> None:
    ids = hold_by_refusals(session, lane)
    holds.release(session, lane.credential_id)
    session.commit()
    refuse_until_alone(session, took(session, lane))
    assert states(session, ids).count("failed") == 2 * REFUSED_IN_A_ROW


def test_what_was_in_doubt_and_is_spared_stays_in_doubt(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, numbers(40))
    submission = took(session, lane)
    change(session, "UPDATE attempt SET doubted_at = now()")  # an earlier request may have brought it
    refuse_until_alone(session, submission)
    assert states(session, ids).count("sending") == 40 - REFUSED_IN_A_ROW
    assert session.exec(select(Message).where(Message.state == "queued")).all() == []
