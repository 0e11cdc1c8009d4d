"""The DLT screen: what is said of a text before it is accepted, by the templates that are registered."""

from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import Session, col, select

from tests.factories import ENTITY, TEMPLATE
from tests.worker.sends import TO, configure, enqueue_batch
from worker import dlt_store, enqueue
from worker.dlt import known
from worker.dlt.choice import Registry
from worker.dlt.known import Templates
from worker.dlt.screen import Screen, Unfit
from worker.dlt.templates import Category, Registered, compile_template
from worker.dlt_registry import read_templates, templates_if_compiled
from worker.enqueue import Draft, draft_messages, enqueue_message
from worker.mms import Mms, Part
from worker.models import Batch, DltTemplate, Message, Surface
from worker.orders import NOTHING_GIVEN, BatchOrder, MessageOrder, Row, Values
from worker.places import holds_texts_to_templates
from worker.refusals import Refusal
from worker.rows import BadRow, Reading, RowReader
from worker.words import DltPolicy, MessageType

OTHER_ENTITY, OTHER = "1201150000000000002", "1207160000000000002"
BRITON = "+447700900001"
TEXT, SENT = "Order {#var#} is on its way. -KITEBK", "Order A-1 is on its way. -KITEBK"
WRONG = "Order A-1 is on it's way. -KITEBK"
OF_ENTITY = Values(principal_entity_id=ENTITY)
TRANSACTIONAL, MARKETING = MessageType.TRANSACTIONAL, MessageType.MARKETING


def registered(text: str = TEXT, template_id: str = TEMPLATE, name: str = "order", **fields: Any) -> Registered:
    given = {"entity_id": ENTITY, "headers": ("KITEBK",), "category": Category.SERVICE_IMPLICIT, **fields}
    return Registered(template_id=template_id, name=name, text=text, **given)


def templates(*given: Registered) -> Templates:
    return Templates([compile_template(one) for one in given], 30)


def screen(
    *given: Registered,
    sender: str = "KITEBK",
    message_type: MessageType = TRANSACTIONAL,
    policy: DltPolicy = DltPolicy.ENFORCE,
) -> Screen:
    return Screen(templates(*given), sender, message_type, policy)


def unfit(of: Screen, text: str, values: Values = OF_ENTITY) -> Unfit:
    with pytest.raises(Unfit) as refused:
        of.screen(text, values)
    return refused.value


# What it says of a text


def test_a_text_finds_its_template() -> None:
    found = screen(registered(), registered("Sale {#var#}", OTHER)).screen(SENT, OF_ENTITY)
    assert found == Values(content_template_id=TEMPLATE)


def test_a_text_that_fits_the_template_it_names_is_left_as_it_is() -> None:
    named = Values(principal_entity_id=ENTITY, content_template_id=TEMPLATE)
    assert screen(registered()).screen(SENT, named) is None


@pytest.mark.parametrize(
    ("values", "text", "field", "said"),
    [
        (NOTHING_GIVEN, SENT, "principal_entity_id", "is missing"),
        (Values(principal_entity_id=OTHER_ENTITY), SENT, "text", f"no template of principal entity {OTHER_ENTITY}"),
        (Values(principal_entity_id=ENTITY, content_template_id=OTHER), SENT, "content_template_id", "is known here"),
        (
            Values(principal_entity_id=OTHER_ENTITY, content_template_id=TEMPLATE),
            SENT,
            "content_template_id",
            f"no template {TEMPLATE} of principal entity {OTHER_ENTITY}",
        ),
        (Values(principal_entity_id=ENTITY, content_template_id=TEMPLATE), WRONG, "text", "DLT error 4129 EC_TEMPLATE"),
        (OF_ENTITY, WRONG, "text", f"the nearest template is order ({TEMPLATE})"),
        (OF_ENTITY, "Order " + "x" * 31 + " is on its way. -KITEBK", "text", "DLT error 4131"),
    ],
)
def test_what_does_not_fit_is_said_with_the_field_at_fault(values: Values, text: str, field: str, said: str) -> None:
    found = unfit(screen(registered()), text, values)
    assert found.field == field
    assert said in found.reason


