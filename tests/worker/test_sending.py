"""The send loop against the real sandbox: what is late stays behind alone, holds are probed, pauses are kept."""

import itertools
import time
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch
from tests.worker.steps import (
    accepted,
    assert_tally_is_exact,
    attempt,
    change,
    consented,
    lane_row,
    message,
    set_faults,
    states,
    steered,
    swept,
    took,
)
from worker import holds, steering
from worker.infobip.answers import Answer
from worker.infobip.client import Infobip
from worker.lookups import Lookups
from worker.models import Submission
from worker.rates import Grant
from worker.sending import GATE_HOLDS_SECONDS, Dispatcher
from worker.settings import settings
from worker.words import ConsentState


@pytest.fixture
def marketing(session: Session, sandbox_lane: MadeLane) -> MadeLane:
    """The lane that leads to the sandbox, for marketing."""
    session.execute(text("UPDATE surface SET message_type = 'marketing'"))
    change(session, "UPDATE lane SET message_type = 'marketing'")
    return sandbox_lane


def test_everything_due_is_sent(session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher) -> None:
    ids = make_batch(session, sandbox_lane, [f"9199{n:08d}" for n in range(1200)])
    dispatcher.deliver(sandbox_lane.id, 20)
    assert states(session, ids) == ["sent"] * 1200
    assert [row.message_count for row in session.exec(select(Submission).order_by(Submission.id))] == [500, 500, 200]  # type: ignore[arg-type]


def test_a_message_with_less_than_a_second_left_stays_behind_alone(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher
) -> None:
    late, well = make_batch(session, sandbox_lane, ["919900000001", "919900000002"])
    change(session, "UPDATE message SET expires_at = now() + interval '4 seconds' WHERE id = :id", id=late)
    submission = took(session, sandbox_lane)
    time.sleep(3.2)
    dispatcher.send(submission)
    assert states(session, [late, well]) == ["queued", "sent"]
    assert attempt(session, late).outcome == "released"


@pytest.mark.parametrize(
    ("closes_in", "left"),
    [("4 seconds", ["queued", "sent"]), ("3 seconds", ["queued", "sent"]), ("1 hour", ["sent", "sent"])],
    ids=["less than a second before", "since it was taken", "long before"],
)
def test_a_message_whose_window_closes_stays_behind_alone(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher, closes_in: str, left: list[str]
) -> None:
    """The request leaves 3.2 seconds after the claim."""
    ids = make_batch(session, sandbox_lane, ["919900000001", "919900000002"])
    change(session, "UPDATE message SET leave_before = now() + interval '1 hour'")
    change(session, f"UPDATE message SET leave_before = now() + interval '{closes_in}' WHERE id = :id", id=ids[0])
    submission = took(session, sandbox_lane)
    dispatcher.send(replace(submission, opened_monotonic=time.monotonic() - 3.2))
    assert states(session, ids) == left


@pytest.mark.parametrize(("expires_in", "closes_in"), [(60, None), (60, 20), (20, 60)])
def test_the_body_has_to_be_there_before_the_first_message_expires_or_its_window_closes(
    session: Session,
    sandbox_lane: MadeLane,
    dispatcher: Dispatcher,
    infobip: Infobip,
    monkeypatch: pytest.MonkeyPatch,
    expires_in: int,
    closes_in: int | None,
) -> None:
    ids = make_batch(session, sandbox_lane, ["919900000001", "919900000002"])
    set_ends = "UPDATE message SET expires_at = now() + make_interval(secs => :expires_in), leave_before ="
    closing = " now() + make_interval(secs => CAST(:closes_in AS float8)) WHERE id = :id"
    change(session, set_ends + closing, expires_in=expires_in, closes_in=closes_in, id=ids[0])
    submit, within = infobip.submit, []

    def submit_in_time(*request: Any) -> Answer:
        within.append(request[-1])
        return submit(*request)

    monkeypatch.setattr(infobip, "submit", submit_in_time)
    dispatcher.deliver(sandbox_lane.id, 1)
    least = min(expires_in, closes_in or expires_in)
    assert [least - 10 < seconds <= least for seconds in within] == [True]


