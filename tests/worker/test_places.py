"""Places: which surface is meant, what it gives, and when its messages may leave."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from tests.worker.sends import NOW, TO, configure, enqueue_batch, place, rows
from worker.enqueue import enqueue_message
from worker.models import Batch, Lane, Message
from worker.orders import BatchOrder, MessageOrder, Values
from worker.places import Schedule, find_place, find_places, schedule_of
from worker.refusals import Refusal


def database_now(session: Session) -> datetime:
    now: datetime = session.execute(text("SELECT now()")).scalar_one()
    return now


def test_surface_may_be_named_by_id(session: Session) -> None:
    surface = configure(session)
    enqueue_message(session, MessageOrder(surface=str(surface.id), to=TO, text="hi"))
    assert session.exec(select(Message.surface_id)).one() == surface.id


def test_name_and_id_lead_to_the_same_place(session: Session) -> None:
    surface = configure(session, surface={"callback_data": "s", "default_country": "IN", "validity_seconds": 60})
    by_name, by_id = find_place(session, "otp"), find_place(session, str(surface.id).upper())
    assert by_name == replace(by_id, now=by_name.now)
    assert (by_name.surface_id, by_name.sender, by_name.default_country) == (surface.id, "ACME", "IN")
    assert (by_name.credential_id, by_name.needs_opt_in) == (surface.credential_id, False)
    assert (by_name.values, by_name.validity) == (Values(callback_data="s"), timedelta(minutes=1))


@pytest.mark.parametrize("requires", [True, False])
def test_place_needs_an_opt_in_where_its_surface_requires_it(session: Session, requires: bool) -> None:
    configure(session, surface={"message_type": "marketing", "require_opt_in": requires})
    assert find_place(session, "otp").needs_opt_in is requires


def test_each_reference_is_answered_by_itself(session: Session) -> None:
    surface = configure(session)
    references = {"otp", str(surface.id), "nobody", str(UUID(int=7))}
    assert find_places(session, references).keys() == {"otp", str(surface.id)}


@pytest.mark.parametrize("reference", ["nobody", "OTP", str(UUID(int=7)), ""])
def test_unknown_surface_is_refused(session: Session, reference: str) -> None:
    configure(session)
    with pytest.raises(Refusal, match="no surface"):
        enqueue_message(session, MessageOrder(surface=reference, to=TO, text="hi"))


def test_deleted_surface_is_unknown(session: Session) -> None:
    surface = configure(session)
    surface.deleted_at = database_now(session)
    session.commit()
    with pytest.raises(Refusal, match="no surface"):
        enqueue_message(session, MessageOrder(surface="otp", to=TO, text="hi"))


@pytest.mark.parametrize("reference", ["name", "id"])
def test_surface_that_somebody_is_changing_is_left_out_of_the_free_ones(
    session: Session, engine: Engine, reference: str
) -> None:
    surface = configure(session)
    with engine.connect() as other:
        other.execute(text("SELECT FROM surface FOR UPDATE"))
        assert find_places(session, [str(getattr(surface, reference))], only_free=True) == {}
    assert len(find_places(session, [str(getattr(surface, reference))], only_free=True)) == 1


def test_surface_stays_locked_against_a_change_until_the_end(session: Session, engine: Engine) -> None:
    configure(session)
    find_place(session, "otp")
    locked = text("SELECT id FROM surface FOR UPDATE SKIP LOCKED")
    with engine.connect() as other:
        assert other.execute(locked).all() == []
        session.rollback()
        assert len(other.execute(locked).all()) == 1


def test_lane_is_that_of_channel_type_and_credential(session: Session) -> None:
    surface = configure(session, surface={"message_type": "marketing"})
    accepted = enqueue_message(session, MessageOrder(surface="otp", to=TO, text="hi"))
    lane = session.get_one(Lane, accepted.lane_id)
    assert (lane.credential_id, lane.channel, lane.message_type) == (surface.credential_id, "sms", "marketing")


@pytest.mark.parametrize(
    ("order", "surface", "credential", "seconds"),
    [
        (timedelta(minutes=1), 120, 3, 60),
        (None, 120, 3, 120),
        (None, None, 3, 3 * 3600),
        (None, None, 48, 48 * 3600),
    ],
)
def test_validity_is_that_of_the_nearest_level(
    session: Session, order: timedelta | None, surface: int | None, credential: int, seconds: int
) -> None:
    configure(session, credential={"validity_period_hours": credential}, surface={"validity_seconds": surface})
    enqueue_message(session, MessageOrder(surface="otp", to=TO, text="hi", validity=order))
    enqueue_batch(session, BatchOrder(surface="otp", rows=rows("hi"), validity=order))
    session.commit()
    for message in session.exec(select(Message)):
        assert message.validity_seconds == seconds
        assert message.expires_at - message.created_at == timedelta(seconds=seconds)
    assert session.exec(select(Batch.validity_seconds)).one() == seconds


@pytest.mark.parametrize("span", [timedelta(seconds=9), timedelta(hours=48, seconds=1), timedelta(seconds=10.5)])
def test_validity_out_of_bounds_is_refused(session: Session, span: timedelta) -> None:
    configure(session)
    with pytest.raises(Refusal, match="PT10S to PT48H"):
        enqueue_message(session, MessageOrder(surface="otp", to=TO, text="hi", validity=span))


@pytest.mark.parametrize(
    ("send_in", "starts_in"),
    [(None, None), (timedelta(seconds=-1), None), (timedelta(0), None), (timedelta(days=180), timedelta(days=180))],
)
@pytest.mark.parametrize("validity", [None, timedelta(seconds=10), timedelta(hours=48)])
def test_schedule_counts_validity_from_when_the_message_may_first_leave(
    send_in: timedelta | None, starts_in: timedelta | None, validity: timedelta | None
) -> None:
    first = NOW + (starts_in or timedelta(0))
    span = validity or timedelta(hours=1)
    assert schedule_of(place(), None if send_in is None else NOW + send_in, validity) == Schedule(
        send_at=None if starts_in is None else NOW + starts_in,
        first_attempt_at=first,
        begins_at=first,
        expires_at=first + span,
        validity_seconds=int(span.total_seconds()),
    )


@pytest.mark.parametrize(
    ("send_in", "begins_in"),
    [(None, 20), (timedelta(seconds=-1), 20), (timedelta(seconds=5), 20), (timedelta(seconds=30), 30)],
)
def test_turns_and_validity_begin_when_many_messages_are_written_and_the_first_leaves_before_where_it_has_no_turn(
    send_in: timedelta | None, begins_in: int
) -> None:
    given = schedule_of(place(), None if send_in is None else NOW + send_in, None, count=200_000)
    begins = NOW + timedelta(seconds=begins_in)
    first = NOW + max(send_in or timedelta(0), timedelta(0))
    assert (given.begins_at, given.expires_at) == (begins, begins + timedelta(hours=1))
    assert (given.first_turn(50), given.first_turn(None)) == (begins, first)
    assert given.send_at == (first if first > NOW else None)


def test_now_is_when_the_place_is_read_however_long_its_transaction_has_waited(session: Session) -> None:
    configure(session)
    began = database_now(session)
    assert find_place(session, "otp").now > began


def test_send_at_sets_the_first_attempt_and_validity_counts_from_it(session: Session) -> None:
    configure(session)
    send_at = database_now(session) + timedelta(days=180) - timedelta(seconds=1)
    enqueue_message(
        session, MessageOrder(surface="otp", to=TO, text="hi", send_at=send_at, validity=timedelta(hours=1))
    )
    message = session.exec(select(Message)).one()
    assert message.next_attempt_at == send_at
    assert message.expires_at == send_at + timedelta(hours=1)


def test_send_at_beyond_180_days_is_refused(session: Session) -> None:
    configure(session)
    send_at = database_now(session) + timedelta(days=180, seconds=5)
    with pytest.raises(Refusal, match="180 days"):
        enqueue_message(session, MessageOrder(surface="otp", to=TO, text="hi", send_at=send_at))