@pytest.mark.parametrize("is_named", [False, True], ids=["found", "named"])
@pytest.mark.parametrize(
    ("sender", "message_type", "code"),
    [("OTHERS", TRANSACTIONAL, "DLT error 4130 EC_HEADER"), ("KITEBK", MARKETING, "DLT error 4136 EC_INVALID")],
)
def test_a_template_that_may_not_go_so_names_the_fault(
    sender: str, message_type: MessageType, code: str, is_named: bool
) -> None:
    values = Values(principal_entity_id=ENTITY, content_template_id=TEMPLATE if is_named else None)
    found = unfit(screen(registered(), sender=sender, message_type=message_type), SENT, values)
    assert found.field == "text"
    assert code in found.reason
    assert "nearest" not in found.reason


def test_the_nearest_is_one_that_may_be_used_where_there_is_one() -> None:
    barred = registered(TEXT, OTHER, "barred", headers=("OTHERS",))
    assert f"order ({TEMPLATE})" in unfit(screen(barred, registered("Order {#var#} is ready. -KITEBK")), WRONG).reason
    assert f"barred ({OTHER})" in unfit(screen(barred), WRONG).reason


def test_of_two_that_fit_the_one_that_may_be_used_is_chosen() -> None:
    barred = registered(TEXT, OTHER, category=Category.PROMOTIONAL)
    assert screen(barred, registered("Order {#var#}")).screen(SENT[:15], OF_ENTITY) == Values(
        content_template_id=TEMPLATE
    )


# What it costs


def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each is done."""
    calls: Counter[str] = Counter()
    look, registry = Screen._look, Registry

    def looked(*given: Any) -> Any:
        calls["look"] += 1
        return look(*given)

    def read(*given: Any) -> Any:
        calls["registry"] += 1
        return registry(*given)

    monkeypatch.setattr(Screen, "_look", looked)
    monkeypatch.setattr(known, "Registry", read)
    return calls


def test_a_hundred_thousand_rows_of_one_text_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch)
    reader = RowReader(Reading(values=OF_ENTITY, screen=screen(registered())), SENT)
    rows = (Row(0, TO, values=Values(callback_data=str(n))) for n in range(100_000))
    assert {reader.read(row).values.content_template_id for row in rows} == {TEMPLATE}
    assert calls["look"] == 1


def test_a_text_that_does_not_fit_is_looked_at_once_too(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch)
    one = screen(registered())
    assert {unfit(one, WRONG).reason for _ in range(10)} == {unfit(one, WRONG).reason}
    assert calls["look"] == 1


def test_thousands_of_texts_that_do_not_fit_take_no_more_registries_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch)
    one = screen(registered(), registered(template_id=OTHER, headers=("OTHERS",)))
    for n in range(100):
        unfit(one, f"{WRONG} {n}")
    assert calls["registry"] == 2  # all of the entity's, and those that may be used


def test_whoever_may_use_the_same_templates_has_the_same_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch)
    known = templates(registered(), registered("Any {#var#}", OTHER, headers=()))
    for n in range(100):
        known.usable(ENTITY, f"SENDER{n}", TRANSACTIONAL)
        known.usable(ENTITY, f"SENDER{n}")
    assert calls["registry"] == 1
    assert known.usable(ENTITY) is known.usable(ENTITY, "KITEBK", TRANSACTIONAL)
    assert calls["registry"] == 2


ELSEWHERE = {"template_id": "1207160000000000009", "entity_id": OTHER_ENTITY}


def test_a_change_makes_anew_what_was_asked_for_and_keeps_what_it_leaves_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that whoever asks next, perhaps with a surface locked, does not wait for it."""
    calls = counted(monkeypatch)
    kept, changed, added = map(compile_template, (registered(**ELSEWHERE), registered(), registered("New", OTHER)))
    former = Templates([kept, changed], 30)
    registries = [former.usable(entity, "KITEBK", TRANSACTIONAL) for entity in (ENTITY, OTHER_ENTITY)]
    now = Templates([kept, compile_template(registered("Sale {#var#}")), added], 30, former)
    assert calls["registry"] == 3
    again = [now.usable(entity, "KITEBK", TRANSACTIONAL) for entity in (ENTITY, OTHER_ENTITY)]
    assert calls["registry"] == 3
    assert (again[0] is registries[0], again[1] is registries[1]) == (False, True)
    assert [text for text in ("Sale now", "New", SENT) if again[0].choose(text)] == ["Sale now", "New"]


