"""What an answer, an error or a refusal means for each message of its request. Infobip's words are given."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch
from tests.worker.steps import (
    ACCEPTED,
    answer,
    apply,
    assert_tally_is_exact,
    attempt,
    change,
    consent_row,
    doubted,
    fail_with,
    lane_row,
    message,
    report,
    retries_due,
    states,
    took,
)
from worker import holds
from worker.errors import CredentialRefused, NotSent, RequestRefused, SendError, Throttled, Violation
from worker.infobip.statuses import Verdict, verdict
from worker.models import Consent, Submission

DUPLICATE = verdict(23, 5, None, None)
BAD_NUMBER = verdict(52, 5, None, None)


def test_each_message_of_an_answer_follows_its_own_status(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000002", "919900000003"])
    submission = took(session, lane)
    answer(session, submission, {ids[1]: BAD_NUMBER, ids[2]: None})
    assert states(session, ids) == ["sent", "failed", "sending"]
    assert message(session, ids[1]).reason == "REJECTED_DESTINATION"
    assert message(session, ids[1]).finished_at is not None
    left_out = attempt(session, ids[2])
    assert left_out.outcome == "in doubt"
    assert left_out.look_at is not None
    assert session.get_one(Submission, submission.id).outcome == "answered"
    assert_tally_is_exact(session, lane)


def test_an_answer_that_tells_of_a_block_opts_that_recipient_out(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000002", "919900000003"])
    answer(session, took(session, lane), {ids[0]: verdict(14, 5, None, None), ids[1]: BAD_NUMBER})
    assert states(session, ids) == ["failed", "failed", "sent"]
    person = consent_row(session, lane, "919900000001")
    assert (person.state, person.source, person.blocked) == ("opted_out", "provider", True)
    assert session.exec(select(Consent.recipient)).all() == ["919900000001"]
    assert_tally_is_exact(session, lane)


def test_a_duplicate_on_first_use_is_doubt_and_after_doubt_acceptance(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    submission = took(session, lane)
    answer(session, submission, {ids[0]: DUPLICATE})
    assert states(session, ids) == ["sending"]
    answer(session, submission, {ids[0]: DUPLICATE})
    assert states(session, ids) == ["sent"]


@pytest.mark.parametrize(
    ("said", "state"), [(None, "sending"), (DUPLICATE, "sending"), (BAD_NUMBER, "sending"), (ACCEPTED, "sent")]
)
def test_an_answer_to_an_older_request_of_an_attempt_that_went_out_again_counts_only_where_infobip_has_it(
    session: Session, lane: MadeLane, said: Verdict | None, state: str
) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    older = took(session, lane)
    change(session, "UPDATE attempt SET submission_id = gen_random_uuid()")  # the newer one, whose answer will tell
    answer(session, older, {ids[0]: said})
    assert states(session, ids) == [state]
    if said is not ACCEPTED:
        under_way = attempt(session, ids[0])
        assert (under_way.outcome, under_way.look_at) == (None, None)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotSent("refused"), None),
        (Throttled("slow down", 3.0), "fault"),
        (CredentialRefused("HTTP 401"), "account"),
    ],
)
def test_known_not_sent_burns_nothing(session: Session, lane: MadeLane, error: SendError, kind: str | None) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    before = message(session, ids[0]).next_attempt_at
    fail_with(session, took(session, lane), error)
    kept = message(session, ids[0])
    assert (kept.state, kept.attempt_count, kept.next_attempt_at) == ("queued", 0, before)
    assert attempt(session, ids[0]).outcome == "released"
    assert lane_row(session, lane).kind == kind
    holds.release(session, lane.credential_id)
    session.commit()
    assert took(session, lane).messages[0].number == 1
    assert_tally_is_exact(session, lane)


def test_a_released_retry_is_retrying_as_it_was(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane))
    apply(session, lane, report(ids[0], status=9, group=2, error=27))
    retries_due(session)
    fail_with(session, took(session, lane), NotSent("refused"))
    kept = message(session, ids[0])
    assert (kept.state, kept.reason, kept.attempt_count) == ("retrying", "EC_ABSENT_SUBSCRIBER", 1)
    assert_tally_is_exact(session, lane)


def test_unknown_fate_stays_sending_and_is_looked_up(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    doubted(session, lane)
    assert states(session, ids) == ["sending"]
    unknown = attempt(session, ids[0])
    assert unknown.outcome == "in doubt"
    assert unknown.doubted_at is not None
    assert unknown.look_at is not None
    assert unknown.look_at - unknown.doubted_at == timedelta(seconds=5)


def test_those_named_fail_alone_and_the_others_go_out_again_whole(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, [f"91990000000{i}" for i in range(4)])
    submission = took(session, lane)
    named = submission.messages[2].message_id
    refusal = RequestRefused("HTTP 400", (Violation(2, "messages[0].destinations[2].to: too long"),))
    (child,) = fail_with(session, submission, refusal)
    assert message(session, named).state == "failed"
    assert "too long" in (attempt(session, named).detail or "")
    assert {m.message_id for m in child.messages} == set(ids) - {named}
    assert {m.number for m in child.messages} == {1}
    row = session.get_one(Submission, child.id)
    assert (row.parent_id, row.bulk_ids) == (submission.id, [submission.id, child.id])
    assert_tally_is_exact(session, lane)


def test_a_refused_request_that_names_nobody_is_halved_until_the_bad_one_stands_alone(
    session: Session, lane: MadeLane
) -> None:
    ids = make_batch(session, lane, [f"9199000000{i:02d}" for i in range(64)])
    bad, requests = ids[37], 0
    waiting = [took(session, lane)]
    while waiting:
        submission, requests = waiting.pop(), requests + 1
        if bad in {m.message_id for m in submission.messages}:
            waiting += fail_with(session, submission, RequestRefused("HTTP 400: no"))
        else:
            answer(session, submission)
    assert states(session, ids) == ["failed" if i == bad else "sent" for i in ids]
    assert requests == 13  # 7 levels, one neighbour at each but the first
    assert message(session, bad).reason == "refused_by_infobip"
    assert_tally_is_exact(session, lane)


def test_what_may_no_longer_leave_is_not_in_a_half(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000002"])
    submission = took(session, lane)
    change(session, "UPDATE batch SET cancelled_at = now()")
    assert fail_with(session, submission, RequestRefused("HTTP 400")) == []
    assert states(session, ids) == ["cancelled", "cancelled"]
    assert_tally_is_exact(session, lane)
