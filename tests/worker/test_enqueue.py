"""Enqueue over a session, without HTTP: precedence, what is stored where, what is counted."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlmodel import Session, select

from tests.worker.sends import TO, configure, rows
from worker.enqueue import Draft, draft_messages, enqueue_batch, enqueue_message
from worker.models import Batch, Message
from worker.orders import BatchOrder, MessageOrder, Row, Values
from worker.refusals import Refusal
from worker.states import State
from worker.tally import counts

LEVELS = ("message", "batch", "surface", "credential")
FIELDS = ("principal_entity_id", "content_template_id", "callback_data")


def effective(session: Session) -> Iterator[tuple[str | None, ...]]:
    """(text, principal entity, content template, callback data) of every message, as a sender would read them."""
    for message in session.exec(select(Message).order_by(Message.id)):
        batch = session.get(Batch, message.batch_id) if message.batch_id else None
        names = ("text", *FIELDS)
        own = [getattr(message, name) for name in names]
        yield tuple(
            getattr(batch, name) if value is None and batch else value for name, value in zip(names, own, strict=True)
        )


def beside(field: str) -> dict[str, str]:
    """What a credential needs besides for this field to be accepted: a template needs an entity."""
    return {"principal_entity_id": "1201150000000000001"} if field == "content_template_id" else {}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("given", range(16))
def test_value_of_the_nearest_level_wins(session: Session, field: str, given: int) -> None:
    levels = {level: {field: f"{field} of {level}"} if given & 1 << n else {} for n, level in enumerate(LEVELS)}
    configure(session, credential={**beside(field), **levels["credential"]}, surface=levels["surface"])
    row = Row(index=0, to=TO, values=Values(**levels["message"]))
    enqueue_batch(session, BatchOrder(surface="otp", rows=[row], text="hi", values=Values(**levels["batch"])))
    session.commit()
    expected = next((f"{field} of {level}" for level in LEVELS if levels[level]), None)
    (message,) = effective(session)
    assert message[1 + FIELDS.index(field)] == expected


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("given", range(8))
def test_single_send_takes_the_nearest_level_and_keeps_it_itself(session: Session, field: str, given: int) -> None:
    three = ("message", "surface", "credential")
    levels = {level: {field: f"{field} of {level}"} if given & 1 << n else {} for n, level in enumerate(three)}
    configure(session, credential={**beside(field), **levels["credential"]}, surface=levels["surface"])
    enqueue_message(session, MessageOrder(surface="otp", to=TO, text="hi", values=Values(**levels["message"])))
    session.commit()
    expected = next((f"{field} of {level}" for level in three if levels[level]), None)
    assert getattr(session.exec(select(Message)).one(), field) == expected


def test_empty_callback_data_is_a_value_of_its_own(session: Session) -> None:
    configure(session, surface={"callback_data": "s"})
    enqueue_message(session, MessageOrder(surface="otp", to=TO, text="hi", values=Values(callback_data="")))
    assert session.exec(select(Message.callback_data)).one() == ""


def test_shared_text_stands_on_the_batch_only_and_a_differing_one_on_its_message(session: Session) -> None:
    configure(session)
    given = rows(Row(index=0, to=TO), Row(index=1, to=TO, text="Mine"))
    enqueue_batch(session, BatchOrder(surface="otp", rows=given, text="Shared"))
    session.commit()
    assert session.exec(select(Message.text).order_by(Message.id)).all() == [None, "Mine"]
    assert [message[0] for message in effective(session)] == ["Shared", "Mine"]


def test_placeholders_are_filled_from_each_row(session: Session) -> None:
    configure(session)
    given = rows(
        Row(index=0, to=TO, variables={"name": "Asha", "n": "1"}),
        Row(index=1, to=TO, variables={"name": "{{n}} \\1 \t \n", "n": "2"}),
        Row(index=2, to=TO, text="Bye {{n}}", variables={"n": "3"}),
    )
    enqueue_batch(session, BatchOrder(surface="otp", rows=given, text="Hi {{ name }}, {{n}}"))
    session.commit()
    assert [message[0] for message in effective(session)] == ["Hi Asha, 1", "Hi {{n}} \\1 \t \n, 2", "Bye 3"]


def test_batch_and_lane_are_counted_in_the_same_transaction(session: Session) -> None:
    configure(session)
    accepted = enqueue_batch(session, BatchOrder(surface="otp", rows=rows("a", "b", "c")))
    counted = counts(session, [accepted.id, accepted.lane_id])
    assert counted[accepted.id] == counted[accepted.lane_id] == {(State.QUEUED, ""): 3}
    session.rollback()
    assert counts(session, [accepted.lane_id]) == {accepted.lane_id: {}}


def test_messages_are_numbered_in_the_order_of_the_rows(session: Session) -> None:
    configure(session)
    enqueue_batch(session, BatchOrder(surface="otp", rows=rows(*(f"text {n}" for n in range(500)))))
    session.commit()
    assert session.exec(select(Message.text).order_by(Message.id)).all() == [f"text {n}" for n in range(500)]


def test_unknown_surface_is_no_draft_whatever_the_others_of_its_group_name(session: Session) -> None:
    configure(session, surface={"name": "None"})
    orders = [MessageOrder(surface=surface, to=TO, text="hi") for surface in ("None", "nobody", str(UUID(int=7)))]
    kinds = [type(draft) for draft in draft_messages(session, orders)]
    assert kinds == [Draft, type(None), type(None)]


def test_mms_is_refused_of_a_batch_and_of_one_send_among_others(session: Session) -> None:
    configure(session, surface={"channel": "mms"})
    with pytest.raises(Refusal, match="MMS"):
        enqueue_batch(session, BatchOrder(surface="otp", rows=rows("hi")))
    orders = [MessageOrder(surface=surface, to=TO, text="hi") for surface in ("nobody", "otp")]
    assert [type(draft) for draft in draft_messages(session, orders)] == [type(None), Refusal]
