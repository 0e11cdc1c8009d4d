"""Replays: what goes again and what is left out, each message once, and never one that arrived after all."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from tests.factories import ENTITY, TEMPLATE, MadeLane, make_batch, make_lane, make_window
from tests.worker.steps import (
    answer,
    apply,
    assert_tally_is_exact,
    at_once,
    batch_of,
    change,
    consented,
    message,
    next_opening,
    report,
    retries_due,
    state,
    states,
    steered,
    swept,
    take,
    took,
    turn_of,
)
from worker import batch_sweeps, pace, steering
from worker.costs import estimate
from worker.db import database_now, make_engine
from worker.ids import new_id
from worker.models import Batch, Message, Replayed
from worker.orders import Values
from worker.refusals import Conflict, NotFound, Refusal
from worker.replay import Replay, links, preview, replay
from worker.replay_choice import ReplayOrder
from worker.segments import count
from worker.states import FINAL, LIVE, State
from worker.tally import Changes
from worker.words import ConsentState, MessageType

OTHER_TEMPLATE = "1207160000000000099"
FAILED = {"status": 9, "group": 2, "error": 1}
AWAY = {"status": 9, "group": 2, "error": 27}
NUMBERS = [f"9199000000{n:02}" for n in range(40)]


@pytest.fixture
def marketing(session: Session) -> MadeLane:
    return make_lane(session, message_type=MessageType.MARKETING)


@pytest.fixture
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_sweeps, "CHUNK", 3)


def made(session: Session, lane: MadeLane, *ends: dict[str, Any]) -> list[UUID]:
    """A batch of so many messages, each with these columns. The counts are not those of steps."""
    ids = make_batch(session, lane, NUMBERS[: len(ends)])
    for message_id, columns in zip(ids, ends, strict=True):
        columns = {"state": "failed", "reason": "EC_UNKNOWN_SUBSCRIBER", "finished_at": now(session), **columns}
        columns |= {"held": False, "next_attempt_at": None}
        names = ", ".join(f"{name} = :{name}" for name in columns)
        change(session, f"UPDATE message SET {names} WHERE id = :id", id=message_id, **columns)
    return ids


def count_anew(session: Session, batch_id: UUID) -> None:
    """The tally of a batch is what its rows say."""
    session.execute(text("DELETE FROM tally WHERE subject_id = :batch"), {"batch": batch_id})
    changes = Changes()
    for row in session.exec(select(Message).where(Message.batch_id == batch_id)):
        changes.entered([batch_id], row.state, row.reason)
    changes.write(session)
    session.commit()


def failed(session: Session, lane: MadeLane, size: int = 1) -> list[UUID]:
    """A batch whose messages Infobip has reported as failed."""
    ids = make_batch(session, lane, NUMBERS[:size])
    fail(session, lane, ids)
    return ids


def fail(session: Session, lane: MadeLane, ids: list[UUID]) -> None:
    """What is due leaves, and comes to nothing."""
    answer(session, took(session, lane))
    apply(session, lane, *(report(message_id, **FAILED) for message_id in ids))
    assert set(states(session, ids)) == {"failed"}


def ordered(session: Session, ids: list[UUID], **order: Any) -> ReplayOrder:
    batch_id = batch_of(session, ids[0]).id
    session.commit()
    return ReplayOrder(batch_id=batch_id, **order)


def replayed(session: Session, ids: list[UUID], **order: Any) -> Replay:
    """The batch of these messages is replayed."""
    done = replay(session, ordered(session, ids, **order))
    session.commit()
    return done


def again(session: Session, ids: list[UUID], **order: Any) -> list[UUID]:
    """The same, and its messages."""
    return messages_of(session, replayed(session, ids, **order))


def messages_of(session: Session, done: Replay) -> list[UUID]:
    ids = list(session.exec(select(Message.id).where(Message.batch_id == done.id).order_by(Message.id)))  # type: ignore[arg-type]
    assert len(ids) == done.accepted
    return ids


def now(session: Session) -> datetime:
    at = database_now(session)
    session.commit()
    return at


CHOICES = {
    "failed and expired, unless states are given": ({}, [0, 1, 2]),
    "states": ({"states": [State.CANCELLED, State.SUPPRESSED]}, [3, 4]),
    "unconfirmed besides": ({"includes_unconfirmed": True}, [0, 1, 2, 5]),
    "unconfirmed alone": ({"states": [State.UNCONFIRMED], "includes_unconfirmed": True}, [5]),
    "by reason": ({"error_names": ["EC_ABSENT_SUBSCRIBER", "nothing_like_it"]}, [1]),
    "by reason, unconfirmed besides": ({"error_names": ["no_final_report"], "includes_unconfirmed": True}, [5]),
    "by nothing that is": ({"error_names": ["nothing_like_it"]}, []),
}


@pytest.mark.parametrize(("order", "chosen"), CHOICES.values(), ids=CHOICES)
def test_what_is_chosen_goes_again(session: Session, lane: MadeLane, order: dict[str, Any], chosen: list[int]) -> None:
    ids = made(
        session,
        lane,
        {},
        {"reason": "EC_ABSENT_SUBSCRIBER"},
        {"state": "expired", "reason": "validity_over"},
        {"state": "cancelled", "reason": "batch_cancelled"},
        {"state": "suppressed", "reason": "opted_out"},
        {"state": "unconfirmed", "reason": "no_final_report"},
        {"state": "delivered", "reason": None},
        *({"state": state, "reason": None, "finished_at": None} for state in LIVE),
    )
    found = preview(session, ordered(session, ids, **order))
    sources = [links(session, message_id).replay_of_message for message_id in again(session, ids, **order)]
    assert sources == [ids[place] for place in chosen]
    assert found.would_replay == len(chosen)


@pytest.mark.parametrize(
    ("since", "until", "chosen"), [(None, None, [0, 1, 2]), (1, None, [1, 2]), (None, 2, [0, 1]), (1, 2, [1])]
)
def test_times_bound_when_they_ended_and_the_end_is_not_included(
    session: Session, lane: MadeLane, since: int | None, until: int | None, chosen: list[int]
) -> None:
    hours = [now(session) + timedelta(hours=hour) for hour in range(3)]
    ids = made(session, lane, *({"finished_at": hour} for hour in hours))
    bounds = {
        "since": None if since is None else hours[since],
        "until": None if until is None else hours[until],
    }
    sources = [links(session, message_id).replay_of_message for message_id in again(session, ids, **bounds)]
    assert sources == [ids[place] for place in chosen]


def test_what_is_left_out_is_counted_by_its_reason(session: Session, marketing: MadeLane) -> None:
    for number, consent, standing in (
        (1, ConsentState.OPTED_OUT, {}),
        (2, ConsentState.NONE, {}),
        (3, ConsentState.OPTED_OUT, {"is_blocked": True}),
    ):
        consented(session, marketing, NUMBERS[number], consent, **standing)
    for number in (0, *range(4, 8)):
        consented(session, marketing, NUMBERS[number], ConsentState.OPTED_IN)
    change(session, "UPDATE surface SET require_opt_in = true")
    late = {"state": "delivered", "reason": "delivered_late"}
    unconfirmed = {"state": "unconfirmed", "reason": "no_final_report"}
    ids = made(session, marketing, {}, {}, {}, {}, late, unconfirmed, {}, {})
    session.add(Replayed(source_message_id=ids[6], message_id=UUID(int=1), root_id=ids[6]))
    session.commit()
    order = ordered(session, ids)
    left_out = {
        "opted_out": 1,
        "not_opted_in": 1,
        "number_blocked": 1,
        "delivered_late": 1,
        "unconfirmed": 1,
        "already_replayed": 1,
    }
    assert preview(session, order).left_out == left_out
    done = replayed(session, ids)
    assert done.left_out == left_out
    assert done.accepted == 2


def test_consent_that_was_given_since_lets_a_suppressed_message_go(session: Session, marketing: MadeLane) -> None:
    consented(session, marketing, NUMBERS[0], ConsentState.OPTED_OUT)
    ids = make_batch(session, marketing, NUMBERS[:1])
    assert take(session, marketing) is None
    assert replayed(session, ids, states=[State.SUPPRESSED]).left_out == {"opted_out": 1}
    consented(session, marketing, NUMBERS[0], ConsentState.OPTED_IN)
    assert len(again(session, ids, states=[State.SUPPRESSED])) == 1


def test_unconfirmed_messages_are_named_only_together_with_their_permission(session: Session, lane: MadeLane) -> None:
    ids = made(session, lane, {"state": "unconfirmed"})
    for work in (preview, replay):
        with pytest.raises(Refusal, match="include_unconfirmed"):
            work(session, ordered(session, ids, states=[State.UNCONFIRMED]))


def test_times_that_enclose_nothing_are_refused(session: Session, lane: MadeLane) -> None:
    at = now(session)
    with pytest.raises(Refusal, match="until"):
        replay(session, ordered(session, failed(session, lane), since=at, until=at))


def test_what_is_no_batch_is_not_found(session: Session) -> None:
    with pytest.raises(NotFound):
        replay(session, ReplayOrder(batch_id=UUID(int=7)))


def test_the_replay_has_what_its_source_had_and_a_validity_of_its_own(session: Session, lane: MadeLane) -> None:
    ids = failed(session, lane, 2)
    change(session, "UPDATE batch SET journey = '{\"id\": \"welcome\"}', journey_id = 'welcome'")
    own = {"text": "Yours is on its way", "callback_data": "order-1", "content_template_id": OTHER_TEMPLATE}
    names = ", ".join(f"{name} = :{name}" for name in own)
    change(session, f"UPDATE message SET {names} WHERE id = :id", id=ids[1], **own)
    before = now(session)
    new = again(session, ids, validity=timedelta(hours=3))
    source, batch = batch_of(session, ids[0]), batch_of(session, new[0])
    for name in ("surface_id", "lane_id", "sender", "text", "callback_data", "journey", "journey_id"):
        assert getattr(batch, name) == getattr(source, name)
    assert (batch.principal_entity_id, batch.content_template_id) == (ENTITY, TEMPLATE)
    assert (batch.replay_of, batch.total, batch.validity_seconds) == (source.id, 2, 3 * 3600)
    for place, message_id in enumerate(new):
        row = message(session, message_id)
        assert (row.state, row.origin, row.recipient, row.attempt_count) == ("queued", "replay", NUMBERS[place], 0)
        assert row.expires_at == batch.expires_at >= before + timedelta(hours=3)
        assert {name: getattr(row, name) for name in own} == (own if place else dict.fromkeys(own))
        assert links(session, message_id) == (ids[place], None)
        assert links(session, ids[place]) == (None, message_id)
    assert_tally_is_exact(session, lane)
    assert len(took(session, lane).messages) == 2


COUNTED = {"encoding": "UCS-2", "segment_count": 2, "characters_left": 7, "forcing": "ş"}


def test_the_replay_has_the_content_of_its_source_and_the_way_it_is_written(session: Session, lane: MadeLane) -> None:
    ids = failed(session, lane, 2)
    written = {"transliteration": "TURKISH", "language": {"code": "TR"}, "mms": {"title": "Kite"}, **COUNTED}
    own = {"warning": "text: differs", "mms": {"title": "Own"}, **COUNTED}
    change(session, "UPDATE surface SET transliteration = 'GREEK', language = NULL")
    for row, columns in ((batch_of(session, ids[0]), written), (message(session, ids[1]), own)):
        for name, value in columns.items():
            setattr(row, name, value)
    session.commit()
    first, second = (message(session, message_id).model_dump() for message_id in again(session, ids))
    batch = session.get_one(Batch, first["batch_id"]).model_dump()
    assert written.items() <= batch.items()
    assert own.items() <= second.items()
    assert {first[name] for name in own} == {None}


@pytest.mark.parametrize(
    ("had", "surface_has", "has"), [("off", "hours", "off"), ("hours", "off", "hours"), (None, "hours", "hours")]
)
def test_the_surface_as_it_is_now_gives_a_window_only_to_a_source_that_had_none(
    session: Session, lane: MadeLane, had: str | None, surface_has: str, has: str
) -> None:
    """And first turns lie in it."""
    at = now(session)
    hours = make_window(at, timedelta(hours=2), timedelta(hours=4))
    given = {"off": json.dumps("off"), "hours": json.dumps(hours), None: None}
    ids = failed(session, lane, 2)
    for table, window in {"batch": had, "surface": surface_has}.items():
        change(session, f"UPDATE {table} SET sending_window = CAST(:window AS jsonb)", window=given[window])
    new = again(session, ids, validity=timedelta(hours=6))
    assert batch_of(session, new[0]).sending_window == ("off" if has == "off" else hours)
    turns = {turn_of(session, message_id) for message_id in new}
    opens = next_opening(session, hours, at)
    created = batch_of(session, new[0]).created_at
    assert turns == ({(created, None)} if has == "off" else {(opens, opens + timedelta(hours=2))})


def test_a_replay_at_a_pace_counts_open_time(session: Session, lane: MadeLane) -> None:
    at = now(session)
    hours = make_window(at, timedelta(hours=2), timedelta(hours=4))
    ids = failed(session, lane, 3)
    change(
        session,
        "UPDATE batch SET messages_per_second = 1, sending_window = CAST(:window AS jsonb)",
        window=json.dumps(hours),
    )
    new = again(session, ids, validity=timedelta(hours=6))
    opens = next_opening(session, hours, at)
    turns = [message(session, message_id).next_attempt_at for message_id in new]
    assert turns == [opens + timedelta(seconds=place) for place in range(3)]


def test_dlt_ids_that_are_given_replace_all_former_ones(session: Session, lane: MadeLane) -> None:
    ids = failed(session, lane)
    change(session, "UPDATE message SET content_template_id = '1207160000000000002', principal_entity_id = '1201'")
    (_new,) = again(session, ids, values=Values(content_template_id=OTHER_TEMPLATE))
    leaving = took(session, lane).messages[0].content
    assert (leaving.content_template_id, leaving.principal_entity_id) == (OTHER_TEMPLATE, "1201")
    fail(session, lane, []) if take(session, lane) else None


def test_a_source_without_dlt_ids_takes_those_that_its_surface_has_now(session: Session, lane: MadeLane) -> None:
    ids = failed(session, lane)
    change(session, "UPDATE batch SET principal_entity_id = NULL, content_template_id = NULL")
    with pytest.raises(Refusal, match="principal_entity_id"):
        replay(session, ordered(session, ids, values=Values(content_template_id=OTHER_TEMPLATE)))
    session.rollback()
    change(session, "UPDATE surface SET principal_entity_id = :entity", entity=ENTITY)
    batch = batch_of(session, again(session, ids, values=Values(content_template_id=OTHER_TEMPLATE))[0])
    assert (batch.principal_entity_id, batch.content_template_id) == (ENTITY, OTHER_TEMPLATE)


@pytest.mark.parametrize("validity", [timedelta(seconds=9), timedelta(hours=49)])
def test_a_validity_that_no_message_may_have_is_refused(session: Session, lane: MadeLane, validity: timedelta) -> None:
    with pytest.raises(Refusal, match="validity_period"):
        replay(session, ordered(session, failed(session, lane), validity=validity))


def test_it_goes_the_way_that_its_surface_leads_now(session: Session, lane: MadeLane) -> None:
    ids = failed(session, lane, 2)
    other = make_lane(session, name="other account", message_type=MessageType.MARKETING)
    change(
        session,
        "UPDATE surface SET credential_id = :credential, message_type = 'marketing', sender = 'OTHER', "
        "validity_seconds = 600 WHERE id = :id",
        credential=other.credential_id,
        id=lane.surface_id,
    )
    consented(session, lane, NUMBERS[0], ConsentState.OPTED_OUT)
    consented(session, other, NUMBERS[1], ConsentState.OPTED_OUT)
    (new,) = again(session, ids)
    batch = batch_of(session, new)
    assert (batch.lane_id, batch.surface_id, batch.sender) == (other.id, lane.surface_id, "OTHER")
    assert batch.validity_seconds == 600
    assert [sent.recipient for sent in took(session, other).messages] == [NUMBERS[0]]


@pytest.mark.parametrize("table", ["surface", "credential"])
def test_where_the_surface_or_its_credential_is_gone_the_conflict_says_what_to_do(
    session: Session, lane: MadeLane, table: str
) -> None:
    ids = failed(session, lane)
    change(session, f"UPDATE {table} SET deleted_at = now()")
    for work in (preview, replay):
        with pytest.raises(Conflict, match="in a new batch, through another surface"):
            work(session, ordered(session, ids))
        session.rollback()


def test_what_is_replayed_again_finds_nothing_and_names_the_newest_replay(session: Session, lane: MadeLane) -> None:
    ids = made(session, lane, {}, {"state": "expired"})
    first = replayed(session, ids, states=[State.FAILED])
    second = replayed(session, ids)
    assert (first.accepted, second.accepted) == (1, 1)
    third = replayed(session, ids)
    assert (third.id, third.accepted, third.left_out) == (second.id, 0, {"already_replayed": 2})
    assert len(session.exec(select(Batch)).all()) == 3


def test_where_nothing_is_left_no_batch_is_made(session: Session, lane: MadeLane) -> None:
    ids = made(session, lane, {"state": "delivered", "reason": None})
    done = replayed(session, ids)
    assert (done.id, done.accepted, done.left_out) == (None, 0, {})
    assert len(session.exec(select(Batch)).all()) == 1


def test_replays_of_one_batch_at_once_take_each_message_once(
    engine: Engine, session: Session, lane: MadeLane, few_at_a_time: None
) -> None:
    ids = failed(session, lane, 20)
    order = ordered(session, ids)
    done: list[Replay] = []

    def work() -> None:
        with Session(engine) as own:
            done.append(replay(own, order))
            own.commit()

    at_once(*[work] * 4)
    assert sorted(one.accepted for one in done) == [0, 0, 0, 20]
    assert len({one.id for one in done}) == 1
    assert_tally_is_exact(session, lane)


def test_who_waits_too_long_for_another_replay_is_told_to_come_back(
    engine: Engine, session: Session, lane: MadeLane
) -> None:
    order = ordered(session, failed(session, lane))
    replay(session, order)
    impatient = make_engine(engine.url.render_as_string(hide_password=False), lock_seconds=1)
    with Session(impatient) as own, pytest.raises(Conflict) as refused:
        replay(own, order)
    impatient.dispose()
    assert refused.value.retry_after_seconds is not None


def test_one_that_was_replayed_meanwhile_is_left_out(
    session: Session, lane: MadeLane, few_at_a_time: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row comes between the choice and the write: nobody but the key of the table says who was first."""
    import worker.replay

    ids = failed(session, lane, 5)
    write = worker.replay._write

    def overtaken(own: Session, way: Any, going: Any, before: int) -> int:
        if not before:
            own.add(Replayed(source_message_id=going[1].id, message_id=UUID(int=1), root_id=going[1].id))
            own.flush()
        return write(own, way, going, before)

    monkeypatch.setattr(worker.replay, "_write", overtaken)
    done = replayed(session, ids)
    assert (done.accepted, done.left_out) == (4, {"already_replayed": 1})
    assert [message(session, new).recipient for new in messages_of(session, done)] == [
        number for number in NUMBERS[:5] if number != NUMBERS[1]
    ]
    assert batch_of(session, messages_of(session, done)[0]).total == 4
    assert_tally_is_exact(session, lane)


