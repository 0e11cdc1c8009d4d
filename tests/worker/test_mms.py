"""MMS: what it may hold, how it is stored, and how it is filled for each recipient."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session, col, select

from tests.worker.sends import TO, configure, enqueue_batch
from worker import rows
from worker.enqueue import enqueue_message
from worker.mms import (
    KINDS,
    MOST_IN_ALL,
    MOST_PARTS,
    MOST_SMIL,
    MOST_TEXT,
    MOST_TITLE,
    MOST_URL,
    BadMms,
    Mms,
    Part,
    check_mms,
    read_mms,
)
from worker.models import Batch, Message
from worker.orders import BatchOrder, MessageOrder, Row
from worker.refusals import Refusal
from worker.rows import MOST_TEXT_BYTES, NO_FALLBACK, BadRow, Reading, RowReader, read_message
from worker.words import Channel

MMS = Channel.MMS
BRITON = "+447700900001"
HELLO = Part("text", "Hello")
SMIL = "<smil>"


def of(*parts: Part, **fields: Any) -> Mms:
    return Mms(parts=parts or (HELLO,), **fields)


# Limits


@pytest.mark.parametrize(
    "mms",
    [
        of(HELLO),
        of(title="t" * MOST_TITLE),
        of(Part("text", "x" * MOST_TEXT)),
        of(Part("smil", SMIL + "x" * (MOST_SMIL - len(SMIL)))),
        of(Part("smil", "<smil/>")),
        of(Part("smil", f'\ufeff <?xml version="1.0"?>\n{SMIL}')),
        of(*[Part("text", "x" * MOST_TEXT)] * (MOST_IN_ALL // MOST_TEXT)),
        of(Part("url", "https://kite.in/" + "x" * (MOST_URL - 16), "a.jpg", "image/jpeg")),
        of(*[HELLO] * MOST_PARTS),
        of(Part("text", "one", "a"), Part("text", "two", "A"), HELLO, HELLO),
        of(Part("text", "one", "x" * 20)),
        of(Part("uploaded", "{{not-a-placeholder}}")),
        of(fallback_text="f" * 3_000),
    ],
    ids=[
        "text",
        "title",
        "long",
        "smil",
        "empty smil",
        "smil as a file has it",
        "in all",
        "url",
        "parts",
        "ids",
        "longest id",
        "uploaded",
        "fallback",
    ],
)
def test_what_stays_within_the_limits_is_good(mms: Mms) -> None:
    check_mms(mms)


BAD = [
    (of(title="t" * (MOST_TITLE + 1)), "title", "67 characters: at most 66"),
    (of(title=" "), "title", "is empty"),
    (Mms(parts=()), "parts", "is empty"),
    (of(*[HELLO] * (MOST_PARTS + 1)), "parts", "21 entries: at most 20"),
    (of(HELLO, Part("text", "x" * (MOST_TEXT + 1))), "parts.1.text", "1,601 characters: at most 1,600"),
    (of(Part("smil", SMIL + "x" * MOST_SMIL)), "parts.0.smil", "at most 10,000"),
    (of(Part("smil", "not smil at all")), "parts.0.smil", "has to begin with <smil>"),
    (of(Part("smil", "<smile>")), "parts.0.smil", "has to begin with <smil>"),
    (of(*[Part("text", "x" * MOST_TEXT)] * 10, title="t"), "parts", "16,001 characters"),
    (of(*[Part("text", "x" * MOST_TEXT)] * 10, fallback_text="f"), "parts", "16,001 characters"),
    (of(*[Part("text", "x" * MOST_TEXT)] * 10, Part("url", "https://kite.in")), "parts", "16,015 characters"),
    (of(Part("url", "https://kite.in/" + "x" * MOST_URL)), "parts.0.url", "at most 2,000"),
    (of(Part("url", "https://kite.in/{{name}}.jpg")), "parts.0.url", "placeholders"),
    (of(Part("text", " \n")), "parts.0.text", "is empty"),
    (of(HELLO, Part("url", "")), "parts.1.url", "is empty"),
    (of(Part("smil", "\t")), "parts.0.smil", "is empty"),
    (of(Part("text", "one", "a"), HELLO, Part("text", "two", "a")), "parts.2.content_id", "another part"),
    (of(Part("text", "one", "")), "parts.0.content_id", "1 to 20"),
    (of(Part("text", "one", "x" * 21)), "parts.0.content_id", "1 to 20"),
    (of(Part("text", "one", "a-b")), "parts.0.content_id", "letters, digits and dots"),
    (of(Part("text", "one", "é")), "parts.0.content_id", "letters, digits and dots"),
    (of(Part("text", "one", "a\n")), "parts.0.content_id", "letters, digits and dots"),
    (of(Part("url", "https://kite.in", None, "jpeg")), "parts.0.content_type", "must be one of image/jpeg, "),
    (of(Part("url", "https://kite.in", None, "image/jpeg; q=1")), "parts.0.content_type", "must be one of"),
    (of(Part("url", "https://kite.in", None, "application/x-evil")), "parts.0.content_type", "must be one of"),
]


@pytest.mark.parametrize(("mms", "field", "said"), BAD, ids=[f"{n} {field}" for n, (_, field, _) in enumerate(BAD)])
def test_what_goes_beyond_a_limit_is_named(mms: Mms, field: str, said: str) -> None:
    with pytest.raises(BadMms) as bad:
        check_mms(mms)
    assert bad.value.field == field
    assert said in bad.value.reason


# As it is stored

WORDS = st.text(min_size=1)
PARTS = st.builds(Part, st.sampled_from(KINDS), WORDS, st.none() | WORDS, st.none() | WORDS)
ANY_MMS = st.builds(
    Mms,
    parts=st.lists(PARTS).map(tuple),
    title=st.none() | WORDS,
    fallback_text=st.none() | WORDS,
    fallback_sender=st.none() | WORDS,
)


@given(ANY_MMS)
def test_it_is_read_as_it_was_stored(mms: Mms) -> None:
    assert read_mms(mms.as_json()) == mms


def test_only_what_it_has_is_stored() -> None:
    assert of(HELLO, Part("url", "https://kite.in", "p", "image/png")).as_json() == {
        "parts": [{"text": "Hello"}, {"url": "https://kite.in", "content_id": "p", "content_type": "image/png"}]
    }


@given(ANY_MMS)
def test_filling_changes_what_a_recipient_reads_and_nothing_else(mms: Mms) -> None:
    fields: list[str] = []

    def fill(field: str, words: str) -> str:
        fields.append(field)
        return words + "!"

    filled = mms.with_texts(fill)
    assert sorted(filled.texts()) == sorted(words + "!" for words in mms.texts())
    assert len(fields) == len(set(fields)) == len(list(mms.texts()))
    assert filled.with_texts(lambda _, words: words[:-1]) == mms


# Filled for each recipient

NAMED = Mms(title="For {{name}}", parts=(Part("text", "Hi {{name}}"), HELLO), fallback_text="Dear {{name}}")


def fault(mms: Mms, variables: dict[str, str], reading: Reading | None = None) -> tuple[str, str]:
    reader = RowReader(reading or Reading(channel=MMS), mms=mms)
    with pytest.raises(BadRow) as bad:
        reader.read(Row(0, BRITON, variables=variables))
    return bad.value.field, bad.value.reason


def test_placeholders_are_filled_wherever_a_recipient_reads_them() -> None:
    checked = RowReader(Reading(channel=MMS), mms=NAMED).read(Row(0, BRITON, variables={"name": "Asha"}))
    assert checked.mms == Mms(
        title="For Asha", parts=(Part("text", "Hi Asha"), HELLO), fallback_text="Dear Asha", fallback_sender=None
    )
    assert checked.text is None


def test_a_value_is_never_read_for_placeholders() -> None:
    checked = RowReader(Reading(channel=MMS), mms=NAMED).read(Row(0, BRITON, variables={"name": "{{name}}"}))
    assert checked.mms is not None
    assert checked.mms.title == "For {{name}}"


def test_what_is_alike_for_all_stands_with_no_row() -> None:
    checked = RowReader(Reading(channel=MMS), mms=of()).read(Row(0, BRITON, variables={"name": "Asha"}))
    assert checked.mms is None


@pytest.mark.parametrize(
    ("mms", "variables", "field", "said"),
    [
        (of(Part("text", "{{n}}")), {"n": "x" * (MOST_TEXT + 1)}, "mms.parts.0.text", "at most 1,600 fit"),
        (of(HELLO, Part("text", "{{n}}")), {"n": " "}, "mms.parts.1.text", "is empty"),
        (of(HELLO, Part("text", "{{n}}")), {"n": "x" * 5_000}, "mms.parts.1.text", "5,000 characters"),
        (of(title="{{n}}"), {"n": "x" * (MOST_TITLE + 1)}, "mms.title", "at most 66 fit"),
        (of(title="{{n}}"), {"n": ""}, "mms.title", "is empty"),
        (of(fallback_text="{{n}}"), {"n": " "}, "mms.fallback_text", "is empty"),
        (of(fallback_text="{{n}}"), {"n": "ж" * 1_700}, "mms.fallback_text", "26 parts"),
        (of(fallback_text="{{n}}"), {"n": "é" * 2_001}, "mms.fallback_text", "4,002 bytes"),
        (of(fallback_text="{{n}}"), {"n": "x" * 5_000}, "mms.fallback_text", "5,000 characters"),
        (of(fallback_text="{{n}}"), {"m": "x"}, "variables", "{{n}}"),
        (of(*[Part("text", "{{n}}")] * 16), {"n": "x" * 1_001}, "mms.parts", "16,016 characters"),
    ],
    ids=lambda value: None if isinstance(value, Mms | dict) else str(value),
)
def test_what_a_row_makes_of_it_is_held_to_the_limits_and_the_field_is_named(
    mms: Mms, variables: dict[str, str], field: str, said: str
) -> None:
    found, reason = fault(mms, variables)
    assert found == field
    assert said in reason


# Of a batch, and sent singly


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"mms": of(Part("text", " "))}, "mms.parts.0.text"),
        ({"mms": of(title="t" * 67)}, "mms.title"),
        ({"mms": of(fallback_text="ж" * 1_700)}, "mms.fallback_text"),
        ({"mms": of(fallback_text=" ")}, "mms.fallback_text"),
        ({"mms": of(Part("url", "https://kite.in/{{n}}"))}, "mms.parts.0.url"),
        ({}, "mms"),
        ({"mms": of(), "text": "hi"}, "mms"),
        ({"mms": of(), "template": "order"}, "mms"),
        ({"text": "hi"}, "mms"),
        ({"mms": of(), "template_variables": ["A"]}, "template_variables"),
        ({"mms": of(), "template_variables": []}, "template_variables"),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_single", [False, True], ids=["batch", "single"])
def test_what_is_wrong_with_it_is_said_of_a_batch_and_of_a_single_send(
    session: Session, fields: dict[str, Any], field: str, is_single: bool
) -> None:
    configure(session, surface={"channel": "mms"})
    single, batch = (
        MessageOrder(surface="otp", to=BRITON, **fields),
        BatchOrder(surface="otp", rows=[Row(0, BRITON)], **fields),
    )
    with pytest.raises(Refusal) as refused:
        enqueue_message(session, single) if is_single else enqueue_batch(session, batch)
    assert [found.field for found in refused.value.faults] == [field]


@pytest.mark.parametrize(("row", "field"), [(Row(0, BRITON, "hi"), "text"), (Row(0, BRITON, template="a"), "template")])
def test_a_row_gives_an_mms_no_text(row: Row, field: str) -> None:
    with pytest.raises(BadRow, match="goes through an SMS surface") as bad:
        RowReader(Reading(channel=MMS), mms=of()).read(row)
    assert bad.value.field == field


def test_a_row_fills_no_template_of_an_mms() -> None:
    """It has none: what would fill one is refused, not dropped."""
    with pytest.raises(BadRow, match="an MMS has none: leave them out") as bad:
        RowReader(Reading(channel=MMS), mms=of()).read(Row(0, BRITON, template_variables=["A"]))
    assert bad.value.field == "template_variables"


def test_its_texts_are_taken_apart_once_for_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    whole = rows.Template
    monkeypatch.setattr(rows, "Template", lambda text: taken.append(text) or whole(text))
    reader = RowReader(Reading(channel=MMS), mms=NAMED)
    for number in range(3):
        reader.read(Row(number, BRITON, variables={"name": "Asha"}))
    assert sorted(taken) == ["Dear {{name}}", "For {{name}}", "Hi {{name}}"]


def test_an_sms_surface_takes_no_mms() -> None:
    with pytest.raises(Refusal, match="the surface sends SMS"):
        RowReader(Reading(), mms=of())
    with pytest.raises(BadRow, match="the surface sends SMS"):
        read_message(MessageOrder(surface="otp", to=BRITON, mms=of()), Reading())


@pytest.mark.parametrize(
    "mms", [NAMED, of(title="{{name}}"), of(fallback_text="{{name}}")], ids=["all", "title", "sms"]
)
def test_placeholders_of_a_single_send_are_refused(mms: Mms) -> None:
    with pytest.raises(BadRow, match="only a batch fills in") as bad:
        read_message(MessageOrder(surface="otp", to=BRITON, mms=mms), Reading(channel=MMS))
    assert bad.value.field == "mms"


@pytest.mark.parametrize(
    ("to", "fallback_text", "is_doubtful"), [(TO, None, True), (TO, "Look", False), (BRITON, None, False)]
)
def test_an_mms_to_india_without_a_text_is_doubtful(to: str, fallback_text: str | None, is_doubtful: bool) -> None:
    mms = of(fallback_text=fallback_text)
    warning = NO_FALLBACK if is_doubtful else None
    assert RowReader(Reading(channel=MMS), mms=mms).read(Row(0, to)).warning == warning
    assert read_message(MessageOrder(surface="otp", to=to, mms=mms), Reading(channel=MMS)).warning == warning


def stored(session: Session) -> tuple[Any, list[Any]]:
    """The batch's MMS, and those of its messages."""
    messages = session.exec(select(Message.mms).order_by(col(Message.id))).all()
    return session.exec(select(Batch.mms)).one_or_none(), list(messages)