def test_what_values_may_have_is_never_taken_over() -> None:
    former = templates(registered())
    assert former.usable(ENTITY).choose("Order " + "x" * 30 + " is on its way. -KITEBK") is not None
    now = Templates([compile_template(registered())], 20, former)
    assert now.usable(ENTITY).choose("Order " + "x" * 30 + " is on its way. -KITEBK") is None


def test_it_remembers_no_more_than_a_thousand_texts() -> None:
    one = screen(registered())
    for n in range(2_500):
        one.screen(f"Order {n} is on its way. -KITEBK", OF_ENTITY)
        assert len(one._said) <= 1_000


def test_what_it_remembers_is_kept_apart_by_the_ids_given() -> None:
    one = screen(registered(), registered("Sale", OTHER))
    assert one.screen(SENT, OF_ENTITY) is not None
    assert unfit(one, SENT, Values(principal_entity_id=ENTITY, content_template_id=OTHER)).field == "text"
    assert unfit(one, SENT, NOTHING_GIVEN).field == "principal_entity_id"


# Texts made of a template


@pytest.mark.parametrize("reference", [TEMPLATE, "order"])
@pytest.mark.parametrize("entity_id", [None, ENTITY])
def test_a_template_makes_a_text_and_gives_its_ids(reference: str, entity_id: str | None) -> None:
    made = screen(registered()).compose(reference, ["A-1"], entity_id)
    assert made.text == SENT
    assert made.values == Values(principal_entity_id=ENTITY, content_template_id=TEMPLATE)


TWO = [registered(), registered("Sale {#var#}", OTHER)]
SHARED = [registered(), registered("Sale {#var#}", entity_id=OTHER_ENTITY)]


def test_a_template_named_like_another_s_id_does_not_stand_in_its_way() -> None:
    """Where they are of one entity. Another's ID means nothing beside an entity that has a template of that name."""
    namesake = registered("Sale {#var#}", OTHER, TEMPLATE)
    assert screen(namesake, registered()).compose(TEMPLATE, ["A-1"], None).text == SENT
    elsewhere = registered("Sale {#var#}", OTHER, TEMPLATE, entity_id=OTHER_ENTITY)
    assert screen(elsewhere, registered()).compose(TEMPLATE, ["A-1"], OTHER_ENTITY).text == "Sale A-1"


@pytest.mark.parametrize(
    ("given", "reference", "variables", "entity_id", "field", "said"),
    [
        (TWO, "nothing", ["A"], None, "template", "no template has this"),
        (TWO, TEMPLATE, ["A"], OTHER_ENTITY, "template", f"of principal entity {OTHER_ENTITY}"),
        (TWO, "order", ["A"], ENTITY, "template", f"one of {TEMPLATE}, {OTHER}"),
        (SHARED, TEMPLATE, ["A"], None, "principal_entity_id", f"{ENTITY}, {OTHER_ENTITY}"),
        (TWO, TEMPLATE, [], None, "template_variables", "has 1 placeholder, and 0 values"),
        (TWO, TEMPLATE, ["A", "B"], None, "template_variables", "and 2 values"),
        (TWO, TEMPLATE, ["x" * 31], None, "template_variables", "at most 30"),
        (TWO, TEMPLATE, [""], None, "template_variables", "placeholder 1"),
    ],
)
def test_what_no_text_can_be_made_of_is_said(
    given: list[Registered], reference: str, variables: list[str], entity_id: str | None, field: str, said: str
) -> None:
    with pytest.raises(Unfit) as refused:
        screen(*given).compose(reference, variables, entity_id)
    assert refused.value.field == field
    assert said in refused.value.reason