@pytest.mark.parametrize("size", [1, 3, 4, 7])
def test_all_chunks_are_walked_in_the_order_of_the_source(
    session: Session, lane: MadeLane, few_at_a_time: None, size: int
) -> None:
    ids = failed(session, lane, size)
    new = again(session, ids)
    assert [links(session, message_id).replay_of_message for message_id in new] == ids
    batch = batch_of(session, new[0])
    assert batch.id < new[0] <= new[-1] < batch.messages_through
    assert_tally_is_exact(session, lane)


def test_at_a_pace_they_leave_one_after_the_other_across_chunks(
    session: Session, lane: MadeLane, few_at_a_time: None
) -> None:
    ids = failed(session, lane, 8)
    change(session, "UPDATE batch SET messages_per_second = 2")
    new = again(session, ids)
    turns = [message(session, message_id).next_attempt_at for message_id in new]
    assert all(turn is not None for turn in turns)
    assert [(turn - turns[0]).total_seconds() for turn in turns] == [place / 2 for place in range(8)]  # type: ignore[operator]
    assert batch_of(session, new[0]).messages_per_second == 2


@pytest.mark.parametrize("per_second", [None, 2])
@pytest.mark.parametrize(
    ("order", "seconds"),
    [
        ({}, 5),
        ({"error_names": ["EC_UNKNOWN_SUBSCRIBER"]}, 3),
        ({"states": [State.EXPIRED]}, 2),
        ({"states": [State.FAILED], "includes_unconfirmed": True}, 4),
    ],
)
def test_what_takes_long_to_write_has_its_turns_and_its_validity_from_when_it_is_written(
    session: Session,
    lane: MadeLane,
    monkeypatch: pytest.MonkeyPatch,
    per_second: int | None,
    order: dict[str, Any],
    seconds: int,
) -> None:
    """A second for each that is chosen, though one of them is left out in the end: nobody knows that before."""
    monkeypatch.setattr(pace, "WRITTEN_A_SECOND", 1)
    expired = {"state": State.EXPIRED, "reason": "validity_over"}
    unconfirmed = {"state": State.UNCONFIRMED, "reason": "no_final_report"}
    ids = made(session, lane, {}, {}, {}, expired, expired, unconfirmed)
    batch_id = batch_of(session, ids[0]).id
    count_anew(session, batch_id)
    for source in ids[2:4]:
        session.add(Replayed(source_message_id=source, message_id=new_id(), root_id=source))
    change(session, "UPDATE batch SET messages_per_second = :pace", pace=per_second)
    (new, *_) = again(session, ids, validity=timedelta(hours=1), **order)
    batch, first = batch_of(session, new), message(session, new)
    written = batch.created_at + timedelta(seconds=seconds)
    assert first.expires_at == batch.expires_at == written + timedelta(hours=1)
    assert first.next_attempt_at == (written if per_second else batch.created_at)


