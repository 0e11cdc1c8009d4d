"""Enqueue many: a batch stored whole or not at all, once to each where asked, at the pace that it names."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import Session, SQLModel, select

from tests.factories import MadeLane, make_window
from tests.worker.sends import configure, enqueue_batch
from tests.worker.steps import accepted as accepted_by
from tests.worker.steps import assert_tally_is_exact, change, consented, steered, took
from worker import pace, steering
from worker.audience import Audience
from worker.db import database_now
from worker.enqueue import Accepted
from worker.enqueue_batch import enqueue_audience
from worker.hours import parse_hours
from worker.models import Batch, Message, RejectedRow
from worker.orders import BatchOrder, Manner, Rejected, Row, Values
from worker.places import find_place
from worker.refusals import Conflict, Refusal
from worker.sending import Dispatcher
from worker.tally import counts
from worker.words import ConsentState

SURFACE = "account"  # of the fixtures' lanes
ALL = BatchOrder(surface=SURFACE, text="hi")
SECRET = "4711"
HOUR = timedelta(hours=1)
TEN_SECONDS = timedelta(seconds=10)  # of validity: half of it is left for turns


def people(count: int, first: int = 0) -> list[Row]:
    return [Row(n, f"+9198{n:08d}", f"row {n}") for n in range(first, first + count)]


def send(session: Session, order: BatchOrder, *chunks: Sequence[Row | Rejected]) -> Accepted:
    """Its rows in these chunks, as a body in lines brings them. Commits."""
    place = find_place(session, order.surface)
    session.commit()
    with Audience(order, place, 1_000_000) as audience:
        for chunk in chunks:
            rows = [row for row in chunk if isinstance(row, Row)]
            audience.add(rows, [row for row in chunk if isinstance(row, Rejected)])
        accepted = enqueue_audience(session, order, audience)
    session.commit()
    return accepted


def found(session: Session, *columns: Any) -> list[Any]:
    """Of all messages, in the order in which they were born."""
    return list(session.exec(select(*columns).order_by(Message.id)).all())


def rejected(session: Session, batch_id: UUID) -> list[Rejected]:
    rows = session.exec(select(RejectedRow).where(RejectedRow.batch_id == batch_id).order_by(RejectedRow.row))  # type: ignore[arg-type]
    return [Rejected(row.row, row.recipient, row.field, row.reason) for row in rows]


def stored(session: Session) -> dict[str, int]:
    """How many rows there are in each table that is not empty, beside configuration."""
    session.rollback()
    sizes = {
        table.name: session.execute(text(f'SELECT count(*) FROM "{table.name}"')).scalar_one()
        for table in SQLModel.metadata.sorted_tables
    }
    given = ("cluster", "credential", "surface", "lane")
    return {name: size for name, size in sizes.items() if size and name not in given}


# In order, whole or not at all


def test_messages_and_rejected_rows_together_are_the_request_in_order(session: Session, lane: MadeLane) -> None:
    rows: list[Row | Rejected] = [*people(40)]
    for index in (0, 7, 8, 9, 15, 16, 39):
        rows[index] = Row(index, "ask Meera", f"row {index}")
    rows[8] = Rejected(8, None, "messages", "is no row")
    order = BatchOrder(surface=SURFACE, skips_invalid=True)
    accepted = send(session, order, rows[:8], rows[8:9], [], rows[9:16], rows[16:])
    left = [index for index in range(40) if index not in (0, 7, 8, 9, 15, 16, 39)]
    assert found(session, Message.text) == [f"row {index}" for index in left]
    assert [row.index for row in rejected(session, accepted.id)] == [0, 7, 8, 9, 15, 16, 39]
    batch = session.get_one(Batch, accepted.id)
    assert (batch.total, batch.rejected_count) == (accepted.accepted, accepted.rejected_count) == (33, 7)
    ids = found(session, Message.id)
    assert batch.id < ids[0] < ids[-1] < batch.messages_through
    assert_tally_is_exact(session, lane)


@pytest.mark.parametrize(
    "bad", [Row(29, "ask Meera"), Row(29, "+919800000029", " "), Rejected(29, None, "to", "wrong")]
)
@pytest.mark.parametrize("at", [0, 15, 29])
def test_one_bad_row_stores_nothing_in_whatever_chunk_it_comes(
    session: Session, lane: MadeLane, bad: Row | Rejected, at: int
) -> None:
    rows: list[Row | Rejected] = [*people(30)]
    rows[at] = bad
    with pytest.raises(Refusal, match="1 row is wrong"):
        send(session, ALL, rows[:10], rows[10:20], rows[20:])
    session.commit()
    assert stored(session) == {}


def test_with_no_good_row_nothing_is_stored_of_the_bad_ones_either(session: Session, lane: MadeLane) -> None:
    with pytest.raises(Refusal, match="none is left to send"):
        send(session, BatchOrder(surface=SURFACE, text="hi", skips_invalid=True), [Row(0, "")], [Row(1, "x")])
    session.commit()
    assert stored(session) == {}


def test_batch_that_is_not_committed_leaves_nothing(session: Session, lane: MadeLane) -> None:
    order = BatchOrder(surface=SURFACE, rows=[*people(2), Row(2, "")], skips_invalid=True)
    enqueue_batch(session, order)
    assert stored(session) == {}


@pytest.mark.parametrize(
    ("changed", "is_refused"),
    [
        ("UPDATE surface SET default_country = 'IN'", True),
        ("UPDATE surface SET callback_data = 'other'", True),
        ("UPDATE credential SET principal_entity_id = '1201150000000000001'", True),
        ("UPDATE surface SET sender = 'OTHER'", False),
    ],
)
def test_surface_that_changed_while_rows_came_refuses_what_it_would_read_otherwise(
    session: Session, lane: MadeLane, changed: str, is_refused: bool
) -> None:
    place = find_place(session, SURFACE)
    session.commit()
    with Audience(ALL, place, 10) as audience:
        audience.add(people(1))
        change(session, changed)
        if is_refused:
            with pytest.raises(Conflict, match="send it again"):
                enqueue_audience(session, ALL, audience)
            session.commit()
            assert stored(session) == {}
        else:
            accepted = enqueue_audience(session, ALL, audience)
            assert session.get_one(Batch, accepted.id).sender == "OTHER"


# What is kept of a rejected row


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        (
            Row(1, "ask Meera", SECRET, {"otp": SECRET}, Values(callback_data=SECRET)),
            Rejected(1, "ask Meera", "to", "holds letters"),
        ),
        (
            Row(1, "+919800000001", SECRET * 1_001, None, Values(callback_data=SECRET)),
            Rejected(1, "+919800000001", "text", "has 4,004 bytes in UTF-8"),
        ),
        (
            Row(1, "+919800000001", f"{SECRET} {{{{name}}}}", {"otp": SECRET}),
            Rejected(1, "+919800000001", "variables", "give a value for {{name}}"),
        ),
        (
            Row(1, "+919800000001", SECRET, values=Values(content_template_id=f"1207160000000{SECRET}")),
            Rejected(1, "+919800000001", "content_template_id", "needs a principal_entity_id"),
        ),
    ],
    ids=["to", "text", "variables", "template"],
)
def test_skipped_row_is_kept_with_its_index_number_and_reason_and_none_of_what_it_was_to_say(
    session: Session, lane: MadeLane, row: Row, kept: Rejected
) -> None:
    order = BatchOrder(surface=SURFACE, text="hi", skips_invalid=True)
    accepted = send(session, order, people(1), [row])
    (found,) = rejected(session, accepted.id)
    assert (found.index, found.to, found.field) == (kept.index, kept.to, kept.field)
    assert found.reason.startswith(kept.reason)
    assert SECRET not in str(found)
    assert accepted.rejected == [found]


# Once to each


def test_deduplicated_a_recipient_is_sent_to_once_however_written_and_in_whatever_chunk(session: Session) -> None:
    configure(session, surface={"default_country": "IN"})
    order = BatchOrder(surface="otp", skips_invalid=True, deduplicates=True)
    accepted = send(
        session,
        order,
        [Row(0, "+91 98765-43210", "first"), Row(1, "09876543211", "second"), Row(2, "x", "bad")],
        [Row(3, "098765 43210", "third"), Row(4, "+14155550123", "fourth")],
        [Row(5, "0091 98765 43211", "fifth"), Row(6, "(1) 415 555 0123", "sixth"), Row(7, "9876543210", "seventh")],
    )
    assert found(session, Message.recipient, Message.text) == [
        ("919876543210", "first"),
        ("919876543211", "second"),
        ("14155550123", "fourth"),
    ]
    assert (accepted.accepted, accepted.rejected_count, accepted.duplicates) == (3, 1, 4)
    assert session.get_one(Batch, accepted.id).total == 3


def test_without_it_each_row_is_a_message_of_its_own(session: Session, lane: MadeLane) -> None:
    accepted = send(session, ALL, people(2), people(2))
    assert (accepted.accepted, accepted.duplicates) == (4, 0)


def test_deduplication_looks_at_its_own_batch_alone(session: Session, lane: MadeLane) -> None:
    order = BatchOrder(surface=SURFACE, deduplicates=True)
    assert [send(session, order, people(2), people(2)).accepted for _ in range(2)] == [2, 2]


# At a pace


def test_turns_follow_at_the_pace_over_groups_and_whom_consent_forbids_takes_none(
    session: Session, lane: MadeLane
) -> None:
    """Long texts: they are written in several groups."""
    change(session, "UPDATE surface SET message_type = 'marketing', sending_window = '\"off\"'")
    change(session, "UPDATE lane SET message_type = 'marketing'")
    rows = [Row(n, f"+9198{n:08d}", f"{n} " + "x" * 3_800) for n in range(600)]
    for n in (0, 1, 299, 450):
        consented(session, lane, rows[n].to[1:], ConsentState.OPTED_OUT)
    send_at = database_now(session) + timedelta(hours=1)
    order = BatchOrder(surface=SURFACE, send_at=send_at, messages_per_second=4)
    accepted = send(session, order, rows[:100], rows[100:])
    assert (accepted.accepted, accepted.suppressed) == (596, 4)
    turns = found(session, Message.next_attempt_at)
    assert [n for n, at in enumerate(turns) if at is None] == [0, 1, 299, 450]
    assert [at for at in turns if at] == [send_at + timedelta(seconds=place / 4) for place in range(596)]
    assert_tally_is_exact(session, lane)


@pytest.mark.parametrize("per_second", [None, 4])
def test_what_takes_long_to_write_has_its_turns_and_its_validity_from_when_it_is_written(
    session: Session, lane: MadeLane, monkeypatch: pytest.MonkeyPatch, per_second: int | None
) -> None:
    monkeypatch.setattr(pace, "WRITTEN_A_SECOND", 1)
    order = BatchOrder(surface=SURFACE, text="hi", messages_per_second=per_second, validity=timedelta(hours=1))
    batch = session.get_one(Batch, send(session, order, people(20)).id)
    written = batch.created_at + timedelta(seconds=20)
    assert {*found(session, Message.expires_at), batch.expires_at} == {written + timedelta(hours=1)}
    assert found(session, Message.next_attempt_at) == [
        written + timedelta(seconds=place / per_second) if per_second else batch.created_at for place in range(20)
    ]


def test_batch_at_a_pace_leaves_another_of_its_lane_as_fast_as_it_is(session: Session, lane: MadeLane) -> None:
    paced = send(session, BatchOrder(surface=SURFACE, text="slow", messages_per_second=1), people(50))
    other = send(session, BatchOrder(surface=SURFACE, text="fast"), people(50, first=50))
    turns = dict(session.exec(select(Message.id, Message.next_attempt_at).where(Message.batch_id == paced.id)).all())
    first = min(turns.values())
    assert sorted(turns.values()) == [first + timedelta(seconds=n) for n in range(50)]
    submission = took(session, lane)
    opened_at: datetime = session.execute(text("SELECT opened_at FROM submission")).scalar_one()
    taken = {sent.message_id for sent in submission.messages}
    assert taken & turns.keys() == {message_id for message_id, turn in turns.items() if turn <= opened_at} != set()
    assert counts(session, [other.id])[other.id] == {("sending", ""): 50}


def test_pace_of_a_batch_stays_beneath_the_rate_of_its_credential(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher, sandbox: str
) -> None:
    rate = 10
    change(session, "UPDATE credential SET messages_per_second = :rate", rate=rate)
    send(session, BatchOrder(surface=SURFACE, text="hi", messages_per_second=10_000), people(200))
    began = time.monotonic()
    while len(accepted_by(sandbox)) < 5:
        dispatcher.deliver(sandbox_lane.id, 1)
        time.sleep(0.02)
    assert len(accepted_by(sandbox)) <= rate * (time.monotonic() - began + 1)


@pytest.mark.parametrize(("per_second", "count"), [(1, 6), (2, 11), (3, 16)])
def test_pace_is_refused_where_the_last_turn_comes_too_late_with_what_would_fit(
    session: Session, lane: MadeLane, per_second: int, count: int
) -> None:
    order = BatchOrder(surface=SURFACE, text="hi", validity=TEN_SECONDS, messages_per_second=per_second)
    with pytest.raises(Refusal) as refused:
        send(session, order, people(count + 1))
    assert refused.value.faults[0].field == "messages_per_second"
    assert f"{per_second + 1} a second is enough for them" in refused.value.detail
    assert f"at this pace {count} rows fit" in refused.value.detail
    session.commit()
    assert stored(session) == {}
    assert send(session, order, people(count)).accepted == count
    faster = BatchOrder(surface=SURFACE, text="hi", validity=TEN_SECONDS, messages_per_second=per_second + 1)
    assert send(session, faster, people(count + 1)).accepted == count + 1


def test_pace_is_refused_where_the_window_is_open_for_too_short_a_time(session: Session, lane: MadeLane) -> None:
    """Two hours of ten: at one a second 7,200 turns, but for the minute to which a window is given."""
    manner = Manner(sending_window=parse_hours(make_window(database_now(session), HOUR, 3 * HOUR)))
    order = BatchOrder(surface=SURFACE, text="hi", validity=10 * HOUR, messages_per_second=1, manner=manner)
    with pytest.raises(Refusal, match="PT2H of open sending window are left") as refused:
        send(session, order, people(7_201))
    assert "2 a second is enough for them, at this pace 7,200 rows fit" in refused.value.detail
    assert send(session, order, people(7_200)).accepted == 7_200


def test_pace_for_which_no_other_is_fast_enough_names_none(session: Session, lane: MadeLane) -> None:
    order = BatchOrder(surface=SURFACE, text="hi", validity=TEN_SECONDS, messages_per_second=10_000)
    with pytest.raises(Refusal, match="at this pace 50,001 rows fit") as refused:
        send(session, order, people(50_002))
    assert "is enough for them" not in refused.value.detail


def test_batch_that_was_accepted_at_its_pace_may_be_given_another_start_with_the_same_validity(
    session: Session, lane: MadeLane
) -> None:
    """As many as fit: 7,753 turns at 30 a second end exactly where the validity leaves off."""
    validity = timedelta(seconds=272)
    order = BatchOrder(surface=SURFACE, text="hi", validity=validity, messages_per_second=30)
    send(session, order, people(7_753))
    message_id = found(session, Message.id)[0]
    send_at = database_now(session) + timedelta(hours=1)
    batch = steered(session, steering.reschedule, message_id, send_at, validity)
    assert batch.send_at == send_at


# Of which journey


@pytest.mark.parametrize(
    ("journey", "journey_id"),
    [({"id": 7, "step": [1, None]}, "7"), ("welcome", "welcome"), ({"name": "Welcome"}, None), (None, None)],
)
def test_journey_is_kept_unchanged_with_the_id_that_is_read_from_it(
    session: Session, lane: MadeLane, journey: Any, journey_id: str | None
) -> None:
    accepted = send(session, BatchOrder(surface=SURFACE, text="hi", journey=journey), people(1))
    session.expire_all()
    batch = session.get_one(Batch, accepted.id)
    assert (batch.journey, batch.journey_id) == (journey, journey_id)
