"""Inbound messages: stored once, settled in the order they were written, whatever comes twice, late or at once."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select

from tests.factories import HANDSET, OUR_NUMBER, MadeLane, make_inbound, make_lane
from tests.processes import wait_for
from tests.worker.steps import (
    assert_tally_is_exact,
    change,
    consent_row,
    consented,
    message,
    pushed,
    time_passes,
    wait_until_blocking,
    wrote,
)
from worker import inbound, replies
from worker.consent import OLDER
from worker.db import database_now, make_engine
from worker.infobip.inbound import Inbound
from worker.infobip.reading import BadItem
from worker.keywords import Keywords, Reading
from worker.models import ConsentChange, InboundMessage, UnmatchedReport
from worker.settings import settings
from worker.tally import Changes
from worker.words import Action, Channel, ConsentState

DAY = timedelta(days=1)


@pytest.fixture
def double(session: Session, lane: MadeLane) -> MadeLane:
    """A lane whose credential has double opt-in: JOIN, then a word of the defaults."""
    change(session, "UPDATE credential SET double_opt_in_keywords = '{JOIN}'")
    return lane


def history(session: Session) -> list[ConsentChange]:
    return list(session.exec(select(ConsentChange).order_by(ConsentChange.id)))  # type: ignore[arg-type]


def states_said(session: Session) -> list[str]:
    return [line.state for line in history(session)]


def inbound_rows(session: Session) -> list[InboundMessage]:
    session.expire_all()
    return list(session.exec(select(InboundMessage).order_by(InboundMessage.id)))  # type: ignore[arg-type]


def count(session: Session, table: str) -> int:
    return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def stored(session: Session, lane: MadeLane, *items: Inbound) -> None:
    """As a pull leaves them when it dies before they are settled."""
    inbound.store(session, [(lane.credential_id, items)])
    session.commit()


def in_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """`work`, begun beside the test; what is returned waits for it and gives its result or its error."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def join() -> Any:
        thread.join(30)
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    return join


def push(engine: Engine, *pushes: tuple[UUID, Sequence[Inbound]]) -> set[UUID]:
    """In a transaction of its own, which is not tried again."""
    with Session(engine) as session:
        lanes = inbound.take(session, pushes, settings())
        session.commit()
        return lanes


def statements_of(session: Session, engine: Engine, lane: MadeLane, items: Sequence[Inbound]) -> list[str]:
    """Those with which a push is taken. Commits."""
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        pushed(session, lane, *items)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return asked[:-1]  # the last reads the rows