def test_an_entity_says_which_of_two_templates_of_one_name_is_meant() -> None:
    assert screen(*SHARED).compose("order", ["A-1"], OTHER_ENTITY).text == "Sale A-1"


# In sends


def store(session: Session, *given: Registered) -> list[DltTemplate]:
    made = [dlt_store.create(session, one) for one in given or [registered()]]
    session.commit()
    return made


def surface(session: Session, dlt: str = "enforce", **fields: Any) -> None:
    configure(session, surface={"dlt": dlt, "sender": "KITEBK", "principal_entity_id": ENTITY, **fields})


def send(session: Session, *rows: Row, **order: Any) -> Any:
    return enqueue_batch(session, BatchOrder(surface="otp", rows=rows or [Row(0, TO)], **order))


def refusal_of(session: Session, **order: Any) -> str:
    """What is said of its one row."""
    with pytest.raises(Refusal) as refused:
        send(session, **order)
    (fault,) = refused.value.faults
    return fault.message


def ids(session: Session) -> list[str | None]:
    return list(session.exec(select(Message.content_template_id).order_by(col(Message.id))))


def test_what_was_found_stands_on_the_message_and_not_on_the_batch(session: Session) -> None:
    surface(session)
    store(session)
    send(session, Row(0, TO), Row(1, BRITON), text=SENT)
    assert ids(session) == [TEMPLATE, None]
    assert session.exec(select(Batch.content_template_id)).one() is None
    assert session.exec(select(Message.principal_entity_id)).all() == [None, None]
    assert session.exec(select(Batch.principal_entity_id)).one() == ENTITY


def test_a_single_send_keeps_what_was_found(session: Session) -> None:
    surface(session)
    store(session)
    enqueue_message(session, MessageOrder(surface="otp", to=TO, text=SENT))
    assert ids(session) == [TEMPLATE]


@pytest.mark.parametrize(
    ("dlt", "accepted", "rejected", "warned"), [("enforce", 1, 1, 0), ("warn", 2, 0, 1), ("off", 2, 0, 0)]
)
def test_the_policy_says_what_becomes_of_a_text_that_fits_none(
    session: Session, dlt: str, accepted: int, rejected: int, warned: int
) -> None:
    surface(session, dlt)
    store(session)
    made = send(session, Row(0, TO, WRONG), Row(1, TO, SENT), skips_invalid=True)
    assert (made.accepted, made.rejected_count, made.warned_count) == (accepted, rejected, warned)
    warnings = [words for words in session.exec(select(Message.warning)) if words]
    assert len(warnings) == warned
    assert all(words.startswith("text: ") and "DLT error 4129" in words for words in warnings)
    assert [(row.index, row.field) for row in made.rejected] == [(0, "text")] * rejected


def test_one_that_fits_none_refuses_the_whole_batch_unless_it_may_be_left_out(session: Session) -> None:
    surface(session)
    store(session)
    with pytest.raises(Refusal) as refused:
        send(session, Row(0, TO, SENT), Row(1, TO, WRONG))
    assert [(fault.index, fault.field) for fault in refused.value.faults] == [(1, "text")]
    with pytest.raises(Refusal) as refused:
        enqueue_message(session, MessageOrder(surface="otp", to=TO, text=WRONG))
    assert [fault.field for fault in refused.value.faults] == ["text"]
    assert session.exec(select(Message)).all() == []