def test_a_backlog_near_its_end_still_goes_out(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher
) -> None:
    ids = make_batch(session, sandbox_lane, [f"9199{n:08d}" for n in range(3000)])
    change(
        session,
        "UPDATE message SET expires_at = now() + interval '1 second' + n * interval '10 milliseconds' "
        "FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM message) AS numbered "
        "WHERE numbered.id = message.id",
    )
    dispatcher.deliver(sandbox_lane.id, 4)
    # At each claim the first one has a second left, and by the time of its request less: it alone stays behind.
    assert states(session, ids).count("sent") > 300


def test_a_short_validity_does_not_cut_off_the_answer_to_its_neighbours(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher, sandbox: str
) -> None:
    set_faults(sandbox, answer_seconds=4.0)
    short, well = make_batch(session, sandbox_lane, ["919900000001", "919900000002"])
    change(session, "UPDATE message SET expires_at = now() + interval '3.5 seconds' WHERE id = :id", id=short)
    dispatcher.deliver(sandbox_lane.id, 1)
    assert states(session, [short, well]) == ["sent", "sent"]


def test_a_submission_past_half_its_lease_is_released_unsent(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher, sandbox: str
) -> None:
    ids = make_batch(session, sandbox_lane, ["919900000001"])
    submission = replace(took(session, sandbox_lane), opened_monotonic=time.monotonic() - 31)
    dispatcher.send(submission)
    assert states(session, ids) == ["queued"]
    assert session.get_one(Submission, submission.id).outcome == "unsent"
    assert httpx.get(sandbox + "/sandbox/summary").json()["accepted"] == 0


def say(word: str | None, session: Session, lane: MadeLane, message_id: UUID) -> None:
    """What an operator, or this message's recipient, says of it."""
    if word == "pause":
        steered(session, steering.pause, message_id)
    elif word == "cancel":
        steered(session, steering.cancel, message_id)
    elif word == "hold":
        change(session, "UPDATE lane SET kind = 'account', probe_at = now() + interval '1 hour'")
    elif word == "opt out":
        consented(session, lane, message(session, message_id).recipient, ConsentState.OPTED_OUT)


@pytest.mark.parametrize(
    ("word", "left"),
    [
        ("pause", ["queued", "queued"]),
        ("cancel", ["cancelled", "cancelled"]),
        ("opt out", ["suppressed", "sent"]),
        ("hold", ["queued", "queued"]),
        (None, ["sent", "sent"]),
    ],
)
def test_a_part_of_a_refused_request_that_waited_for_another_goes_by_the_gate_once_more(
    session: Session,
    marketing: MadeLane,
    engine: Engine,
    dispatcher: Dispatcher,
    infobip: Infobip,
    sandbox: str,
    monkeypatch: pytest.MonkeyPatch,
    word: str | None,
    left: list[str],
) -> None:
    """One of four is refused, and halves go: the word comes while the second is at Infobip, which takes its time."""
    ids = make_batch(session, marketing, ["919900000001", "919900000002", "919900000003", "919900009009"])
    submission = took(session, marketing)
    submit, requests, passed = infobip.submit, itertools.count(1), 0.0
    monkeypatch.setattr(dispatcher, "_monotonic", lambda: time.monotonic() + passed)

    def submit_slowly(*request: Any) -> Answer:
        nonlocal passed
        if next(requests) == 2:
            say(word, session, marketing, ids[0])
            passed = GATE_HOLDS_SECONDS
        return submit(*request)

    monkeypatch.setattr(infobip, "submit", submit_slowly)
    dispatcher.send(submission)
    swept(engine)
    assert states(session, ids[:2]) == left
    gone = set(accepted(sandbox))
    assert [f"{message_id}-1" in gone for message_id in ids[:2]] == [state == "sent" for state in left]
    assert_tally_is_exact(session, marketing)