def wait_for_waiting(session: Session, n: int) -> None:
    """Until so many others wait for a lock."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    wait_for(lambda: session.execute(waiting).scalar_one() == n)


def test_a_double_opt_in_is_asked_for_and_confirmed(session: Session, double: MadeLane) -> None:
    join, yes = wrote(session, double, "Join"), wrote(session, double, " yes! ")
    assert (join.action, join.keyword, join.consent, join.reply) == (
        "double_opt_in",
        "JOIN",
        "pending",
        "double_opt_in",
    )
    assert (yes.action, yes.keyword, yes.consent, yes.reply) == ("opt_in", "YES", "opted_in", "opt_in")
    profile = consent_row(session, double, HANDSET)
    assert (profile.state, profile.source, profile.pending_until) == ("opted_in", "keyword", None)
    lines = [(line.state, line.source, line.reason, line.inbound_id) for line in history(session)]
    assert lines == [("pending", "keyword", "JOIN", join.id), ("opted_in", "keyword", "YES", yes.id)]
    texts = [message(session, row.reply_id).text for row in (join, yes) if row.reply_id is not None]
    assert texts == [
        "Reply YES to confirm your subscription, STOP to end it.",
        "You are subscribed. Reply STOP to unsubscribe, HELP for help.",
    ]
    assert_tally_is_exact(session, double)


def test_what_is_pending_waits_for_the_time_of_the_setting(session: Session, double: MadeLane) -> None:
    wrote(session, double, "JOIN")
    profile = consent_row(session, double, HANDSET)
    assert profile.pending_until == profile.changed_at + settings().double_opt_in_window


@pytest.mark.parametrize("begun", [None, *ConsentState])
def test_stop_opts_out_from_any_state_and_is_acknowledged(
    session: Session, double: MadeLane, begun: ConsentState | None
) -> None:
    if begun is ConsentState.PENDING:
        wrote(session, double, "JOIN")
    elif begun is not None:
        consented(session, double, HANDSET, begun)
    row = wrote(session, double, "STOP")
    assert (row.consent, row.reply, row.no_reply) == ("opted_out", "opt_out", None)
    profile = consent_row(session, double, HANDSET)
    assert (profile.state, profile.pending_from, profile.pending_until) == ("opted_out", None, None)
    assert profile.opted_out_at == row.received_at


def test_start_opts_in_where_there_is_nothing_to_confirm(session: Session, lane: MadeLane) -> None:
    wrote(session, lane, "STOP")
    row = wrote(session, lane, "START")
    assert (row.consent, row.reply) == ("opted_in", "opt_in")
    assert states_said(session) == ["opted_out", "opted_in"]


def test_start_begins_anew_where_it_is_to_be_confirmed(session: Session, double: MadeLane) -> None:
    wrote(session, double, "STOP")
    start = wrote(session, double, "START")
    assert (start.action, start.consent, start.reply) == ("opt_in", "pending", "double_opt_in")
    assert consent_row(session, double, HANDSET).pending_from == "opted_out"
    assert wrote(session, double, "START").consent == "opted_in"
    assert wrote(session, double, "YES").consent == "opted_in"


@pytest.mark.parametrize("begun", [ConsentState.OPTED_OUT, ConsentState.OPTED_IN, None])
def test_what_was_not_confirmed_in_time_counts_for_nothing(
    session: Session, double: MadeLane, begun: ConsentState | None
) -> None:
    if begun is not None:
        consented(session, double, HANDSET, begun)
    wrote(session, double, "JOIN")
    time_passes(session, settings().double_opt_in_window)
    yes = wrote(session, double, "YES")
    if begun is ConsentState.OPTED_IN:
        assert (yes.consent, yes.reply) == ("opted_in", "opt_in")
        return
    assert (yes.consent, yes.reply) == ("pending", "double_opt_in")
    assert consent_row(session, double, HANDSET).pending_from == (begun or ConsentState.NONE)


@pytest.mark.parametrize(
    ("written", "action", "keyword", "reply", "no_reply"),
    [
        ("help me", "none", None, None, replies.NO_MESSAGE),
        ("Info?", "help", "INFO", "help", None),
        ("balance", "custom:Balance", "Balance", None, None),
        ("a:b", "custom:A:B", "A:B", None, None),
        ("please stop", "near_miss", "STOP", None, replies.NO_MESSAGE),
        ("हेल्प", "none", None, None, replies.NO_MESSAGE),
        ("", "none", None, None, replies.NO_MESSAGE),
        (None, "none", None, None, replies.NO_MESSAGE),
    ],
)
def test_what_is_no_word_on_consent_is_kept_and_leaves_it_alone(
    session: Session,
    lane: MadeLane,
    written: str | None,
    action: str,
    keyword: str | None,
    reply: str | None,
    no_reply: str | None,
) -> None:
    change(session, "UPDATE credential SET custom_keywords = '{Balance,A:B}'")
    row = wrote(session, lane, written)
    assert (row.text, row.action, row.keyword, row.reply, row.no_reply) == (written, action, keyword, reply, no_reply)
    assert (row.consent, count(session, "consent"), count(session, "consent_change")) == (None, 0, 0)


def test_what_was_written_to_another_number_is_only_kept(session: Session, lane: MadeLane) -> None:
    change(session, "UPDATE credential SET inbound_number = :number", number=f"+{OUR_NUMBER}")
    theirs, ours = pushed(session, lane, make_inbound("STOP", recipient="447700900009"), make_inbound("STOP"))
    assert (theirs.action, theirs.keyword, theirs.consent, theirs.reply) == ("other_number", None, None, None)
    assert (ours.action, ours.consent, ours.reply) == ("opt_out", "opted_out", "opt_out")


def test_each_field_is_kept(session: Session, lane: MadeLane) -> None:
    at = database_now(session) - timedelta(seconds=90)
    item = make_inbound(
        'Look "here"\t\\\n— हाँ',
        channel=Channel.MMS,
        media=[{"content_type": "image/png", "url": "https://example.org/1"}],
        received_at=at,
        segment_count=2,
        price=Decimal("0.0021"),
        currency="EUR",
        callback_data="theirs",
    )
    (row,) = pushed(session, lane, item)
    assert (row.credential_id, row.provider_id, row.channel) == (lane.credential_id, item.provider_id, "mms")
    assert (row.sender, row.recipient, row.text, row.media) == (HANDSET, OUR_NUMBER, item.text, item.media)
    assert (row.received_at, row.segment_count, row.currency, row.callback_data) == (at, 2, "EUR", "theirs")
    assert str(row.price) == "0.0021"


def test_what_nobody_can_use_is_kept_beside_the_others(session: Session, lane: MadeLane) -> None:
    bad = BadItem("it does not say who wrote it", {"text": "STOP\x00", "n": float("nan")})
    inbound.take(session, [(lane.credential_id, [bad, make_inbound("STOP"), bad])], settings())
    session.commit()
    assert count(session, "consent") == 1
    kept = session.exec(select(UnmatchedReport)).all()
    assert [(row.reason, row.body) for row in kept] == [
        ("inbound: it does not say who wrote it", {"text": "STOP", "n": None})
    ] * 2


def test_the_lanes_that_have_replies_are_given(session: Session, lane: MadeLane) -> None:
    other = make_lane(session, name="other")
    given = inbound.take(
        session,
        [(lane.credential_id, [make_inbound("STOP")]), (other.credential_id, [make_inbound("hello")])],
        settings(),
    )
    assert given == {lane.id}
    assert inbound.take(session, [], settings()) == set()


class TestTwice:
    """The same ID of the same credential: one row, one line of history, one reply."""

    def assert_once(self, session: Session, lane: MadeLane) -> None:
        tables = ("inbound_message", "consent_change", "message")
        assert [count(session, table) for table in tables] == [1, 1, 1]
        assert_tally_is_exact(session, lane)

    def test_in_one_push(self, session: Session, lane: MadeLane) -> None:
        item = make_inbound("STOP")
        pushed(session, lane, item, make_inbound("START", provider_id=item.provider_id), item)
        assert states_said(session) == ["opted_out"]
        self.assert_once(session, lane)

    def test_in_two_pushes(self, session: Session, lane: MadeLane) -> None:
        item = make_inbound("STOP")
        pushed(session, lane, item)
        time_passes(session, DAY)
        pushed(session, lane, item)
        self.assert_once(session, lane)

    def test_in_two_pushes_at_once(self, session: Session, engine: Engine, lane: MadeLane) -> None:
        item = make_inbound("STOP")
        inbound.take(session, [(lane.credential_id, [item])], settings())
        other = in_thread(lambda: push(engine, (lane.credential_id, [item])))
        wait_until_blocking(session)
        session.commit()
        assert other() == set()
        self.assert_once(session, lane)

    def test_from_two_credentials_it_is_two(self, session: Session, lane: MadeLane) -> None:
        other = make_lane(session, name="other")
        item = make_inbound("STOP")
        pushed(session, lane, item)
        pushed(session, other, item)
        assert count(session, "inbound_message") == count(session, "message") == 2


class TestAtOnce:
    """Transactions that meet."""

    def test_one_person_is_answered_once_a_minute(self, session: Session, engine: Engine, lane: MadeLane) -> None:
        inbound.take(session, [(lane.credential_id, [make_inbound("HELP")])], settings())
        others = [in_thread(lambda: push(engine, (lane.credential_id, [make_inbound("HELP")]))) for _ in range(3)]
        wait_for_waiting(session, 3)
        session.commit()
        assert [other() for other in others] == [set()] * 3
        assert [row.no_reply for row in inbound_rows(session)].count(replies.TOO_SOON) == 3
        assert count(session, "message") == 1

    def test_two_people_are_both_answered(self, session: Session, engine: Engine, lane: MadeLane) -> None:
        inbound.take(session, [(lane.credential_id, [make_inbound("STOP")])], settings())
        other = in_thread(lambda: push(engine, (lane.credential_id, [make_inbound("STOP", sender="919900000002")])))
        wait_until_blocking(session)
        session.commit()
        assert other() == {lane.id}
        assert_tally_is_exact(session, lane)

    def test_a_confirmation_sees_what_is_pending(self, session: Session, engine: Engine, double: MadeLane) -> None:
        inbound.take(session, [(double.credential_id, [make_inbound("JOIN")])], settings())
        other = in_thread(lambda: push(engine, (double.credential_id, [make_inbound("YES")])))
        wait_until_blocking(session)
        session.commit()
        other()
        assert states_said(session) == ["pending", "opted_in"]

    def test_two_credentials_in_opposite_order_wait_in_one_order(
        self, session: Session, engine: Engine, lane: MadeLane
    ) -> None:
        first, second = sorted([lane.credential_id, make_lane(session, name="other").credential_id])
        inbound.take(session, [(first, [])], settings())  # its turn is taken
        others = [
            in_thread(lambda order=order: push(engine, *((one, [make_inbound("STOP")]) for one in order)))  # type: ignore[misc]
            for order in ((first, second), (second, first))
        ]
        wait_for_waiting(session, 2)
        session.commit()
        assert sum(len(other()) for other in others) == 2
        assert count(session, "inbound_message") == 4
        assert count(session, "consent") == count(session, "message") == 2

    def test_a_pull_and_a_push_in_opposite_order_both_end(
        self, session: Session, engine: Engine, lane: MadeLane
    ) -> None:
        items = [make_inbound("STOP", sender=f"9199{n:08}") for n in range(200)]
        for _ in range(5):
            change(session, "TRUNCATE inbound_message, message, tally, consent")
            start = threading.Barrier(2)

            def pull() -> None:
                with Session(engine) as other:
                    start.wait(10)  # noqa: B023 - joined below
                    inbound.store(other, [(lane.credential_id, items)])
                    other.commit()

            pulling = in_thread(pull)
            start.wait(10)
            push(engine, (lane.credential_id, items[::-1]))
            pulling()
            while inbound.settle_stored(engine, settings()):
                pass
            assert count(session, "inbound_message") == count(session, "message") == 200
            assert_tally_is_exact(session, lane)


class TestOutOfOrder:
    """By Infobip's clock."""

    @pytest.mark.parametrize("word", ["START", "JOIN"])
    def test_an_opt_in_older_than_the_opt_out_changes_nothing(
        self, session: Session, double: MadeLane, word: str
    ) -> None:
        now = database_now(session)
        wrote(session, double, "STOP", received_at=now - timedelta(minutes=1))
        row = wrote(session, double, word, received_at=now - timedelta(minutes=2))
        assert (row.consent, row.reply, row.no_reply) == (None, None, OLDER)
        assert consent_row(session, double, HANDSET).state == "opted_out"
        assert states_said(session) == ["opted_out"]

    def test_an_opt_out_counts_however_late_it_comes(self, session: Session, lane: MadeLane) -> None:
        now = database_now(session)
        wrote(session, lane, "START", received_at=now)
        row = wrote(session, lane, "STOP", received_at=now - timedelta(hours=2))
        assert (row.consent, row.reply) == ("opted_out", "opt_out")
        assert consent_row(session, lane, HANDSET).state == "opted_out"

    def test_the_newest_opt_out_is_the_one_that_counts(self, session: Session, lane: MadeLane) -> None:
        now = database_now(session)
        for minutes in (1, 5):
            wrote(session, lane, "STOP", received_at=now - timedelta(minutes=minutes))
        assert wrote(session, lane, "START", received_at=now - timedelta(minutes=3)).consent is None
        assert wrote(session, lane, "START", received_at=now).consent == "opted_in"

    def test_a_time_in_the_future_is_now(self, session: Session, lane: MadeLane) -> None:
        begun = database_now(session)
        row = wrote(session, lane, "STOP", received_at=begun + DAY)
        assert begun <= row.received_at <= database_now(session)
        assert wrote(session, lane, "START").consent == "opted_in"

    def test_without_a_time_it_is_now(self, session: Session, lane: MadeLane) -> None:
        begun = database_now(session)
        assert begun <= wrote(session, lane, "STOP").received_at <= database_now(session)

    def test_one_push_is_settled_in_the_order_in_which_it_was_written(self, session: Session, double: MadeLane) -> None:
        now = database_now(session)
        words = {"STOP": 1, "YES": 2, "JOIN": 3, "START": 4}  # minutes ago
        rows = pushed(
            session,
            double,
            *(make_inbound(word, received_at=now - timedelta(minutes=ago)) for word, ago in words.items()),
        )
        assert [row.consent for row in rows] == ["opted_out", "opted_in", "pending", "pending"]
        assert states_said(session) == ["pending", "pending", "opted_in", "opted_out"]
        assert consent_row(session, double, HANDSET).state == "opted_out"

    @pytest.mark.parametrize("is_timed", [True, False])
    def test_what_was_written_at_once_is_settled_in_the_order_of_the_push(
        self, session: Session, lane: MadeLane, is_timed: bool
    ) -> None:
        at = database_now(session) if is_timed else None
        words = ["START", "STOP", "START", "STOP", "START", "STOP", "START"]
        # IDs that sort in another order than they are pushed in.
        items = [make_inbound(word, received_at=at, provider_id=f"{9 - n}") for n, word in enumerate(words)]
        rows = pushed(session, lane, *items)
        assert [row.consent for row in rows] == ["opted_in", "opted_out", "opted_in", "opted_out"] + [
            "opted_in",
            "opted_out",
            "opted_in",
        ]
        assert consent_row(session, lane, HANDSET).state == "opted_in"