def test_a_pace_that_the_validity_does_not_allow_is_refused(
    session: Session, lane: MadeLane, few_at_a_time: None
) -> None:
    ids = failed(session, lane, 8)
    change(session, "UPDATE batch SET messages_per_second = 1")
    for work in (preview, replay):
        with pytest.raises(Refusal, match="6 have their turns within PT10S"):  # 5 s of it are the last margin
            work(session, ordered(session, ids, validity=timedelta(seconds=10)))
        session.rollback()
    assert len(again(session, ids, validity=timedelta(seconds=30))) == 8


def test_a_pace_that_the_window_does_not_allow_is_refused(session: Session, lane: MadeLane) -> None:
    ids = failed(session, lane, 3)
    window = make_window(database_now(session), timedelta(hours=2), timedelta(hours=3))
    change(
        session,
        "UPDATE batch SET messages_per_second = 1, sending_window = CAST(:window AS jsonb)",
        window=json.dumps(window),
    )
    for work in (preview, replay):
        with pytest.raises(Refusal, match="0 have their turns within PT1H"):
            work(session, ordered(session, ids, validity=timedelta(hours=1)))
        session.rollback()
    assert len(again(session, ids, validity=timedelta(hours=6))) == 3


def test_preview_writes_nothing_locks_nothing_and_holds_no_feed_back(
    engine: Engine, session: Session, lane: MadeLane
) -> None:
    ids = failed(session, lane, 2)
    found = preview(session, ordered(session, ids))
    assert found.groups == {(State.FAILED, "EC_UNKNOWN_SUBSCRIBER"): 2}
    assert session.execute(text("SELECT pg_current_xact_id_if_assigned()")).scalar_one() is None
    with engine.begin() as other:  # Nobody waits for it.
        other.execute(text("SELECT FROM surface FOR UPDATE NOWAIT"))
    session.commit()
    assert len(session.exec(select(Batch)).all()) == 1
    assert session.exec(select(Replayed)).all() == []


