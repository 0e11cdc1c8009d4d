"""What the gate bars for good: the claim ends it when its turn comes, beside those that leave, and counts it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch, make_lane, route_of
from tests.worker.steps import (
    LEASE_SECONDS,
    answer,
    apply,
    assert_tally_is_exact,
    change,
    consented,
    fail_with,
    message,
    report,
    retries_due,
    states,
    take,
    took,
    windows_close,
)
from worker import answers
from worker.claims import Claimed, claim
from worker.errors import RequestRefused, Violation
from worker.locking import lock
from worker.models import Attempt, Message, Submission
from worker.settings import settings
from worker.tally import counts
from worker.words import ConsentState, MessageType

ASHA, BEN, CHITRA = "919900000001", "919900000002", "919900000003"
IN, OUT = ConsentState.OPTED_IN, ConsentState.OPTED_OUT


@pytest.fixture
def marketing(session: Session) -> MadeLane:
    return make_lane(session, message_type=MessageType.MARKETING)


def claimed(session: Session, lane: MadeLane, limit: int = 500, *, is_probe: bool = False) -> Claimed:
    found = claim(session, route_of(session, lane), limit, LEASE_SECONDS, 0.0, is_probe=is_probe)
    session.commit()
    return found


def assert_ended(session: Session, lane: MadeLane, message_id: UUID, state: str, reason: str) -> None:
    row = message(session, message_id)
    assert (row.state, row.reason, row.next_attempt_at) == (state, reason, None)
    assert row.finished_at is not None
    batch_counts = counts(session, [row.batch_id])[row.batch_id] if row.batch_id else {}
    assert (state, reason) in batch_counts
    assert_tally_is_exact(session, lane)


def test_a_due_message_to_one_who_opted_out_ends_in_the_claim_and_was_never_tried(
    session: Session, marketing: MadeLane
) -> None:
    (message_id,) = make_batch(session, marketing, [ASHA])
    consented(session, marketing, ASHA, OUT)
    assert claimed(session, marketing) == Claimed(None, 1)
    assert_ended(session, marketing, message_id, "suppressed", "opted_out")
    assert message(session, message_id).attempt_count == 0
    assert session.exec(select(Attempt)).all() == []
    assert session.exec(select(Submission)).all() == []
    assert claimed(session, marketing) == Claimed(None, 0)


def test_neighbours_of_one_who_opted_out_leave(session: Session, marketing: MadeLane) -> None:
    ids = make_batch(session, marketing, [ASHA, BEN, CHITRA])
    consented(session, marketing, BEN, OUT)
    found = claimed(session, marketing)
    assert states(session, ids) == ["sending", "suppressed", "sending"]
    assert found.ended == 1
    assert found.submission is not None
    assert {sent.recipient for sent in found.submission.messages} == {ASHA, CHITRA}
    assert session.get_one(Submission, found.submission.id).message_count == 2
    assert {row.message_id for row in session.exec(select(Attempt))} == {ids[0], ids[2]}
    assert_ended(session, marketing, ids[1], "suppressed", "opted_out")


def test_an_opt_out_between_two_attempts_stops_the_next(session: Session, marketing: MadeLane) -> None:
    ids = make_batch(session, marketing, [ASHA, BEN])
    answer(session, took(session, marketing))
    apply(session, marketing, *(report(message_id, status=9, group=2, error=27) for message_id in ids))
    assert states(session, ids) == ["retrying", "retrying"]
    consented(session, marketing, ASHA, OUT)
    retries_due(session)
    submission = took(session, marketing)
    assert [(sent.recipient, sent.number) for sent in submission.messages] == [(BEN, 2)]
    assert_ended(session, marketing, ids[0], "suppressed", "opted_out")
    assert message(session, ids[0]).attempt_count == 1
    assert len(session.exec(select(Attempt).where(Attempt.message_id == ids[0])).all()) == 1


def test_what_waits_for_its_turn_is_left_alone_by_an_opt_out(session: Session, marketing: MadeLane) -> None:
    (message_id,) = make_batch(session, marketing, [ASHA], due_in=timedelta(minutes=1))
    consented(session, marketing, ASHA, OUT)
    assert claimed(session, marketing) == Claimed(None, 0)
    consented(session, marketing, ASHA, IN)
    retries_due(session)
    assert [sent.message_id for sent in took(session, marketing).messages] == [message_id]


def test_due_messages_of_a_cancelled_batch_end_cancelled_and_others_leave(session: Session, lane: MadeLane) -> None:
    cancelled = make_batch(session, lane, [ASHA, BEN])
    other = make_batch(session, lane, [CHITRA])
    answer(session, took(session, lane, 1))
    apply(session, lane, report(cancelled[0], status=9, group=2, error=27))
    retries_due(session)
    batch = message(session, cancelled[0]).batch_id
    change(session, "UPDATE batch SET cancelled_at = now(), is_cleared = true WHERE id = :batch", batch=batch)
    found = claimed(session, lane)
    assert states(session, [*cancelled, *other]) == ["cancelled", "cancelled", "sending"]
    assert found.ended == 2
    for message_id in cancelled:
        assert_ended(session, lane, message_id, "cancelled", "batch_cancelled")


def test_a_cancelled_batch_is_the_reason_where_consent_would_be_one_too(session: Session, marketing: MadeLane) -> None:
    (message_id,) = make_batch(session, marketing, [ASHA])
    consented(session, marketing, ASHA, OUT)
    change(session, "UPDATE batch SET cancelled_at = now(), is_cleared = true")
    assert take(session, marketing) is None
    assert_ended(session, marketing, message_id, "cancelled", "batch_cancelled")


@pytest.mark.parametrize("state", ConsentState)
def test_transactional_messages_go_whatever_was_said_of_marketing(
    session: Session, lane: MadeLane, state: ConsentState
) -> None:
    ids = make_batch(session, lane, [ASHA])
    consented(session, lane, ASHA, state, pending_from=OUT if state is ConsentState.PENDING else None)
    assert [sent.message_id for sent in took(session, lane).messages] == ids


@pytest.mark.parametrize("message_type", MessageType)
def test_a_blocked_number_gets_nothing_of_any_type(session: Session, message_type: MessageType) -> None:
    lane = make_lane(session, message_type=message_type)
    (message_id,) = make_batch(session, lane, [ASHA])
    consented(session, lane, ASHA, OUT, is_blocked=True)
    assert claimed(session, lane) == Claimed(None, 1)
    assert_ended(session, lane, message_id, "suppressed", "number_blocked")


def test_what_was_said_to_another_credential_bars_nothing(session: Session, marketing: MadeLane) -> None:
    other = make_lane(session, name="other", message_type=MessageType.MARKETING)
    ids = make_batch(session, marketing, [ASHA])
    consented(session, other, ASHA, OUT, is_blocked=True)
    assert [sent.message_id for sent in took(session, marketing).messages] == ids


def test_only_messages_of_the_surface_that_requires_it_need_an_opt_in(session: Session, marketing: MadeLane) -> None:
    strict = make_batch(session, marketing, [ASHA, BEN])
    usual = make_batch(session, marketing, [ASHA])
    surface = "INSERT INTO surface SELECT (jsonb_populate_record(s, :fields)).* FROM surface s"
    change(session, surface, fields=f'{{"id": "{UUID(int=7)}", "name": "usual", "require_opt_in": false}}')
    change(session, "UPDATE message SET surface_id = :surface WHERE id = :id", surface=UUID(int=7), id=usual[0])
    change(session, "UPDATE surface SET require_opt_in = true WHERE name = 'account'")
    consented(session, marketing, BEN, IN)
    assert claimed(session, marketing).ended == 1
    assert states(session, [*strict, *usual]) == ["suppressed", "sending", "sending"]
    assert_ended(session, marketing, strict[0], "suppressed", "not_opted_in")


def test_messages_without_a_surface_need_no_opt_in(session: Session, marketing: MadeLane) -> None:
    """Replies, verification, fallbacks."""
    ids = make_batch(session, marketing, [ASHA])
    change(session, "UPDATE surface SET require_opt_in = true")
    change(session, "UPDATE message SET surface_id = NULL")
    assert [sent.message_id for sent in took(session, marketing).messages] == ids


def test_single_sends_are_held_to_consent_too(session: Session, marketing: MadeLane) -> None:
    ids = make_batch(session, marketing, [ASHA, BEN])
    change(session, "UPDATE message SET batch_id = NULL, sender = 'KITEBK', text = 'hi'")
    consented(session, marketing, ASHA, OUT)
    assert claimed(session, marketing).ended == 1
    assert states(session, ids) == ["suppressed", "sending"]
    assert_tally_is_exact(session, marketing)


def test_what_is_barred_counts_among_what_a_claim_takes_and_stands_in_no_later_one_s_way(
    session: Session, marketing: MadeLane
) -> None:
    barred = make_batch(session, marketing, [f"9198000000{n:02d}" for n in range(5)], due_in=timedelta(minutes=-5))
    leaving = make_batch(session, marketing, [ASHA])
    for row in session.exec(select(Message).where(Message.id.in_(barred))).all():  # type: ignore[attr-defined]
        consented(session, marketing, row.recipient, OUT)
    assert claimed(session, marketing, 3) == Claimed(None, 3)
    found = claimed(session, marketing, 3)
    assert found.ended == 2
    assert found.submission is not None
    assert [sent.message_id for sent in found.submission.messages] == leaving


@pytest.mark.parametrize(
    "stays",
    [
        {"held": True},
        {"expires_at": "2026-01-01T00:00:00Z"},
        {"state": "sent"},
    ],
)
def test_a_claim_ends_no_more_than_it_would_take(session: Session, marketing: MadeLane, stays: dict[str, Any]) -> None:
    (message_id,) = make_batch(session, marketing, [ASHA])
    consented(session, marketing, ASHA, OUT)
    ((name, value),) = stays.items()
    change(session, f"UPDATE message SET {name} = :value", value=value)
    before = message(session, message_id).state
    assert claimed(session, marketing) == Claimed(None, 0)
    assert message(session, message_id).state == before


@pytest.mark.parametrize("closed", ["UPDATE lane SET kind = 'account'", "UPDATE batch SET paused_at = now()"])
def test_a_claim_ends_nothing_where_nothing_may_leave(session: Session, marketing: MadeLane, closed: str) -> None:
    (message_id,) = make_batch(session, marketing, [ASHA])
    consented(session, marketing, ASHA, OUT)
    change(session, closed)
    assert claimed(session, marketing) == Claimed(None, 0)
    assert message(session, message_id).state == "queued"


def test_a_probe_that_meets_one_that_is_barred_ends_it_and_opens_nothing(session: Session, marketing: MadeLane) -> None:
    ids = make_batch(session, marketing, [ASHA, BEN])
    consented(session, marketing, ASHA, OUT)
    change(session, "UPDATE lane SET kind = 'fault'")
    assert claimed(session, marketing, 1, is_probe=True) == Claimed(None, 1)
    assert states(session, ids) == ["suppressed", "queued"]
    assert claimed(session, marketing, 1, is_probe=True).submission is not None


@pytest.mark.parametrize("is_probe", [False, True])
def test_a_claim_that_reaches_further_ends_all_that_is_barred_and_lets_out_no_more(
    session: Session, marketing: MadeLane, is_probe: bool
) -> None:
    people = [f"91990000{n:04d}" for n in range(12)]
    ids = make_batch(session, marketing, people)
    for recipient in people[:8]:
        consented(session, marketing, recipient, OUT)
    found = claim(session, route_of(session, marketing), 1, LEASE_SECONDS, 0.0, is_probe=is_probe, reach=10)
    session.commit()
    assert found.ended == 8
    assert found.submission is not None
    assert [sent.recipient for sent in found.submission.messages] == [people[8]]
    assert session.get_one(Submission, found.submission.id).message_count == 1
    assert states(session, ids) == ["suppressed"] * 8 + ["sending"] + ["queued"] * 3
    assert_tally_is_exact(session, marketing)


def test_a_late_delivery_wins_over_suppression(session: Session, marketing: MadeLane) -> None:
    (message_id,) = make_batch(session, marketing, [ASHA])
    answer(session, took(session, marketing))
    apply(session, marketing, report(message_id, status=9, group=2, error=27))
    consented(session, marketing, ASHA, OUT)
    retries_due(session)
    assert take(session, marketing) is None
    apply(session, marketing, report(message_id, done="12:00:09.000"))
    assert states(session, [message_id]) == ["delivered"]
    assert_tally_is_exact(session, marketing)


@pytest.mark.parametrize(
    ("hours", "may_leave"),
    [
        ((-1, 1), True),
        ((-1, None), True),
        ((-2, -1), False),  # it has closed
        ((1, 2), False),  # it has yet to open
        ((-1, -1), False),  # it has yet to be asked
    ],
)
def test_a_message_on_its_way_may_leave_while_its_opening_lasts(
    session: Session, lane: MadeLane, hours: tuple[int, int | None], may_leave: bool
) -> None:
    (message_id,) = make_batch(session, lane, [ASHA])
    took(session, lane)
    opens, closes = hours
    change(
        session,
        "UPDATE message SET next_attempt_at = now() + make_interval(hours => :opens), "
        "leave_before = now() + make_interval(hours => :closes)",
        opens=opens,
        closes=closes,
    )
    found = lock(session, [message_id])[message_id]
    assert (found.may_leave, found.is_window_open) == (may_leave, may_leave)


def test_parts_of_a_refused_request_stay_behind_where_their_window_has_closed(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, [ASHA, BEN, CHITRA])
    submission = took(session, lane)
    windows_close(session)
    refusal = RequestRefused("HTTP 400", (Violation(0, "messages[0]: too long"),))
    assert fail_with(session, submission, refusal) == []
    assert sorted(states(session, ids)) == ["failed", "queued", "queued"]
    assert len(claimed(session, lane).missed) == 2
    assert_tally_is_exact(session, lane)


def test_what_waits_for_its_request_stays_behind_once_its_window_has_closed(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, [ASHA, BEN])
    submission = took(session, lane)
    windows_close(session)
    assert answers.release_barred(session, submission, settings()) == set(ids)
    session.commit()
    assert states(session, ids) == ["queued", "queued"]