def test_shared_content_stands_on_the_batch_only(session: Session) -> None:
    configure(session, surface={"channel": "mms"})
    mms = of(title="T", fallback_text="Look")
    accepted = enqueue_batch(session, BatchOrder(surface="otp", rows=[Row(0, TO), Row(1, BRITON)], mms=mms))
    assert stored(session) == ({**mms.as_json(), "fallback_sender": "ACME"}, [None, None])
    assert (accepted.parts, accepted.warned_count) == ({}, 0)


def test_what_differs_stands_on_the_messages(session: Session) -> None:
    configure(session, surface={"channel": "mms", "fallback_sender": "KITEBK"})
    given = [Row(n, TO, variables={"name": name}) for n, name in enumerate(["Asha", 'B"\\\t\nen'])]
    enqueue_batch(session, BatchOrder(surface="otp", rows=given, mms=NAMED))
    shared, own = stored(session)
    assert shared["title"] == "For {{name}}"
    assert [mms["title"] for mms in own] == ["For Asha", 'For B"\\\t\nen']
    assert {mms["fallback_sender"] for mms in own} == {"KITEBK"}
    assert own[0]["parts"] == [{"text": "Hi Asha"}, {"text": "Hello"}]


def test_a_single_send_holds_it_all(session: Session) -> None:
    configure(session, surface={"channel": "mms"})
    enqueue_message(session, MessageOrder(surface="otp", to=TO, mms=of(title="T", fallback_text="Look")))
    assert stored(session) == (
        None,
        [{"title": "T", "fallback_text": "Look", "fallback_sender": "ACME", "parts": [{"text": "Hello"}]}],
    )


def test_doubtful_ones_are_counted_and_say_why(session: Session) -> None:
    configure(session, surface={"channel": "mms"})
    accepted = enqueue_batch(session, BatchOrder(surface="otp", rows=[Row(0, TO), Row(1, BRITON)], mms=of()))
    assert accepted.warned_count == 1
    assert session.exec(select(Message.warning).order_by(col(Message.id))).all() == [NO_FALLBACK, None]


def test_a_bad_row_is_left_out_with_its_field(session: Session) -> None:
    configure(session, surface={"channel": "mms"})
    given = [Row(0, TO, variables={"name": "x" * MOST_TEXT_BYTES}), Row(1, TO, variables={"name": "Asha"})]
    accepted = enqueue_batch(session, BatchOrder(surface="otp", rows=given, mms=NAMED, skips_invalid=True))
    assert [(row.index, row.field) for row in accepted.rejected] == [(0, "mms.title")]
    assert accepted.accepted == 1
