"""What each error of a send decides: a table, and what follows from it in the database."""

from typing import NamedTuple

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

import worker.sending  # noqa: F401 - whoever sends has all of them at hand
from tests.factories import MadeLane, make_batch, make_lane, route_of
from tests.families import family
from tests.worker.steps import attempt, fail_with, lane_row, message, took
from worker import holds, reasons
from worker.errors import CredentialRefused, NotSent, OutcomeUncertain, RequestRefused, SendError, Throttled
from worker.models import Lane, Submission
from worker.sentences import SENTENCES
from worker.states import State
from worker.words import AttemptOutcome, Channel, HoldKind, MessageType


class Facts(NamedTuple):
    code: str
    is_fate_known: bool
    hold_kind: HoldKind | None


FACTS: dict[type[SendError], Facts] = {
    NotSent: Facts(reasons.NOT_SENT, True, None),
    Throttled: Facts(reasons.TOO_MANY_REQUESTS, True, None),
    CredentialRefused: Facts(reasons.CREDENTIAL_REFUSED, True, HoldKind.ACCOUNT),
    RequestRefused: Facts(reasons.REFUSED, True, None),
    OutcomeUncertain: Facts(reasons.UNKNOWN_FATE, False, None),
}
PAUSE_SECONDS = 40.0
EXAMPLES: dict[type[SendError], SendError] = {
    NotSent: NotSent("no connection to Infobip: ConnectError"),
    Throttled: Throttled("HTTP 429: slow down", PAUSE_SECONDS),
    CredentialRefused: CredentialRefused("HTTP 401: wrong key"),
    RequestRefused: RequestRefused("HTTP 400: Bad request"),
    OutcomeUncertain: OutcomeUncertain("HTTP 500: no explanation"),
}


def ours() -> set[type[SendError]]:
    return {error for error in family(SendError) - {SendError} if error.__module__.startswith("worker.")}


def test_every_error_stands_in_the_tables() -> None:
    assert ours() == set(FACTS) == set(EXAMPLES)


@pytest.mark.parametrize("error", FACTS)
def test_error_decides_as_the_table_says(error: type[SendError]) -> None:
    assert Facts(error.code, error.is_fate_known, error.hold_kind) == FACTS[error]


@pytest.mark.parametrize("error", FACTS)
def test_error_has_a_code_of_its_own_with_a_sentence(error: type[SendError]) -> None:
    assert SENTENCES[error.code].endswith(".")
    assert [other for other in FACTS if other.code == error.code] == [error]


def test_error_that_forgets_to_say_whether_its_fate_is_known_is_not_taken_for_known() -> None:
    with pytest.raises(AttributeError):
        _ = SendError("it forgot").is_fate_known


