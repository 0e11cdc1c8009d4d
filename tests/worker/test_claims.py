"""The claim and its gate: what leaves, what may not, and that nobody else takes it."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch, route_of
from tests.worker.steps import assert_tally_is_exact, batch_of, change, states, take, took, windows_close
from worker.claims import claim
from worker.models import Attempt, Submission
from worker.tally import SHARDS


def test_a_claim_commits_submission_attempts_and_inherited_values(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000002"])
    submission = took(session, lane)
    assert states(session, ids) == ["sending", "sending"]
    first = submission.messages[0]
    assert (first.number, first.content.sender, first.content.callback_data) == (1, "KITEBK", "order-5512")
    assert 3590 < first.remaining_seconds <= 3600
    row = session.get_one(Submission, submission.id)
    assert (row.message_count, row.bulk_ids, row.outcome) == (2, [submission.id], None)
    assert {a.number for a in session.exec(select(Attempt))} == {1}
    assert_tally_is_exact(session, lane)


def test_two_claims_at_once_never_share_a_message(
    session: Session, lane: MadeLane, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_batch(session, lane, [f"9199000000{i:02d}" for i in range(30)])
    route = route_of(session, lane)
    # On one shard the second would wait for the first's commit, which in this one thread never comes.
    shards = iter(range(SHARDS))
    monkeypatch.setattr("worker.tally.random.randrange", lambda _: next(shards))
    with Session(engine) as one, Session(engine) as other:
        first = claim(one, route, 20, 60, 0.0).submission
        second = claim(other, route, 20, 60, 0.0).submission  # the first has not committed
        one.commit()
        other.commit()
    assert first is not None
    assert second is not None
    assert (len(first.messages), len(second.messages)) == (20, 10)
    assert not {m.message_id for m in first.messages} & {m.message_id for m in second.messages}
    assert_tally_is_exact(session, lane)


@pytest.mark.parametrize(
    "closed",
    [
        "UPDATE message SET held = true",
        "UPDATE batch SET paused_at = now()",
        "UPDATE batch SET cancelled_at = now()",
        "UPDATE batch SET cancelled_at = now(), is_cleared = true",
        "UPDATE batch SET move_to = now()",
        "UPDATE message SET expires_at = now() + interval '0.9 seconds'",
        "UPDATE message SET next_attempt_at = now() + interval '1 minute'",
        "UPDATE message SET leave_before = now() + interval '0.9 seconds'",
        "UPDATE lane SET kind = 'account'",
        "UPDATE message SET state = 'sent'",
    ],
)
def test_the_gate_lets_nothing_through_that_may_not_leave(session: Session, lane: MadeLane, closed: str) -> None:
    make_batch(session, lane, ["919900000001"])
    change(session, closed)
    assert take(session, lane) is None
    assert session.exec(select(Submission)).all() == []


def test_the_longest_due_leave_first(session: Session, lane: MadeLane) -> None:
    later = make_batch(session, lane, ["919900000001"], due_in=timedelta(minutes=-1))
    first = make_batch(session, lane, ["919900000002"], due_in=timedelta(minutes=-5))
    assert [m.message_id for m in took(session, lane, 1).messages] == first
    assert [m.message_id for m in took(session, lane, 1).messages] == later


@pytest.mark.parametrize(
    ("parts", "limit", "taken"),
    [
        ([10] * 5, 30, 3),
        ([10] * 5, 29, 2),
        ([3, 4, 5, 1], 8, 2),  # none overtakes one that does not fit
        ([25, 1], 10, 1),  # the first goes whatever it takes
        ([1, 1, 1], 10, 3),
    ],
)
def test_where_the_rate_counts_segments_a_claim_takes_so_many_parts_in_order(
    session: Session, lane: MadeLane, parts: list[int], limit: int, taken: int
) -> None:
    ids = make_batch(session, lane, [f"9199000000{n:02d}" for n in range(len(parts))])
    change(session, "UPDATE credential SET rate_unit = 'segments'")
    for message_id, n in zip(ids, parts, strict=True):
        change(session, "UPDATE message SET segment_count = :n WHERE id = :id", n=n, id=message_id)
    assert [m.message_id for m in took(session, lane, limit).messages] == ids[:taken]
    assert_tally_is_exact(session, lane)


def test_parts_are_the_batch_s_where_a_message_has_no_text_of_its_own(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000002", "919900000003"])
    change(session, "UPDATE credential SET rate_unit = 'segments'")
    change(session, "UPDATE batch SET segment_count = 4")
    assert [m.message_id for m in took(session, lane, 8).messages] == ids[:2]


def test_what_is_barred_or_missed_its_window_takes_no_parts(session: Session, lane: MadeLane) -> None:
    missed = make_batch(session, lane, ["919900000001"])
    windows_close(session)
    barred = make_batch(session, lane, ["919900000002"], due_in=timedelta(minutes=-1))
    change(
        session,
        "UPDATE batch SET cancelled_at = now(), is_cleared = true WHERE id = :id",
        id=batch_of(session, barred[0]).id,
    )
    going = make_batch(session, lane, ["919900000003"])
    change(session, "UPDATE credential SET rate_unit = 'segments'")
    change(session, "UPDATE message SET segment_count = 5")
    found = claim(session, route_of(session, lane), 5, 60, 0.0, reach=10)
    session.commit()
    assert found.submission is not None
    assert [m.message_id for m in found.submission.messages] == going
    assert (found.ended, list(found.missed)) == (1, missed)