def test_a_held_lane_with_nothing_but_doubts_is_probed_by_one_of_them(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher, sandbox: str, lookups: Lookups
) -> None:
    set_faults(sandbox, reset_before=1.0)
    ids = []
    for n in range(holds.FAULTS_IN_A_ROW):
        ids += make_batch(session, sandbox_lane, [f"91990000000{n}"])
        dispatcher.deliver(sandbox_lane.id, 1)
    assert states(session, ids) == ["sending"] * holds.FAULTS_IN_A_ROW
    assert lane_row(session, sandbox_lane).kind == "fault"
    set_faults(sandbox)
    for _ in range(6):
        session.execute(text("UPDATE attempt SET look_at = now() WHERE look_at IS NOT NULL AND outcome = 'in doubt'"))
        change(session, "UPDATE lane SET probe_at = now() WHERE kind IS NOT NULL")
        lookups.look()
        dispatcher.deliver(sandbox_lane.id, 1)
    assert states(session, ids) == ["sent"] * holds.FAULTS_IN_A_ROW
    assert lane_row(session, sandbox_lane).kind is None
    assert httpx.get(sandbox + "/sandbox/summary").json()["most_acceptances_of_one_recipient"] == 1


def test_the_pause_that_infobip_asks_for_is_kept(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher, sandbox: str
) -> None:
    set_faults(sandbox, too_many_requests=1.0, retry_after_seconds=40)
    under_way = make_batch(session, sandbox_lane, ["919900000001"])
    submission = took(session, sandbox_lane)
    waiting = make_batch(session, sandbox_lane, ["919900000002"])
    dispatcher.deliver(sandbox_lane.id, 1)
    change(session, "UPDATE lane SET probe_at = now()")
    dispatcher.deliver(sandbox_lane.id, 1)  # the probe is asked to wait too
    set_faults(sandbox)
    dispatcher.send(submission)  # an answer to an earlier request
    assert states(session, under_way + waiting) == ["sent", "queued"]
    left = session.execute(text("SELECT extract(epoch FROM probe_at - now()) FROM lane WHERE kind = 'fault'"))
    assert left.scalar_one() > 30


def test_a_probe_that_finds_nothing_to_send_is_not_spent(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher
) -> None:
    make_batch(session, sandbox_lane, ["919900000001"])
    session.execute(text("UPDATE batch SET paused_at = now()"))
    change(session, "UPDATE lane SET kind = 'account', probe_at = now()")
    for _ in range(3):
        dispatcher.deliver(sandbox_lane.id, 1)
    assert lane_row(session, sandbox_lane).probes == 0
    change(session, "UPDATE batch SET paused_at = NULL")
    dispatcher.deliver(sandbox_lane.id, 1)
    assert lane_row(session, sandbox_lane).kind is None


def test_a_lane_without_tokens_is_left_to_a_nudge_and_keeps_nobody_waiting(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    nudged: list[tuple[UUID, str, float]] = []
    monkeypatch.setattr(dispatcher, "_nudge", lambda *nudge: nudged.append(nudge))
    monkeypatch.setattr(dispatcher, "_take_tokens", lambda _: Grant(0, 0.7))
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("a worker slept for tokens"))
    make_batch(session, sandbox_lane, ["919900000001"])
    dispatcher.deliver(sandbox_lane.id, 20)
    assert nudged == [(sandbox_lane.id, "transactional", 0.7)]


def opted_out(session: Session, lane: MadeLane, count: int) -> list[str]:
    numbers = [f"9198{n:08d}" for n in range(count)]
    for number in numbers:
        consented(session, lane, number, ConsentState.OPTED_OUT)
    return numbers