def test_segments_are_those_of_the_texts_that_would_go(session: Session, lane: MadeLane, few_at_a_time: None) -> None:
    """As they were counted when they were accepted; where nobody did, as of an MMS, it is one."""
    own = [{"segment_count": 2}, {"segment_count": 1}, {}, {}, {}, {"segment_count": 3, "state": "delivered"}]
    ids = made(session, lane, *own)
    assert preview(session, ordered(session, ids)).segments == 2 + 1 + 3
    change(session, "UPDATE batch SET segment_count = 4")
    assert preview(session, ordered(session, ids)).segments == 2 + 1 + 3 * 4


HINDI = "नमस्ते " * 40


def test_what_was_accepted_before_parts_were_counted_is_counted_now_and_its_replay_says_so(
    session: Session, lane: MadeLane
) -> None:
    ids = made(session, lane, {}, {"text": "hi"}, {"text": HINDI, "segment_count": 9}, {"text": HINDI})
    change(session, "UPDATE batch SET text = :text", text=HINDI)
    parts = count(HINDI).parts
    assert parts > 1
    assert preview(session, ordered(session, ids)).segments == parts + 1 + 9 + parts
    messages = [session.get_one(Message, message_id) for message_id in again(session, ids)]
    batch = session.get_one(Batch, messages[0].batch_id)
    takes = count(HINDI)
    assert (batch.encoding, batch.segment_count, batch.characters_left, batch.forcing) == (
        *(takes.encoding, takes.parts, takes.left),
        takes.forcing,
    )
    assert [(m.segment_count, m.encoding, m.forcing) for m in messages] == [
        (None, None, None),
        (1, "GSM-7", None),
        (9, None, None),
        (parts, takes.encoding, takes.forcing),
    ]