def test_a_group_asks_for_templates_once_and_never_waits_for_them(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A surface is locked meanwhile: who needs them is stored by itself, which reads them before."""
    surface(session)
    store(session)
    asked: list[Templates | None] = []
    monkeypatch.setattr(
        enqueue, "templates_if_compiled", lambda own: asked.append(templates_if_compiled(own)) or asked[-1]
    )
    orders = [MessageOrder(surface="otp", to=TO, text=words) for words in (SENT, WRONG, SENT)]
    assert draft_messages(session, orders) == [None, None, None]
    enqueue_message(session, orders[0])
    assert [type(found) for found in draft_messages(session, orders)] == [Draft, Refusal, Draft]
    assert len(asked) == 2


def test_a_group_asks_for_no_templates_where_nothing_is_held_to_them(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    surface(session, "off")
    store(session)
    asked: list[Session] = []
    monkeypatch.setattr(enqueue, "templates_if_compiled", asked.append)
    (draft,) = draft_messages(session, [MessageOrder(surface="otp", to=TO, text=WRONG)])
    assert (type(draft), asked) == (Draft, [])


def test_a_single_send_waits_for_no_templates_where_nothing_is_held_to_them(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a change of templates reading them takes seconds."""
    surface(session, "off")
    store(session)
    asked: list[Session] = []
    monkeypatch.setattr(enqueue, "read_templates", lambda own: asked.append(own) or read_templates(own))
    enqueue_message(session, MessageOrder(surface="otp", to=TO, text=WRONG))
    assert asked == []
    enqueue_message(session, MessageOrder(surface="otp", to=TO, template="order", template_variables=("A-1",)))
    assert asked == [session]


def test_a_surface_turned_on_meanwhile_holds_the_text_to_its_templates(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    surface(session)
    store(session)
    monkeypatch.setattr(enqueue, "holds_texts_to_templates", lambda *_: False)  # as it was when this was asked
    with pytest.raises(Refusal):
        enqueue_message(session, MessageOrder(surface="otp", to=TO, text=WRONG))


@pytest.mark.parametrize(("dlt", "is_held"), [("off", False), ("warn", True), ("enforce", True)])
def test_a_surface_is_asked_by_its_name_or_id_whether_it_holds_texts_to_templates(
    session: Session, dlt: str, is_held: bool
) -> None:
    surface(session, dlt)
    (of,) = session.exec(select(Surface)).all()
    assert [holds_texts_to_templates(session, one) for one in ("otp", str(of.id))] == [is_held, is_held]
    assert not holds_texts_to_templates(session, "another")


def test_a_single_send_that_is_doubtful_says_so(session: Session) -> None:
    surface(session, "warn")
    store(session)
    made = enqueue_message(session, MessageOrder(surface="otp", to=TO, text=WRONG))
    assert made.warning is not None
    assert session.exec(select(Message.warning)).one() == made.warning


def test_texts_to_other_countries_are_not_looked_at(session: Session) -> None:
    surface(session)
    assert send(session, Row(0, BRITON), text=WRONG).accepted == 1


def test_the_text_in_an_mms_s_place_is_held_to_its_sender(session: Session) -> None:
    surface(session, channel="mms", fallback_sender="KITEBK", sender="PICS", name="otp")
    store(session)
    mms = Mms(parts=(Part("text", "Look"),), fallback_text=SENT)
    send(session, mms=mms)
    assert ids(session) == [TEMPLATE]
    assert "DLT error 4129" in refusal_of(session, mms=Mms(parts=mms.parts, fallback_text=WRONG))


def test_an_mms_is_held_to_the_surface_s_own_sender_where_it_has_no_other(session: Session) -> None:
    surface(session, channel="mms", sender="PICS")
    store(session)
    mms = Mms(parts=(Part("text", "Look"),), fallback_text=SENT)
    assert "DLT error 4130" in refusal_of(session, mms=mms)


def texts(session: Session) -> list[tuple[str | None, str | None]]:
    columns = select(Message.text, Message.content_template_id).order_by(col(Message.id))
    return [tuple(row) for row in session.exec(columns)]


def test_each_row_gives_the_batch_s_template_its_values_or_has_its_own(session: Session) -> None:
    surface(session, "off")
    store(session, registered(), registered("Sale {#var#}", OTHER, "sale"))
    rows = [
        Row(0, TO),
        Row(1, TO, template_variables=["B-2"]),
        Row(2, TO, template=OTHER, template_variables=["now"]),
        Row(3, TO, "By hand"),
    ]
    send(session, *rows, template="order", template_variables=["A-1"])
    assert texts(session) == [
        (SENT, TEMPLATE),
        (SENT.replace("A-1", "B-2"), TEMPLATE),
        ("Sale now", OTHER),
        ("By hand", None),
    ]


def test_a_row_has_a_template_over_the_batch_s_text(session: Session) -> None:
    surface(session)
    store(session)
    send(session, Row(0, TO, template="order", template_variables=["A-1"]), Row(1, BRITON), text="Hello")
    assert texts(session) == [(SENT, TEMPLATE), (None, None)]


@pytest.mark.parametrize(
    "row",
    [
        Row(0, TO, "hi", template="order"),
        Row(0, TO, values=Values(content_template_id=OTHER), template="order", template_variables=["A"]),
    ],
    ids=["text", "id"],
)
def test_a_template_beside_what_it_would_make_is_refused(session: Session, row: Row) -> None:
    surface(session)
    store(session)
    with pytest.raises(Refusal) as refused:
        send(session, row)
    assert refused.value.faults[0].field == ("template" if row.text else "content_template_id")
    with pytest.raises(Refusal):
        send(session, text="hi", template="order")
    with pytest.raises(Refusal):
        enqueue_message(session, MessageOrder(surface="otp", to=TO, text="hi", template="order"))


def test_a_single_send_of_a_template_keeps_its_text_and_ids(session: Session) -> None:
    surface(session, callback_data="surface", principal_entity_id=None)
    store(session)
    enqueue_message(session, MessageOrder(surface="otp", to=TO, template="order", template_variables=["A-1"]))
    row = session.exec(select(Message)).one()
    assert (row.text, row.content_template_id, row.principal_entity_id) == (SENT, TEMPLATE, ENTITY)
    assert (row.callback_data, row.segment_count) == ("surface", 1)


def test_a_template_that_may_not_go_through_the_surface_is_refused_as_its_text_would_be(session: Session) -> None:
    surface(session, sender="OTHERS")
    store(session)
    assert "DLT error 4130" in refusal_of(session, template="order", template_variables=["A-1"])


def test_a_text_that_a_template_makes_has_the_bounds_of_any() -> None:
    reading = Reading(screen=screen(registered("é" * 1_990 + "{#var#}")))
    with pytest.raises(BadRow, match="4,040 bytes") as bad:
        RowReader(reading, template="order", template_variables=["é" * 30]).read(Row(0, TO))
    assert bad.value.field == "text"


# What is compiled follows the table


def chosen(session: Session, text: str) -> str | None:
    found = read_templates(session).usable(ENTITY, "KITEBK", TRANSACTIONAL).choose(text)
    return found and found.template.template_id


def test_what_is_compiled_is_used_again_until_a_template_changes(session: Session) -> None:
    (row,) = store(session)
    compiled = read_templates(session)
    assert read_templates(session) is compiled
    dlt_store.change(session, row, {"text": TEXT})  # as it is
    assert read_templates(session) is compiled


def test_a_template_is_known_as_soon_as_it_is_made_changed_or_deleted(session: Session) -> None:
    assert chosen(session, SENT) is None
    (row,) = store(session)
    assert chosen(session, SENT) == TEMPLATE
    dlt_store.change(session, row, {"text": "Sale {#var#}"})
    assert (chosen(session, SENT), chosen(session, "Sale now")) == (None, TEMPLATE)
    dlt_store.delete(session, row)
    assert chosen(session, "Sale now") is None


def test_one_deleted_and_one_made_are_both_seen_whatever_their_ids(session: Session) -> None:
    """IDs come from the clocks of several machines: a newer one may be the lower."""
    old, _ = store(session, registered(), registered("Other {#var#}", OTHER))
    assert chosen(session, SENT) == TEMPLATE
    dlt_store.delete(session, old)
    session.add(
        DltTemplate(
            id=UUID(int=1),
            content_template_id="1207160000000000003",
            principal_entity_id=ENTITY,
            name="new",
            headers=[],
            category="service_implicit",
            text="New {#var#}",
        )
    )
    session.flush()
    assert (chosen(session, SENT), chosen(session, "New one")) == (None, "1207160000000000003")
