"""Enqueue over a session, without HTTP: precedence, what is stored where, what is counted."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlmodel import Session, select

from tests.factories import MadeLane, make_lane
from tests.worker.sends import TO, configure, enqueue_batch, rows
from tests.worker.steps import assert_tally_is_exact, consented, took
from worker.enqueue import Draft, draft_messages, enqueue_message, store_messages
from worker.models import Batch, Lane, Message, Surface
from worker.orders import BatchOrder, MessageOrder, Row, Values
from worker.refusals import Refusal
from worker.states import State
from worker.tally import counts
from worker.words import ConsentState, MessageType

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


@pytest.mark.parametrize("place_of_the_bad_one", [0, 1, 2])
def test_refused_send_is_one_refusal_wherever_it_stands_in_its_group(
    session: Session, place_of_the_bad_one: int
) -> None:
    configure(session)
    configured = [MessageOrder(surface="otp", to=TO, text="hi") for _ in range(2)]
    configured.insert(place_of_the_bad_one, MessageOrder(surface="otp", to="call me", text="hi"))
    kinds = [type(draft) for draft in draft_messages(session, configured)]
    assert [kind is Refusal for kind in kinds] == [index == place_of_the_bad_one for index in range(3)]
    assert [type(draft) for draft in draft_messages(session, [configured[place_of_the_bad_one]])] == [Refusal]


# Consent

ASHA, BEN, CHITRA = "+919876543210", "+919876543211", "+919876543212"
OFFERS = {"name": "offers", "message_type": "marketing"}
OUT, IN = ConsentState.OPTED_OUT, ConsentState.OPTED_IN


def lane_of(session: Session, surface: Surface) -> MadeLane:
    values = {"credential_id": surface.credential_id, "channel": surface.channel, "message_type": surface.message_type}
    return MadeLane(session.exec(select(Lane).filter_by(**values)).one().id, surface.credential_id, surface.id)


def marketing(session: Session, **fields: object) -> MadeLane:
    """A surface for marketing, and the lane it leads to."""
    return lane_of(session, configure(session, surface={**OFFERS, **fields}))


def says(session: Session, lane: MadeLane, to: str, state: ConsentState, **standing: object) -> None:
    consented(session, lane, to.removeprefix("+"), state, **standing)


def stored(session: Session) -> list[tuple[str, str, str | None]]:
    session.expire_all()
    found = session.exec(select(Message).order_by(Message.id))  # type: ignore[arg-type]
    return [(message.recipient, message.state, message.reason) for message in found]


def test_rows_that_consent_forbids_are_stored_suppressed_and_the_others_go_on(session: Session) -> None:
    lane = marketing(session)
    says(session, lane, BEN, OUT)
    says(session, lane, CHITRA, OUT, is_blocked=True)
    given = [Row(index=n, to=to) for n, to in enumerate([ASHA, BEN, CHITRA, BEN])]
    accepted = enqueue_batch(session, BatchOrder(surface="offers", rows=given, text="hi"))
    session.commit()
    assert (accepted.accepted, accepted.suppressed) == (1, 3)
    assert stored(session) == [
        (ASHA[1:], "queued", None),
        (BEN[1:], "suppressed", "opted_out"),
        (CHITRA[1:], "suppressed", "number_blocked"),
        (BEN[1:], "suppressed", "opted_out"),
    ]
    for message in session.exec(select(Message)):
        is_over = message.state == "suppressed"
        assert (message.finished_at == message.created_at) is is_over
        assert (message.next_attempt_at is None) is is_over
    assert session.get_one(Batch, accepted.id).total == 4
    expected = {
        (State.QUEUED, ""): 1,
        (State.SUPPRESSED, "opted_out"): 2,
        (State.SUPPRESSED, "number_blocked"): 1,
    }
    assert counts(session, [accepted.id, lane.id]) == {accepted.id: expected, lane.id: expected}
    assert_tally_is_exact(session, lane)


@pytest.mark.parametrize(
    ("surface", "goes"),
    [
        ({"message_type": "transactional"}, [ASHA, BEN, CHITRA]),
        ({}, [ASHA, BEN]),
        ({"require_opt_in": True}, [BEN]),
    ],
)
def test_what_the_surface_is_for_says_whom_consent_spares(session: Session, surface: dict, goes: list[str]) -> None:
    lane = marketing(session, **surface)
    says(session, lane, BEN, IN)
    says(session, lane, CHITRA, OUT)
    given = [Row(index=n, to=to) for n, to in enumerate([ASHA, BEN, CHITRA])]
    enqueue_batch(session, BatchOrder(surface="offers", rows=given, text="hi"))
    assert [f"+{to}" for to, state, _ in stored(session) if state == "queued"] == goes


def test_consent_towards_another_credential_forbids_nothing(session: Session) -> None:
    lane = marketing(session)
    says(session, MadeLane(lane.id, UUID(int=7), lane.surface_id), ASHA, OUT, is_blocked=True)
    accepted = enqueue_message(session, MessageOrder(surface="offers", to=ASHA, text="hi"))
    assert (accepted.accepted, accepted.suppressed) == (1, 0)


def test_number_is_held_to_consent_however_it_is_written(session: Session) -> None:
    lane = marketing(session, default_country="IN")
    says(session, lane, ASHA, OUT)
    given = [Row(index=n, to=to) for n, to in enumerate(["+91 98765-43210", "09876543210"])]
    assert enqueue_batch(session, BatchOrder(surface="offers", rows=given, text="hi")).suppressed == 2


def test_single_send_that_consent_forbids_is_stored_and_over(session: Session) -> None:
    lane = marketing(session)
    says(session, lane, ASHA, OUT)
    accepted = enqueue_message(session, MessageOrder(surface="offers", to=ASHA, text="hi"))
    session.commit()
    assert (accepted.accepted, accepted.suppressed) == (0, 1)
    message = session.get_one(Message, accepted.id)
    assert (message.state, message.reason, message.next_attempt_at) == ("suppressed", "opted_out", None)
    assert message.finished_at is not None
    assert_tally_is_exact(session, lane)


def test_each_send_of_a_group_is_held_to_consent_by_its_own_surface(session: Session) -> None:
    lane = marketing(session)
    leads = {"credential_id": lane.credential_id, "channel": "sms", "sender": "ACME"}
    session.add(Surface(name="otp", message_type="transactional", **leads))
    session.add(Surface(name="club", message_type="marketing", require_opt_in=True, **leads))
    session.commit()
    says(session, lane, ASHA, OUT)
    says(session, lane, BEN, IN)
    wanted = {
        ("offers", ASHA): "opted_out",
        ("offers", BEN): None,
        ("offers", CHITRA): None,
        ("otp", ASHA): None,
        ("club", ASHA): "opted_out",
        ("club", BEN): None,
        ("club", CHITRA): "not_opted_in",
    }
    orders = [MessageOrder(surface=surface, to=to, text="hi") for surface, to in wanted]
    drafts = [draft for draft in draft_messages(session, orders) if isinstance(draft, Draft)]
    assert [draft.barred for draft in drafts] == list(wanted.values())
    assert [draft.accepted.suppressed for draft in drafts] == [int(reason is not None) for reason in wanted.values()]
    store_messages(session, drafts)
    session.commit()
    assert [reason for _, _, reason in stored(session)] == list(wanted.values())
    assert_tally_is_exact(session, lane)
    otp = session.exec(select(Surface).filter_by(name="otp")).one()
    assert_tally_is_exact(session, lane_of(session, otp))


def test_a_stop_between_enqueue_and_claim_is_kept(session: Session) -> None:
    lane = make_lane(session, name="offers", message_type=MessageType.MARKETING)
    given = [Row(index=n, to=to) for n, to in enumerate([ASHA, BEN])]
    accepted = enqueue_batch(session, BatchOrder(surface="offers", rows=given, text="hi"))
    session.commit()
    assert (accepted.accepted, accepted.suppressed) == (2, 0)
    says(session, lane, ASHA, OUT)
    assert [sent.recipient for sent in took(session, lane).messages] == [BEN[1:]]
    assert stored(session) == [(ASHA[1:], "suppressed", "opted_out"), (BEN[1:], "sending", None)]
    assert_tally_is_exact(session, lane)