@pytest.mark.parametrize("sender", ["2101234", "5616161"])
def test_a_word_counts_from_whatever_could_be_sent_to_though_nobody_answers_it(
    session: Session, lane: MadeLane, sender: str
) -> None:
    hello, stop = pushed(session, lane, make_inbound("hello", sender=sender), make_inbound("STOP", sender=sender))
    assert (hello.action, stop.action, stop.reply_id, stop.no_reply) == ("none", "opt_out", None, "not_a_number")
    assert consent_row(session, lane, sender).state == "opted_out"


class TestStoredBefore:
    """What was pulled is stored, and settled afterwards by whoever finds it."""

    def test_a_crash_between_leaves_nothing_unsettled(self, session: Session, engine: Engine, lane: MadeLane) -> None:
        stored(session, lane, make_inbound("STOP"), make_inbound("HELP"))
        with engine.connect() as connection:
            assert inbound.is_due(connection)
        assert [row.action for row in inbound_rows(session)] == [None, None]
        assert inbound.settle_stored(engine, settings()) == 2
        assert [(row.action, row.reply) for row in inbound_rows(session)] == [("opt_out",) * 2, ("help",) * 2]
        assert inbound.settle_stored(engine, settings()) == 0
        with engine.connect() as connection:
            assert not inbound.is_due(connection)
        assert_tally_is_exact(session, lane)

    def test_a_push_of_the_same_settles_it(self, session: Session, engine: Engine, lane: MadeLane) -> None:
        item = make_inbound("STOP")
        stored(session, lane, item)
        stored(session, lane, item)
        assert push(engine, (lane.credential_id, [item])) != set()
        assert [row.action for row in inbound_rows(session)] == ["opt_out"]
        assert push(engine, (lane.credential_id, [item])) == set()
        assert inbound.settle_stored(engine, settings()) == 0
        assert [count(session, table) for table in ("consent_change", "message")] == [1, 1]

    def test_a_group_is_of_one_credential_and_bounded(
        self, session: Session, engine: Engine, lane: MadeLane, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inbound, "GROUP", 3)
        other = make_lane(session, name="other")
        stored(session, lane, *(make_inbound("hello", sender=f"91990000000{n}") for n in range(4)))
        stored(session, other, make_inbound("STOP"))
        assert [inbound.settle_stored(engine, settings()) for _ in range(4)] == [3, 1, 1, 0]

    def test_one_that_cannot_be_settled_is_set_aside_and_the_others_go_on(
        self, session: Session, engine: Engine, lane: MadeLane, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        texts = ["STOP", "poison", "HELP"]
        stored(session, lane, *(make_inbound(text, sender=f"91990000000{n}") for n, text in enumerate(texts)))
        read = inbound.read

        def stumbling(text: str, keywords: Keywords) -> Reading:
            return Reading(Action(1 / 0)) if text == "poison" else read(text, keywords)

        monkeypatch.setattr(inbound, "read", stumbling)
        assert [inbound.settle_stored(engine, settings()) for _ in range(4)] == [1, 1, 1, 0]
        rows = inbound_rows(session)
        assert [(row.action, row.no_reply) for row in rows] == [("opt_out", None), ("none", "failed"), ("help", None)]
        assert consent_row(session, lane, rows[0].sender).state == "opted_out"

    def test_one_that_cannot_be_answered_counts_all_the_same(
        self, session: Session, engine: Engine, lane: MadeLane, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stored(session, lane, make_inbound("STOP"))
        monkeypatch.setattr(Changes, "write", lambda *_: 1 / 0)
        assert [inbound.settle_stored(engine, settings()) for _ in range(2)] == [1, 0]
        (row,) = inbound_rows(session)
        assert (row.action, row.consent, row.reply_id, row.no_reply) == ("opt_out", "opted_out", None, "failed")
        assert consent_row(session, lane, HANDSET).state == "opted_out"

    def test_a_database_in_trouble_leaves_all_of_it_as_it_was(
        self, session: Session, engine: Engine, lane: MadeLane
    ) -> None:
        stored(session, lane, make_inbound("STOP"))
        impatient = make_engine(engine.url.render_as_string(hide_password=False), lock_seconds=1)
        session.execute(text("LOCK TABLE consent IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(OperationalError):
            inbound.settle_stored(impatient, settings())
        session.rollback()
        impatient.dispose()
        assert [row.action for row in inbound_rows(session)] == [None]
        assert [count(session, table) for table in ("consent", "consent_change", "message")] == [0, 0, 0]
        assert inbound.settle_stored(engine, settings()) == 1

    def test_two_sweeps_at_once_settle_it_once(self, session: Session, engine: Engine, lane: MadeLane) -> None:
        stored(session, lane, make_inbound("STOP"), make_inbound("STOP", sender="919900000002"))
        inbound.take(session, [(lane.credential_id, [])], settings())  # both are to meet before the turn
        sweeps = [in_thread(lambda: inbound.settle_stored(engine, settings())) for _ in range(2)]
        wait_for_waiting(session, 2)
        session.commit()
        assert sorted(sweep() for sweep in sweeps) == [1, 2]
        assert [count(session, table) for table in ("consent_change", "message")] == [2, 2]
        assert_tally_is_exact(session, lane)

    def test_a_sweep_and_a_push_at_once_both_count(self, session: Session, engine: Engine, double: MadeLane) -> None:
        stored(session, double, make_inbound("JOIN"))
        inbound.take(session, [(double.credential_id, [make_inbound("HELP")])], settings())
        sweep = in_thread(lambda: inbound.settle_stored(engine, settings()))
        wait_for_waiting(session, 1)
        yes = in_thread(lambda: push(engine, (double.credential_id, [make_inbound("YES")])))
        wait_for_waiting(session, 2)
        session.commit()
        assert sweep() == 1
        yes()
        assert states_said(session) == ["pending", "opted_in"]
        assert [row.action for row in inbound_rows(session)] == ["double_opt_in", "help", "opt_in"]
        assert_tally_is_exact(session, double)

    def test_what_was_pulled_late_does_not_undo_a_newer_opt_out(
        self, session: Session, engine: Engine, lane: MadeLane
    ) -> None:
        stored(session, lane, make_inbound("START"))
        wrote(session, lane, "STOP")
        assert inbound.settle_stored(engine, settings()) == 1
        assert consent_row(session, lane, HANDSET).state == "opted_out"


def test_as_many_statements_settle_ten_thousand_messages_as_one(
    session: Session, engine: Engine, double: MadeLane
) -> None:
    change(session, "UPDATE credential SET default_reply_message = 'Sorry?', fuzzy_opt_out_message = 'Write'")
    texts = ["STOP", "JOIN", "YES", "please stop", "hello there", "HELP", None]
    few = [make_inbound(text, sender="919800000001") for text in texts]
    many = [make_inbound(texts[n % 7], sender=f"9199{n // 7:08}") for n in range(10_000)]
    assert statements_of(session, engine, double, many) == statements_of(session, engine, double, few)
    assert count(session, "inbound_message") == 10_007
    assert not session.exec(select(InboundMessage).where(InboundMessage.action == None)).all()  # noqa: E711
    assert_tally_is_exact(session, double)


def test_the_tally_is_written_last(session: Session, engine: Engine, lane: MadeLane) -> None:
    asked = statements_of(session, engine, lane, [make_inbound("STOP")])
    assert "INSERT INTO tally" in asked[-1]
    assert not any("tally" in statement for statement in asked[:-1])


def test_texts_and_numbers_stay_out_of_the_logs(
    session: Session, lane: MadeLane, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(0):
        wrote(session, lane, "please stop this madness")
        wrote(session, lane, "STOP")
    out, err = capfd.readouterr()
    for secret in ("madness", HANDSET, OUR_NUMBER):
        assert secret not in out + err + caplog.text


def test_nothing_is_kept_without_a_commit(session: Session, lane: MadeLane) -> None:
    inbound.take(session, [(lane.credential_id, [make_inbound("STOP")])], settings())
    session.rollback()
    assert [count(session, table) for table in ("inbound_message", "message", "consent")] == [0, 0, 0]
    assert wrote(session, lane, "STOP").reply == "opt_out"
