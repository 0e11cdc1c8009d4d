"""Rows: what is checked of a message, of a batch or sent singly, and what is said of a bad one."""

from collections.abc import Callable

import pytest
from sqlmodel import Session, select

from tests.worker.sends import TO, configure, enqueue_batch, rows
from worker.enqueue import enqueue_message
from worker.models import Message
from worker.orders import NOTHING_GIVEN, BatchOrder, MessageOrder, Rejected, Row, Values
from worker.refusals import Refusal
from worker.rows import MOST_TEXT_BYTES, BadRow, Checked, Reading, RowReader, read_message, refusal_of_rows
from worker.segments import count

RECIPIENT = "919876543210"
TEMPLATE_ALONE = Values(content_template_id="1207160000000000001")
WITH_ENTITY = Values(content_template_id="1207160000000000001", principal_entity_id="1201150000000000001")


def fault_of(read: Callable[[], Checked]) -> str | None:
    try:
        read()
    except BadRow as error:
        return error.field
    return None


@pytest.mark.parametrize(
    ("batch_text", "row", "checked"),
    [
        ("Shared", Row(0, TO), None),
        ("Shared", Row(0, TO, "Mine"), "Mine"),
        ("Shared", Row(0, TO, "Mine, {{n}}", {"n": "1"}), "Mine, 1"),
        ("Hi {{n}}", Row(0, TO, None, {"n": "1"}), "Hi 1"),
        ("Hi {{n}}", Row(0, TO, "Mine"), "Mine"),
        (None, Row(0, TO, "Mine"), "Mine"),
    ],
)
def test_checked_row_has_a_text_only_where_it_differs_from_the_batchs(
    batch_text: str | None, row: Row, checked: str | None
) -> None:
    assert RowReader(Reading(), batch_text).read(row) == Checked(
        RECIPIENT, checked, NOTHING_GIVEN, None if checked is None else count(checked)
    )


def test_checked_row_keeps_only_the_values_given_with_it() -> None:
    own = Values(callback_data="own", content_template_id=TEMPLATE_ALONE.content_template_id)
    reader = RowReader(
        Reading(values=Values(principal_entity_id="1201150000000000001", callback_data="shared")), "Shared"
    )
    assert reader.read(Row(0, TO, values=own)).values == own


def test_checked_single_send_keeps_all_values_itself() -> None:
    above = Values(principal_entity_id="1201150000000000001", callback_data="surface")
    order = MessageOrder(surface="otp", to=TO, text="hi", values=Values(callback_data="own"))
    values = Values(principal_entity_id="1201150000000000001", callback_data="own")
    assert read_message(order, Reading(values=above)) == Checked(RECIPIENT, "hi", values, count("hi"))


@pytest.mark.parametrize(
    ("to", "text", "values", "of_single_send", "of_row"),
    [
        ("nobody", " ", TEMPLATE_ALONE, "to", "to"),
        ("nobody", " ", WITH_ENTITY, "to", "to"),
        ("nobody", "hi", TEMPLATE_ALONE, "to", "to"),
        ("nobody", "hi", WITH_ENTITY, "to", "to"),
        (TO, " ", TEMPLATE_ALONE, "text", "content_template_id"),
        (TO, " ", WITH_ENTITY, "text", "text"),
        (TO, "hi", TEMPLATE_ALONE, "content_template_id", "content_template_id"),
        (TO, "hi", WITH_ENTITY, None, None),
    ],
)
def test_of_several_faults_one_is_named(
    to: str, text: str, values: Values, of_single_send: str | None, of_row: str | None
) -> None:
    order = MessageOrder(surface="otp", to=to, text=text, values=values)
    assert fault_of(lambda: read_message(order, Reading())) == of_single_send
    reader = RowReader(Reading(), "Shared")
    assert fault_of(lambda: reader.read(Row(0, to, text, values=values))) == of_row


