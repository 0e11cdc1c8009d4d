"""Consent as rows: what is written is what is read, whom it bars, and what Infobip's reports of blocks make of it."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product
from uuid import UUID

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch, make_lane
from tests.worker.steps import assert_tally_is_exact, change, consent_row, consented, message, take, wait_until_blocking
from worker import consents
from worker.consent import Standing, said
from worker.consents import Blocked, Person, Said
from worker.db import database_now
from worker.ids import new_id
from worker.models import ConsentChange
from worker.words import Block, ConsentSource, ConsentState, MessageType

ASHA, BEN = "919900000001", "919900000002"
IN, OUT, PENDING, NONE = ConsentState.OPTED_IN, ConsentState.OPTED_OUT, ConsentState.PENDING, ConsentState.NONE
MINUTE, WEEK = timedelta(minutes=1), timedelta(days=7)


def full(now: datetime) -> Standing:
    """A value in every field."""
    return Standing(
        state=PENDING,
        source=ConsentSource.KEYWORD,
        is_blocked=True,
        pending_from=OUT,
        pending_until=now + WEEK,
        said_at=now - 2 * MINUTE,
        opted_out_at=now - MINUTE,
        changed_at=now,
    )


def history(session: Session) -> Sequence[ConsentChange]:
    return session.exec(select(ConsentChange).order_by(ConsentChange.id)).all()  # type: ignore[arg-type]


# Written and read


def test_each_stands_as_it_was_written(session: Session, lane: MadeLane) -> None:
    now = database_now(session)
    bare = Standing(state=IN, source=ConsentSource.API, changed_at=now)
    standings = {Person(ASHA, lane.credential_id): full(now), Person(BEN, lane.credential_id): bare}
    consents.write(session, standings, [])
    nobody, elsewhere = Person("919900000003", lane.credential_id), Person(ASHA, UUID(int=7))
    assert consents.read(session, [*standings, nobody, elsewhere]) == standings
    assert consents.read(session, [nobody]) == consents.read(session, []) == {}


def test_what_was_said_first_is_overwritten_in_every_field(session: Session, lane: MadeLane) -> None:
    now, person = database_now(session), Person(ASHA, lane.credential_id)
    later = Standing(state=IN, source=ConsentSource.API, changed_at=now + MINUTE)
    consents.write(session, {person: full(now)}, [])
    consents.write(session, {person: later}, [])
    assert consents.read(session, [person]) == {person: later}


def test_history_keeps_what_was_said_in_its_order_and_is_never_overwritten(session: Session, lane: MadeLane) -> None:
    now, person, inbound_id = database_now(session), Person(ASHA, lane.credential_id), new_id()
    out = Standing(state=OUT, source=ConsentSource.KEYWORD, opted_out_at=now, changed_at=now)
    back = replace(out, state=IN, source=ConsentSource.API, said_at=now - WEEK)
    first = [
        Said(person=person, standing=out, reason="STOP", inbound_id=inbound_id),
        Said(person=person, standing=full(now), reason="JOIN"),
    ]
    consents.write(session, {person: full(now)}, first)
    consents.write(session, {person: back}, [Said(person=person, standing=back)])
    names = ("state", "source", "blocked", "reason", "inbound_id", "said_at")
    assert [tuple(getattr(row, name) for name in names) for row in history(session)] == [
        (OUT, "keyword", False, "STOP", inbound_id, None),
        (PENDING, "keyword", True, "JOIN", None, now - 2 * MINUTE),
        (IN, "api", False, None, None, now - WEEK),
    ]
    assert {(row.recipient, row.credential_id, row.changed_at) for row in history(session)} == {(*person, now)}


def test_people_that_are_locked_stay_so(session: Session, lane: MadeLane, engine: Engine) -> None:
    consented(session, lane, ASHA, IN)
    person = Person(ASHA, lane.credential_id)
    consents.lock(session, [person])
    stops = replace(full(database_now(session)), state=OUT)

    def stop() -> None:
        with Session(engine) as other, other.begin():
            consents.write(other, {person: stops}, [])

    other = threading.Thread(target=stop)
    other.start()
    wait_until_blocking(session)
    assert consents.read(session, [person])[person].state is IN
    session.commit()
    other.join()
    assert consent_row(session, lane, ASHA).state == OUT


def test_who_is_held_is_known_from_then_on_and_nobody_comes_between(
    session: Session, lane: MadeLane, engine: Engine
) -> None:
    consented(session, lane, BEN, IN)
    asha, ben = (Person(number, lane.credential_id) for number in (ASHA, BEN))
    held = consents.hold(session, [ben, asha], ConsentSource.KEYWORD)
    assert [(held[person].state, held[person].is_blocked) for person in (asha, ben)] == [(NONE, False), (IN, False)]
    fact = told(session, lane, Block.ALL, at=database_now(session) + MINUTE)

    def report() -> None:
        with Session(engine) as other, other.begin():
            consents.block(other, fact)

    other = threading.Thread(target=report)
    other.start()
    wait_until_blocking(session)
    stopped = Standing(state=OUT, source=ConsentSource.KEYWORD, changed_at=database_now(session))
    consents.write(session, {asha: stopped}, [])
    session.commit()
    other.join()
    row = consent_row(session, lane, ASHA)
    assert (row.state, row.blocked) == (OUT, True)  # of both that were said


# Whom it bars: one table, and its two readers


@dataclass(frozen=True)
class Stood:
    """How a person may stand. `left` of a pending."""

    state: ConsentState | None  # None: no row
    came_from: ConsentState | None = None
    left: timedelta | None = None
    is_blocked: bool = False

    def write(self, session: Session, lane: MadeLane, recipient: str) -> None:
        if self.state is not None:
            until = None if self.left is None else database_now(session) + self.left
            values = {"pending_from": self.came_from, "pending_until": until, "is_blocked": self.is_blocked}
            consented(session, lane, recipient, self.state, **values)


_IN_TIME, _LAPSED = MINUTE, -MINUTE
# How they stand; why marketing is barred, and why where the surface requires an opt-in.
WHOM_IT_BARS: list[tuple[Stood, str | None, str | None]] = [
    (Stood(None), None, "not_opted_in"),
    (Stood(NONE), None, "not_opted_in"),
    (Stood(IN), None, None),
    (Stood(OUT), "opted_out", "opted_out"),
    (Stood(PENDING, NONE, _IN_TIME), None, "not_opted_in"),
    (Stood(PENDING, NONE, _LAPSED), None, "not_opted_in"),
    (Stood(PENDING, IN, _IN_TIME), None, "not_opted_in"),
    (Stood(PENDING, IN, _LAPSED), None, None),
    (Stood(PENDING, OUT, _IN_TIME), "opted_out", "opted_out"),
    (Stood(PENDING, OUT, _LAPSED), "opted_out", "opted_out"),
]
CASES = [
    (
        replace(stood, is_blocked=is_blocked),
        message_type,
        needs_opt_in,
        "number_blocked"
        if is_blocked
        else {True: required, False: usual}[needs_opt_in]
        if message_type is MessageType.MARKETING
        else None,
    )
    for (stood, usual, required), is_blocked, message_type, needs_opt_in in product(
        WHOM_IT_BARS, (False, True), MessageType, (False, True)
    )
    if not (is_blocked and stood.state is None)  # who is blocked has a row
    and not (needs_opt_in and message_type is MessageType.TRANSACTIONAL)  # no such surface
]
each_case = pytest.mark.parametrize(("stood", "message_type", "needs_opt_in", "reason"), CASES)


@each_case
def test_who_is_barred_is_known_before_anything_is_stored(
    session: Session, lane: MadeLane, stood: Stood, message_type: MessageType, needs_opt_in: bool, reason: str | None
) -> None:
    stood.write(session, lane, ASHA)
    barred = consents.barred(
        session,
        lane.credential_id,
        [ASHA, ASHA],  # twice in a batch
        is_marketing=message_type is MessageType.MARKETING,
        needs_opt_in=needs_opt_in,
    )
    assert barred == ({} if reason is None else {ASHA: reason})


@each_case
def test_who_is_barred_gets_nothing_from_a_claim(
    session: Session, stood: Stood, message_type: MessageType, needs_opt_in: bool, reason: str | None
) -> None:
    lane = make_lane(session, message_type=message_type)
    change(session, "UPDATE surface SET require_opt_in = :needs", needs=needs_opt_in)
    stood.write(session, lane, ASHA)
    (message_id,) = make_batch(session, lane, [ASHA])
    submission = take(session, lane)
    found = message(session, message_id)
    assert (submission is None) == (reason is not None)
    assert (found.state, found.reason) == (("sending", None) if reason is None else ("suppressed", reason))
    assert_tally_is_exact(session, lane)


def test_those_who_are_barred_are_told_from_the_others_each_with_a_reason(session: Session, lane: MadeLane) -> None:
    consented(session, lane, ASHA, OUT)
    consented(session, lane, BEN, IN)
    consented(session, lane, "919900000003", OUT, is_blocked=True)
    asked = [ASHA, BEN, "919900000003", "919900000004"]
    said = consents.barred(session, lane.credential_id, asked, is_marketing=True, needs_opt_in=True)
    assert said == {ASHA: "opted_out", "919900000003": "number_blocked", "919900000004": "not_opted_in"}
    elsewhere = consents.barred(session, UUID(int=7), asked, is_marketing=True, needs_opt_in=False)
    assert elsewhere == {}


# What Infobip reports


def told(
    session: Session, lane: MadeLane, block: Block, *, recipient: str = ASHA, at: datetime | None = None
) -> dict[Person, Blocked]:
    person = Person(recipient, lane.credential_id)
    told_at = at or database_now(session)
    fact = Blocked(person=person, block=block, code="REJECTED_DND", message_id=UUID(int=9), told_at=told_at)
    return {person: fact}


@pytest.mark.parametrize(("block", "is_blocked"), [(Block.ALL, True), (Block.MARKETING, False)])
@pytest.mark.parametrize("before", [None, IN, PENDING, NONE])
def test_a_block_opts_out_whoever_had_not_and_stands_in_the_history(
    session: Session, lane: MadeLane, block: Block, is_blocked: bool, before: ConsentState | None
) -> None:
    if before is not None:
        now = database_now(session)
        pending = {"pending_from": IN, "pending_until": now + WEEK} if before is PENDING else {}
        consented(session, lane, ASHA, before, said_at=now - MINUTE, **pending)
    at = database_now(session)
    consents.block(session, told(session, lane, block, at=at))
    session.commit()
    row = consent_row(session, lane, ASHA)
    assert (row.state, row.source, row.blocked) == (OUT, "provider", is_blocked)
    assert (row.pending_from, row.pending_until) == (None, None)
    assert row.said_at == row.opted_out_at == at
    (line,) = history(session)
    assert (line.recipient, line.credential_id) == (ASHA, lane.credential_id)
    assert (line.state, line.source, line.blocked) == (OUT, "provider", is_blocked)
    assert (line.reason, line.message_id) == ("REJECTED_DND", UUID(int=9))
    assert (line.said_at, line.changed_at) == (at, row.changed_at)


@pytest.mark.parametrize(
    ("known", "block"),
    [
        ({"is_blocked": True}, Block.ALL),
        ({"is_blocked": True}, Block.MARKETING),
        ({"is_blocked": False}, Block.MARKETING),
    ],
)
def test_what_is_known_is_not_told_again(session: Session, lane: MadeLane, known: dict, block: Block) -> None:
    consented(session, lane, ASHA, OUT, opted_out_at=database_now(session), **known)
    before = consent_row(session, lane, ASHA).model_dump()
    consents.block(session, told(session, lane, block))
    session.commit()
    assert consent_row(session, lane, ASHA).model_dump() == before
    assert history(session) == []


def test_a_block_told_late_does_not_make_the_newest_word_older(session: Session, lane: MadeLane) -> None:
    now = database_now(session)
    consented(session, lane, ASHA, OUT, said_at=now, opted_out_at=now)
    consents.block(session, told(session, lane, Block.ALL, at=now - MINUTE))
    session.commit()
    row = consent_row(session, lane, ASHA)
    assert (row.blocked, row.said_at, row.opted_out_at) == (True, now, now)


def test_a_do_not_disturb_of_one_whom_a_caller_opted_out_is_infobip_s_own_word(
    session: Session, lane: MadeLane
) -> None:
    consented(session, lane, ASHA, OUT, source=ConsentSource.API)
    at = database_now(session)
    for _ in range(2):
        consents.block(session, told(session, lane, Block.MARKETING, at=at))
        session.commit()
    row = consent_row(session, lane, ASHA)
    assert (row.source, row.opted_out_at, len(history(session))) == ("provider", at, 1)


def test_a_block_of_one_who_stopped_is_news(session: Session, lane: MadeLane) -> None:
    consented(session, lane, ASHA, OUT)
    for _ in range(2):
        consents.block(session, told(session, lane, Block.ALL))
        session.commit()
    assert consent_row(session, lane, ASHA).blocked
    assert [line.blocked for line in history(session)] == [True]


def test_a_block_of_all_is_not_narrowed_by_one_of_marketing(session: Session, lane: MadeLane) -> None:
    until = database_now(session) + WEEK
    consented(session, lane, ASHA, PENDING, pending_from=OUT, pending_until=until, is_blocked=True)
    consents.block(session, told(session, lane, Block.MARKETING))
    session.commit()
    row = consent_row(session, lane, ASHA)
    assert (row.state, row.blocked) == (OUT, True)


@pytest.mark.parametrize(("since", "stays"), [(MINUTE, True), (-MINUTE, False)])
def test_an_opt_in_stays_that_is_newer_than_what_is_told(
    session: Session, lane: MadeLane, since: timedelta, stays: bool
) -> None:
    now = database_now(session)
    consented(session, lane, ASHA, IN, said_at=now)
    consented(session, lane, BEN, IN, said_at=now)
    both = told(session, lane, Block.ALL, at=now - since)
    both |= told(session, lane, Block.ALL, recipient=BEN, at=now + MINUTE)
    consents.block(session, both)  # each is held to what is told of it
    session.commit()
    assert consent_row(session, lane, ASHA).state == (IN if stays else OUT)
    assert consent_row(session, lane, BEN).state == OUT
    assert len(history(session)) == (1 if stays else 2)


@pytest.mark.parametrize("block", Block)
@pytest.mark.parametrize("asks_through", [ConsentSource.KEYWORD, ConsentSource.API])
def test_a_block_and_a_younger_wish_to_come_back_come_to_the_same_in_either_order(
    session: Session, lane: MadeLane, block: Block, asks_through: ConsentSource
) -> None:
    """Told late, the block is what the person asks out of; until that is confirmed, or when it lapses, they are out."""
    now = database_now(session)

    def ask(recipient: str) -> None:
        person = Person(recipient, lane.credential_id)
        stands = consents.hold(session, [person], asks_through)[person]
        pending = said(stands, PENDING, asks_through, now, pending_for=WEEK)
        consents.write(session, {person: pending}, [])

    def tell(recipient: str) -> None:
        consents.block(session, told(session, lane, block, recipient=recipient, at=now - MINUTE))
        session.commit()

    ask(ASHA)
    tell(ASHA)
    tell(BEN)
    ask(BEN)
    tell(ASHA)  # what is known is not told again
    session.commit()
    asha, ben = (Person(number, lane.credential_id) for number in (ASHA, BEN))
    stood = consents.read(session, [asha, ben])
    assert replace(stood[asha], changed_at=None) == replace(stood[ben], changed_at=None)
    assert (stood[asha].state, stood[asha].pending_from, stood[asha].opted_out_at) == (PENDING, OUT, now - MINUTE)
    barred = consents.barred(session, lane.credential_id, [ASHA, BEN], is_marketing=True, needs_opt_in=False)
    assert barred == {ASHA: "opted_out", BEN: "opted_out"}
    lines = [(line.state, line.source, line.reason, line.said_at) for line in history(session)]
    assert lines == [
        (PENDING, "provider", "REJECTED_DND", now - MINUTE),
        (OUT, "provider", "REJECTED_DND", now - MINUTE),
    ]


def test_a_block_is_one_of_this_credential(session: Session, lane: MadeLane) -> None:
    other = make_lane(session, name="other")
    consented(session, other, ASHA, IN)
    consents.block(session, told(session, lane, Block.ALL, at=database_now(session) + MINUTE))
    session.commit()
    assert consent_row(session, lane, ASHA).state == OUT
    assert consent_row(session, other, ASHA).state == IN


# In which order people are locked


def _write(session: Session, lane: MadeLane, numbers: Sequence[str]) -> None:
    now = database_now(session)
    consents.write(session, {Person(number, lane.credential_id): full(now) for number in numbers}, [])


def _block(session: Session, lane: MadeLane, numbers: Sequence[str]) -> None:
    facts: dict[Person, Blocked] = {}
    for number in numbers:
        facts |= told(session, lane, Block.ALL, recipient=number)
    consents.block(session, facts)


def _lock(session: Session, lane: MadeLane, numbers: Sequence[str]) -> None:
    consents.lock(session, [Person(number, lane.credential_id) for number in numbers])


def _hold(session: Session, lane: MadeLane, numbers: Sequence[str]) -> None:
    consents.hold(session, [Person(number, lane.credential_id) for number in numbers], ConsentSource.KEYWORD)


@pytest.mark.parametrize("are_known", [True, False])
@pytest.mark.parametrize("work", [_write, _block, _lock, _hold], ids=["write", "block", "lock", "hold"])
def test_the_same_people_are_locked_in_one_order_however_they_are_given(
    session: Session, lane: MadeLane, engine: Engine, work, are_known: bool
) -> None:
    """The first number is held; whoever wants all of them waits for it before it has locked any other."""
    numbers = [f"9199000000{n:02d}" for n in range(40)]
    if are_known or work is _lock:
        for number in numbers[::-1]:  # so do they lie in the table
            _write(session, lane, [number])
        session.commit()
    _write(session, lane, numbers[:1])
    failed: list[Exception] = []

    def run() -> None:
        try:
            with Session(engine) as other, other.begin():
                work(other, lane, numbers[::-1])
        except Exception as error:
            failed.append(error)

    other = threading.Thread(target=run)
    other.start()
    wait_until_blocking(session)
    _write(session, lane, numbers)  # a deadlock, had it locked one of them
    session.commit()
    other.join()
    assert failed == []