def test_a_text_with_placeholders_is_counted_for_each_message_alone(session: Session, lane: MadeLane) -> None:
    ids = made(session, lane, {"text": "hi"})
    change(session, "UPDATE batch SET text = :text", text=HINDI + "{{name}}")
    assert preview(session, ordered(session, ids)).segments == 1
    assert batch_of(session, again(session, ids)[0]).segment_count is None


def test_cost_is_by_parts_and_by_the_prices_of_the_lane_as_that_of_a_send(session: Session, lane: MadeLane) -> None:
    ids = failed(session, lane, 2)
    change(session, "UPDATE delivery_report SET price = NULL")
    change(session, "UPDATE message SET segment_count = 3 WHERE id = :id", id=ids[0])
    assert preview(session, ordered(session, ids)).cost is None
    other = failed(session, lane)
    change(session, "UPDATE delivery_report SET price = 0.5 WHERE message_id = :id", id=other[0])
    (cost,) = estimate(session, lane.id, [(NUMBERS[0], 3), (NUMBERS[1], 1)])
    assert preview(session, ordered(session, ids)).cost == (cost.amount, cost.currency) == (2, "EUR")
    session.commit()


# Chains, and what is delivered late.


def test_a_replay_is_replayed_in_its_turn_and_remembers_the_first(session: Session, lane: MadeLane) -> None:
    first = failed(session, lane)
    second = again(session, first)
    assert links(session, first[0]) == (None, second[0])
    assert replayed(session, second).accepted == 0  # it has not ended yet
    fail(session, lane, second)
    third = again(session, second)
    assert replayed(session, first).left_out == {"already_replayed": 1}
    assert links(session, second[0]) == (first[0], third[0])
    assert batch_of(session, third[0]).replay_of == batch_of(session, second[0]).id
    roots = session.exec(select(Replayed.root_id)).all()
    assert set(roots) == set(first)