@pytest.mark.parametrize(
    ("content", "is_good"),
    [
        ("x" * 25 * 153, True),
        ("x" * 25 * 153 + "x", False),
        ("ж" * 25 * 67, True),
        ("ж" * 25 * 67 + "ж", False),
        ("é" * (MOST_TEXT_BYTES // 2), True),
        ("é" * (MOST_TEXT_BYTES // 2) + "x", False),
        (" \n", False),
    ],
)
def test_text_has_the_same_bounds_wherever_it_stands(content: str, is_good: bool) -> None:
    order = MessageOrder(surface="otp", to=TO, text=content)
    assert fault_of(lambda: read_message(order, Reading())) == (None if is_good else "text")
    reader = RowReader(Reading(), None)
    assert fault_of(lambda: reader.read(Row(0, TO, content))) == (None if is_good else "text")
    rendered = RowReader(Reading(), "{{all}}")
    assert fault_of(lambda: rendered.read(Row(0, TO, None, {"all": content}))) == (None if is_good else "text")
    if is_good:
        RowReader(Reading(), content)
    else:
        with pytest.raises(Refusal, match=r"^text: "):
            RowReader(Reading(), content)


LONG_TEMPLATE = "{{name}}" + "x" * MOST_TEXT_BYTES


def test_text_is_measured_before_its_placeholders_are_filled() -> None:
    with pytest.raises(Refusal, match=r"text: has 4,008 bytes in UTF-8: at most 4,000 fit"):
        RowReader(Reading(), LONG_TEMPLATE)
    with pytest.raises(BadRow, match="has 4,008 bytes in UTF-8") as refused:
        RowReader(Reading(), None).read(Row(0, TO, LONG_TEMPLATE, {"name": ""}))
    assert refused.value.field == "text"


@pytest.mark.parametrize(("batch_text", "row_text"), [("{{all}}" * 500, None), (None, "{{all}}" * 500)])
def test_what_the_filled_text_would_have_is_told(batch_text: str | None, row_text: str | None) -> None:
    reader = RowReader(Reading(), batch_text)
    with pytest.raises(BadRow, match="has 50,000,000 characters with its placeholders filled") as refused:
        reader.read(Row(0, TO, row_text, {"all": "x" * 100_000}))
    assert refused.value.field == "text"


def test_placeholders_are_for_batches_only() -> None:
    with pytest.raises(BadRow, match="only a batch fills in"):
        read_message(MessageOrder(surface="otp", to=TO, text="Hi {{name}}"), Reading())


@pytest.mark.parametrize(
    ("count", "is_all", "detail"),
    [
        (1, False, '1 row is wrong, and nothing was stored: correct it, or send on_invalid "skip" to leave it out'),
        (2, True, "2 rows are wrong, and nothing was stored: none is left to send"),
        (
            1_001,
            True,
            "1,001 rows are wrong (the first 1,000 are listed, 1 more are not), and nothing was stored: "
            "none is left to send",
        ),
    ],
)
def test_refusal_counts_the_bad_rows_and_lists_the_first_thousand(count: int, is_all: bool, detail: str) -> None:
    rejected = [Rejected(index=n, to=None, field="to", reason="is missing") for n in range(count)]
    refusal = refusal_of_rows(rejected[:1_000], count, is_all=is_all)
    assert refusal.detail == detail
    assert [fault.index for fault in refusal.faults] == list(range(min(count, 1_000)))


def test_a_template_without_an_entity_is_refused_since_infobip_could_not_attach_it(session: Session) -> None:
    configure(session)
    alone = Values(content_template_id="1207160000000000001")
    with pytest.raises(Refusal, match="principal_entity_id"):
        enqueue_message(session, MessageOrder(surface="otp", to=TO, text="hi", values=alone))
    with pytest.raises(Refusal) as raised:
        enqueue_batch(session, BatchOrder(surface="otp", rows=[Row(index=0, to=TO, values=alone)], text="hi"))
    assert [(fault.index, fault.field) for fault in raised.value.faults] == [(0, "content_template_id")]


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


def test_national_number_is_read_in_the_surfaces_country(session: Session) -> None:
    configure(session, surface={"default_country": "IN"})
    enqueue_batch(session, BatchOrder(surface="otp", rows=[Row(index=0, to="098765 43210", text="hi")]))
    assert session.exec(select(Message.recipient)).one() == "919876543210"