@pytest.mark.parametrize(
    ("error", "state", "number", "outcome"),
    [
        (NotSent, State.QUEUED, 0, AttemptOutcome.RELEASED),
        (Throttled, State.QUEUED, 0, AttemptOutcome.RELEASED),
        (CredentialRefused, State.QUEUED, 0, AttemptOutcome.RELEASED),
        (RequestRefused, State.FAILED, 1, AttemptOutcome.FAILED),  # it stood alone
        (OutcomeUncertain, State.SENDING, 1, AttemptOutcome.IN_DOUBT),
    ],
)
def test_what_becomes_of_a_message_that_was_sent_alone(
    session: Session,
    lane: MadeLane,
    error: type[SendError],
    state: State,
    number: int,
    outcome: AttemptOutcome,
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    submission = took(session, lane)
    assert fail_with(session, submission, EXAMPLES[error]) == []
    found = message(session, message_id)
    assert (found.state, found.attempt_count) == (state, number)
    assert attempt(session, message_id).outcome == outcome
    assert session.get_one(Submission, submission.id).outcome == error.code


@pytest.mark.parametrize("error", [error for error in FACTS if error is not RequestRefused])
def test_what_was_in_doubt_before_stays_so_whatever_the_error(
    session: Session, lane: MadeLane, error: type[SendError]
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    submission = took(session, lane)
    session.execute(text("UPDATE attempt SET doubted_at = now()"))  # an earlier request may have brought it
    session.commit()
    fail_with(session, submission, EXAMPLES[error])
    assert message(session, message_id).state == State.SENDING
    assert attempt(session, message_id).outcome == AttemptOutcome.IN_DOUBT


@pytest.mark.parametrize(
    ("error", "kind", "faults"),
    [
        (NotSent, None, 1),  # counted: several in a row hold the lane
        (Throttled, HoldKind.FAULT, 0),  # paused
        (CredentialRefused, HoldKind.ACCOUNT, 0),  # held at once
        (RequestRefused, None, 0),  # the way is well
        (OutcomeUncertain, None, 1),
    ],
)
def test_what_has_to_wait(
    session: Session, lane: MadeLane, error: type[SendError], kind: HoldKind | None, faults: int
) -> None:
    make_batch(session, lane, ["919900000001"])
    fail_with(session, took(session, lane), EXAMPLES[error])
    found = lane_row(session, lane)
    assert (found.kind, found.faults) == (kind, faults)


@pytest.mark.parametrize("error", [NotSent, OutcomeUncertain])
def test_error_that_is_counted_holds_its_lane_when_several_come_in_a_row(
    session: Session, lane: MadeLane, error: type[SendError]
) -> None:
    route = route_of(session, lane)
    for _ in range(holds.FAULTS_IN_A_ROW):
        assert lane_row(session, lane).kind is None
        holds.note_error(session, route, EXAMPLES[error])
        session.commit()
    found = lane_row(session, lane)
    assert (found.kind, found.reason) == (HoldKind.FAULT, EXAMPLES[error].detail)


def test_pause_lasts_as_long_as_infobip_asks(session: Session, lane: MadeLane) -> None:
    holds.note_error(session, route_of(session, lane), EXAMPLES[Throttled])
    left = session.execute(text("SELECT extract(epoch FROM probe_at - now()) FROM lane WHERE kind IS NOT NULL"))
    assert PAUSE_SECONDS - 5 < left.scalar_one() < PAUSE_SECONDS + 5


@pytest.mark.parametrize(
    ("error", "held"),
    [
        (NotSent("refused"), set()),
        (OutcomeUncertain("time-out"), set()),
        (Throttled("HTTP 429", PAUSE_SECONDS), {("sms", "transactional")}),
        (
            CredentialRefused("HTTP 401"),
            {("sms", "transactional"), ("sms", "marketing"), ("mms", "transactional"), ("mms", "marketing")},
        ),
        (CredentialRefused("HTTP 403", Channel.SMS), {("sms", "transactional"), ("sms", "marketing")}),
    ],
    ids=["not sent", "uncertain", "throttled", "401", "403"],
)
def test_error_holds_those_lanes_that_share_its_trouble(
    session: Session, lane: MadeLane, error: SendError, held: set[tuple[str, str]]
) -> None:
    for channel in Channel:
        for kind in MessageType:
            if (channel, kind) != (Channel.SMS, MessageType.TRANSACTIONAL):
                session.add(Lane(credential_id=lane.credential_id, channel=channel, message_type=kind))
    stranger = make_lane(session, name="stranger")
    holds.note_error(session, route_of(session, lane), error)
    session.commit()
    lanes = session.exec(select(Lane).where(Lane.credential_id == lane.credential_id)).all()
    assert {(found.channel, found.message_type) for found in lanes if found.kind is not None} == held
    assert lane_row(session, stranger).kind is None


def test_a_log_line_leaves_out_infobips_own_words() -> None:
    error = RequestRefused("HTTP 400: E400. 919900000001 is not valid. Your code is 4711")
    assert error.brief == "HTTP 400"