@pytest.mark.parametrize("waits", ["queued", "retrying"])
@pytest.mark.parametrize("late", [0, 1], ids=["the first", "the one before"])
def test_a_late_delivery_cancels_the_replay_that_waits(session: Session, lane: MadeLane, waits: str, late: int) -> None:
    chain = [failed(session, lane)[0]]
    chain += again(session, chain)
    fail(session, lane, chain[1:])
    chain += again(session, chain[1:])
    if waits == "retrying":
        answer(session, took(session, lane))
        apply(session, lane, report(chain[2], **AWAY))
    assert state(session, chain[2]) == waits
    apply(session, lane, report(chain[late], done="12:09:00.000"))
    assert (state(session, chain[late]), state(session, chain[2])) == ("delivered", "cancelled")
    assert message(session, chain[2]).reason == "source_delivered"
    retries_due(session)
    assert take(session, lane) is None
    assert_tally_is_exact(session, lane)


def test_what_was_delivered_between_the_choice_and_the_commit_is_stopped_at_the_gate(
    engine: Engine, session: Session, lane: MadeLane
) -> None:
    ids = failed(session, lane)
    done = replay(session, ordered(session, ids))
    with Session(engine) as other:
        apply(other, lane, report(ids[0], done="12:09:00.000"))
    session.commit()
    (new,) = messages_of(session, done)
    assert state(session, new) == "queued"
    assert take(session, lane) is None
    assert (state(session, new), message(session, new).reason) == ("cancelled", "source_delivered")
    assert_tally_is_exact(session, lane)


