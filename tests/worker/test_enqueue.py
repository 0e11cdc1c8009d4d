"""Enqueue over a session, without HTTP: precedence, rendering, times, what is stored where."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from worker.enqueue import Draft, draft_messages, enqueue_batch, enqueue_message
from worker.models import Batch, Credential, Lane, Message, Surface
from worker.orders import BatchOrder, MessageOrder, Rejected, Row, Values
from worker.refusals import Refusal
from worker.rendering import MissingVariables, placeholders, render
from worker.states import State
from worker.tally import counts

TO = "+919876543210"
LEVELS = ("message", "batch", "surface", "credential")
FIELDS = ("principal_entity_id", "content_template_id", "callback_data")


def configure(session: Session, *, credential: dict | None = None, surface: dict | None = None) -> Surface:
    account = Credential(
        name="main", base_url="x", api_key=b"", api_key_hint="", webhook_token=b"", **(credential or {})
    )
    session.add(account)
    session.flush()
    given = {"name": "otp", "channel": "sms", "message_type": "transactional", "sender": "ACME", **(surface or {})}
    made = Surface(credential_id=account.id, **given)
    for channel in ("sms", "mms"):
        for kind in ("transactional", "marketing"):
            session.add(Lane(credential_id=account.id, channel=channel, message_type=kind))
    session.add(made)
    session.commit()
    return made


def rows(*given: Row | str) -> list[Row]:
    return [Row(index=n, to=TO, text=row) if isinstance(row, str) else row for n, row in enumerate(given)]


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


def test_a_template_without_an_entity_is_refused_since_infobip_could_not_attach_it(session: Session) -> None:
    configure(session)
    alone = Values(content_template_id="1207160000000000001")
    with pytest.raises(Refusal, match="principal_entity_id"):
        enqueue_message(session, MessageOrder(surface="otp", to=TO, text="hi", values=alone))
    with pytest.raises(Refusal) as raised:
        enqueue_batch(session, BatchOrder(surface="otp", rows=[Row(index=0, to=TO, values=alone)], text="hi"))
    assert [(fault.index, fault.field) for fault in raised.value.faults] == [(0, "content_template_id")]


def test_empty_callback_data_is_a_value_of_its_own(session: Session) -> None:
    configure(session, surface={"callback_data": "s"})
    enqueue_message(session, MessageOrder(surface="otp", to=TO, text="hi", values=Values(callback_data="")))
    assert session.exec(select(Message.callback_data)).one() == ""


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


def database_now(session: Session) -> datetime:
    now: datetime = session.execute(text("SELECT now()")).scalar_one()
    return now


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


def test_bad_rows_are_named_each_with_its_field(session: Session) -> None:
    configure(session)
    given = [
        Row(index=0, to=TO, variables={"name": "x"}),
        Row(index=2, to="nobody", variables={"name": "x"}),
        Row(index=3, to=TO),
        Row(index=4, to=TO, variables={"name": "x" * 4000}),
        Row(index=5, to=TO, text="  "),
    ]
    shape = Rejected(index=1, to=None, field="to", reason="is missing")
    with pytest.raises(Refusal) as refused:
        enqueue_batch(session, BatchOrder(surface="otp", rows=given, rejected=[shape], text="Hi {{name}}"))
    assert [(fault.index, fault.field) for fault in refused.value.faults] == [
        (1, "to"),
        (2, "to"),
        (3, "variables"),
        (4, "text"),
        (5, "text"),
    ]
    assert "{{name}}" in refused.value.faults[2].message


def test_row_without_any_text_is_bad(session: Session) -> None:
    configure(session)
    with pytest.raises(Refusal) as refused:
        enqueue_batch(session, BatchOrder(surface="otp", rows=rows(Row(index=0, to=TO))))
    assert refused.value.faults[0].field == "text"


@pytest.mark.parametrize("content", ["tab\tnew\nline\rback\\slash", "\\N", "\\.", "ünïcødé 🎉", '"quoted",', "'"])
def test_any_text_comes_back_from_copy_as_it_was(session: Session, content: str) -> None:
    configure(session)
    row = Row(index=0, to=TO, text=content, values=Values(callback_data=content))
    enqueue_batch(session, BatchOrder(surface="otp", rows=[row]))
    session.commit()
    message = session.exec(select(Message)).one()
    assert (message.text, message.callback_data) == (content, content)


def test_batch_and_lane_are_counted_in_the_same_transaction(session: Session) -> None:
    configure(session)
    accepted = enqueue_batch(session, BatchOrder(surface="otp", rows=rows("a", "b", "c")))
    counted = counts(session, [accepted.id, accepted.lane_id])
    assert counted[accepted.id] == counted[accepted.lane_id] == {(State.QUEUED, ""): 3}
    session.rollback()
    assert counts(session, [accepted.lane_id]) == {accepted.lane_id: {}}


def test_lane_is_that_of_channel_type_and_credential(session: Session) -> None:
    surface = configure(session, surface={"message_type": "marketing"})
    accepted = enqueue_message(session, MessageOrder(surface="otp", to=TO, text="hi"))
    lane = session.get_one(Lane, accepted.lane_id)
    assert (lane.credential_id, lane.channel, lane.message_type) == (surface.credential_id, "sms", "marketing")


def test_surface_may_be_named_by_id(session: Session) -> None:
    surface = configure(session)
    enqueue_message(session, MessageOrder(surface=str(surface.id), to=TO, text="hi"))
    assert session.exec(select(Message.surface_id)).one() == surface.id


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


def test_national_number_is_read_in_the_surfaces_country(session: Session) -> None:
    configure(session, surface={"default_country": "IN"})
    enqueue_batch(session, BatchOrder(surface="otp", rows=[Row(index=0, to="098765 43210", text="hi")]))
    assert session.exec(select(Message.recipient)).one() == "919876543210"


def test_messages_are_numbered_in_the_order_of_the_rows(session: Session) -> None:
    configure(session)
    enqueue_batch(session, BatchOrder(surface="otp", rows=rows(*(f"text {n}" for n in range(500)))))
    session.commit()
    assert session.exec(select(Message.text).order_by(Message.id)).all() == [f"text {n}" for n in range(500)]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("plain", set()),
        ("{{a}}{{ b }}{{a}}", {"a", "b"}),
        ("{{first name}}", {"first name"}),
        ("{{}}", {""}),
        ("{a} {{a} {{{b}}} }}", {"b"}),
        ("{{a\n}}", {"a"}),
    ],
)
def test_placeholders_are_names_in_double_braces(content: str, names: set[str]) -> None:
    assert placeholders(content) == names


def test_missing_variables_are_all_named() -> None:
    with pytest.raises(MissingVariables, match=r"\{\{a\}\}, \{\{c\}\}"):
        render("{{c}} {{b}} {{a}}", {"b": "x"})


def test_unknown_surface_is_no_draft_whatever_the_others_of_its_group_name(session: Session) -> None:
    configure(session, surface={"name": "None"})
    orders = [MessageOrder(surface=surface, to=TO, text="hi") for surface in ("None", "nobody", str(UUID(int=7)))]
    kinds = [type(draft) for draft in draft_messages(session, orders)]
    assert kinds == [Draft, type(None), type(None)]