def test_a_claim_that_only_ends_what_is_barred_is_followed_by_the_next(
    session: Session, marketing: MadeLane, dispatcher: Dispatcher, sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_settings", settings().model_copy(update={"submission_size": 3}))
    barred = make_batch(session, marketing, opted_out(session, marketing, 7))
    free = make_batch(session, marketing, ["919900000001", "919900000002"])
    dispatcher.deliver(marketing.id, 20)
    assert states(session, barred + free) == ["suppressed"] * 7 + ["sent"] * 2
    assert sorted(accepted(sandbox)) == sorted(f"{message_id}-1" for message_id in free)


def test_tokens_come_back_for_what_ends_instead_of_leaving(
    session: Session, marketing: MadeLane, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    monkeypatch.setattr(dispatcher, "_take_tokens", lambda _: taken.append(10) or Grant(10))  # type: ignore[func-returns-value]
    monkeypatch.setattr(dispatcher._rates, "charge", lambda _, __, more: taken.append(more))
    make_batch(session, marketing, [*opted_out(session, marketing, 14), "919900000001", "919900000002"])
    dispatcher.deliver(marketing.id, 20)
    assert sum(taken) == 2


@pytest.mark.parametrize(("unit", "tokens"), [("messages", 3), ("segments", 1 + 2 + 3)])
def test_a_rate_counts_messages_or_the_parts_they_are_billed_as(
    session: Session,
    sandbox_lane: MadeLane,
    dispatcher: Dispatcher,
    monkeypatch: pytest.MonkeyPatch,
    unit: str,
    tokens: int,
) -> None:
    taken: list[int] = []
    monkeypatch.setattr(dispatcher, "_take_tokens", lambda _: taken.append(10) or Grant(10))  # type: ignore[func-returns-value]
    monkeypatch.setattr(dispatcher._rates, "charge", lambda _, __, more: taken.append(more))
    change(session, f"UPDATE credential SET rate_unit = '{unit}'")
    ids = make_batch(session, sandbox_lane, ["919900000001", "919900000002", "919900000003"])
    change(session, "UPDATE batch SET segment_count = 3")  # for those that have no text of their own
    for message_id, parts in zip(ids, (1, 2), strict=False):
        change(session, "UPDATE message SET segment_count = :parts WHERE id = :id", id=message_id, parts=parts)
    dispatcher.deliver(sandbox_lane.id, 20)
    assert sum(taken) == tokens


def test_parts_keep_to_the_rate_in_every_second(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 100 segments a second, of messages of ten: a grant of ten lets one go, and no more than that is charged."""
    charged: list[int] = []
    grants = itertools.chain([Grant(10), Grant(10), Grant(25), Grant(4)], itertools.repeat(Grant(0, 0.7)))
    monkeypatch.setattr(dispatcher, "_take_tokens", lambda _: next(grants))
    monkeypatch.setattr(dispatcher._rates, "charge", lambda _, __, more: charged.append(more))
    ids = make_batch(session, sandbox_lane, [f"9199{n:08d}" for n in range(9)])
    change(session, "UPDATE credential SET rate_unit = 'segments', messages_per_second = 100")
    change(session, "UPDATE batch SET segment_count = 10")
    dispatcher.deliver(sandbox_lane.id, 20)
    assert states(session, ids) == ["sent"] * 5 + ["queued"] * 4
    assert [more for more in charged if more] == [-5, 6]


def test_a_full_claim_of_parts_calls_others(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    nudged: list[tuple[UUID, str, float]] = []
    monkeypatch.setattr(dispatcher, "_nudge", lambda *nudge: nudged.append(nudge))
    ids = make_batch(session, sandbox_lane, [f"9199{n:08d}" for n in range(60)])
    change(session, "UPDATE credential SET rate_unit = 'segments'")
    change(session, "UPDATE batch SET segment_count = 9")
    dispatcher.deliver(sandbox_lane.id, 20)
    assert states(session, ids) == ["sent"] * 60
    assert nudged == [(sandbox_lane.id, "transactional", 0.0)]  # of 500 parts 55 take 495


def test_a_full_claim_calls_others_though_some_of_it_ends(
    session: Session, marketing: MadeLane, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    nudged: list[tuple[UUID, str, float]] = []
    monkeypatch.setattr(dispatcher, "_nudge", lambda *nudge: nudged.append(nudge))
    monkeypatch.setattr(dispatcher, "_settings", settings().model_copy(update={"submission_size": 3}))
    make_batch(session, marketing, [*opted_out(session, marketing, 2), "919900000001", "919900000002"])
    dispatcher.deliver(marketing.id, 20)
    assert nudged == [(marketing.id, "marketing", 0.0)]


def test_probes_go_past_those_that_are_barred_and_are_not_spent_on_them(
    session: Session, marketing: MadeLane, dispatcher: Dispatcher, sandbox: str
) -> None:
    barred = make_batch(session, marketing, opted_out(session, marketing, 3))
    change(session, "UPDATE lane SET kind = 'account', probe_at = now()")
    dispatcher.deliver(marketing.id, 20)
    assert states(session, barred) == ["suppressed"] * 3
    assert (lane_row(session, marketing).kind, lane_row(session, marketing).probes) == ("account", 0)
    free = make_batch(session, marketing, ["919900000001"])
    dispatcher.deliver(marketing.id, 20)
    assert states(session, free) == ["sent"]
    assert lane_row(session, marketing).kind is None
    assert accepted(sandbox) == [f"{free[0]}-1"]