@pytest.mark.parametrize("late", [0, 1], ids=["the first", "itself"])
def test_nothing_of_a_chain_goes_again_once_one_of_it_was_delivered(
    session: Session, lane: MadeLane, late: int
) -> None:
    chain = [failed(session, lane)[0]]
    chain += again(session, chain)
    fail(session, lane, chain[1:])
    apply(session, lane, report(chain[late], done="12:09:00.000"))
    done = replayed(session, chain[1:])
    assert (done.accepted, done.left_out) == (0, {"delivered_late": 1})


def test_a_cancelled_replay_may_go_again_unless_its_source_arrived(
    engine: Engine, session: Session, lane: MadeLane
) -> None:
    ids = failed(session, lane, 2)
    new = again(session, ids)
    steered(session, steering.cancel, new[0])
    swept(engine)
    apply(session, lane, report(ids[0], done="12:09:00.000"))
    done = replayed(session, new, states=[State.CANCELLED])
    assert (done.accepted, done.left_out) == (1, {"delivered_late": 1})
    assert links(session, messages_of(session, done)[0]).replay_of_message == new[1]


def test_the_counts_of_both_batches_hold_to_the_end(session: Session, lane: MadeLane) -> None:
    ids = failed(session, lane, 3)
    new = again(session, ids)
    answer(session, took(session, lane))
    apply(session, lane, *(report(message_id) for message_id in new))
    assert set(states(session, new)) == {"delivered"}
    assert set(states(session, ids)) <= set(FINAL)
    assert_tally_is_exact(session, lane)
