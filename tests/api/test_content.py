"""What is sent and how, as requests give it: parts of an MMS, languages, windows; and what is said of a wrong one."""

from typing import Any

import httpx
import orjson
import pytest
from pydantic import BaseModel, ValidationError
from sqlmodel import Session, col, select

from api.orders import batch_order, message_order
from api.problems import faults_of
from api.schemas.content import LanguageIn, MmsIn, WindowIn
from api.schemas.sends import BatchIn, MessageIn
from tests.api.conftest import Make, check_problem
from worker.alphabets import Language
from worker.hours import parse_hours
from worker.mms import Mms, Part
from worker.models import Batch, Message

TO = "+919876543210"
WINDOW = {"from": "09:00", "to": "21:00", "time_zone": "Asia/Kolkata"}
MEDIA = "0197b0c0-0000-7000-8000-000000000001"


class Given(BaseModel):
    mms: MmsIn | None = None
    language: LanguageIn | None = None
    sending_window: WindowIn | None = None


def read(**fields: Any) -> Given:
    return Given.model_validate(fields)


def faults(**fields: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as refused:
        read(**fields)
    return [(fault.field, fault.message) for fault in faults_of(refused.value)]


def test_an_mms_is_read_part_by_part() -> None:
    given = {
        "title": "Photo",
        "parts": [
            {"text": "Look", "content_id": "t"},
            {"url": "https://kite.in/p.jpg", "content_id": "p", "content_type": "image/jpeg"},
            {"smil": "<smil/>"},
            {"media": MEDIA, "content_id": "m"},
        ],
        "fallback_text": "See kite.in/p",
    }
    found = read(mms=given).mms
    assert found is not None
    assert found.mms() == Mms(
        title="Photo",
        parts=(
            Part("text", "Look", "t"),
            Part("url", "https://kite.in/p.jpg", "p", "image/jpeg"),
            Part("smil", "<smil/>"),
            Part("media", MEDIA, "m"),
        ),
        fallback_text="See kite.in/p",
    )


@pytest.mark.parametrize(
    ("part", "field", "said"),
    [
        ({}, "mms.parts.0", "exactly one of text, url, smil and media, and holds 0"),
        ({"text": "a", "url": "https://b"}, "mms.parts.0", "and holds 2"),
        ({"text": "a", "content_type": "image/png"}, "mms.parts.0", "belongs to a url"),
        ({"media": "photo"}, "mms.parts.0.media", ""),
        ({"text": 1}, "mms.parts.0.text", "must be text"),
        ({"uploaded": "x"}, "mms.parts.0.uploaded", "is not a field"),
        ("a", "mms.parts.0", "must be a JSON object"),
    ],
    ids=str,
)
def test_a_part_that_is_not_one_thing_is_refused(part: Any, field: str, said: str) -> None:
    ((found, words),) = faults(mms={"parts": [part]})
    assert found == field
    assert said in words


def test_who_sends_in_an_mms_s_place_is_the_surface_s_to_say() -> None:
    ((field, _),) = faults(mms={"parts": [{"text": "a"}], "fallback_sender": "ACME"})
    assert field == "mms.fallback_sender"


@pytest.mark.parametrize(
    ("given", "language"),
    [
        (None, None),
        ("TR", Language("TR")),
        ("AUTODETECT", Language("AUTODETECT")),
        ({"code": "PT"}, Language("PT")),
        ({"code": "PT", "single_shift": True}, Language("PT", single_shift=True)),
        ({"code": "TR", "locking_shift": True, "single_shift": True}, Language("TR", True, True)),
    ],
    ids=str,
)
def test_a_language_is_a_code_or_an_object(given: Any, language: Language | None) -> None:
    assert read(language=given).language == language


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ("DE", "", "must be one of NONE, TR, ES, PT, AUTODETECT"),
        ("", "", "must be one of"),
        (1, "", "must be one of"),
        ([], "", "must be one of"),
        ({}, "", "must be one of"),
        ({"code": []}, "", "must be one of"),
        ({"code": "TR", "single_shift": "yes"}, ".single_shift", "must be true or false"),
        ({"code": "TR", "shift": True}, ".shift", "is not a field"),
    ],
    ids=str,
)
def test_what_is_no_language_is_said_in_one_sentence(given: Any, field: str, said: str) -> None:
    ((found, words),) = faults(language=given)
    assert found == f"language{field}"
    assert said in words
    assert "\n" not in words
    assert "pydantic" not in words


def test_a_window_is_hours_or_off() -> None:
    assert read(sending_window=WINDOW).sending_window == parse_hours(WINDOW)
    assert read(sending_window="off").sending_window == "off"
    assert read(sending_window=None).sending_window is None


@pytest.mark.parametrize("given", ["on", 1, [], {}, {**WINDOW, "zone": "UTC"}, {**WINDOW, "from": "9"}], ids=str)
def test_what_is_no_window_is_said_in_one_sentence(given: Any) -> None:
    ((field, words),) = faults(sending_window=given)
    assert field == "sending_window"
    assert "\n" not in words


# Into orders


def test_a_batch_s_content_is_its_order_s() -> None:
    body = {
        "surface": "otp",
        "template": "order",
        "template_variables": ["A", 2],
        "language": "TR",
        "transliteration": "ALL",
        "sending_window": "off",
        "window_off_reason": "Alarm",
        "messages": [{"to": TO, "template": "sale", "template_variables": []}, {"to": TO, "template_variables": "x"}],
    }
    order = batch_order(BatchIn.model_validate_json(orjson.dumps(body)))
    assert (order.template, order.template_variables, order.window_off_reason) == ("order", ["A", "2"], "Alarm")
    assert (order.manner.language, order.manner.transliteration) == (Language("TR"), "ALL")
    assert order.manner.sending_window == "off"
    assert [(row.template, row.template_variables) for row in order.rows] == [("sale", [])]
    assert [(row.index, row.field) for row in order.rejected] == [(1, "template_variables")]


def test_a_single_send_s_content_is_its_order_s() -> None:
    body = {"surface": "otp", "to": TO, "mms": {"parts": [{"text": "a"}]}}
    order = message_order(MessageIn.model_validate_json(orjson.dumps(body)))
    assert (order.text, order.template, order.mms) == (None, None, Mms(parts=(Part("text", "a"),)))


# What texts take, at enqueue

HEAD = {"surface": "otp", "on_invalid": "skip"}


def send(api: httpx.Client, form: str, rows: list[dict[str, Any]], **head: Any) -> dict[str, Any]:
    if form == "json":
        answer = api.post("/v1/batches", json={**HEAD, **head, "messages": rows})
    else:
        body = b"\n".join(orjson.dumps(line) for line in [{**HEAD, **head}, *rows])
        answer = api.post("/v1/batches", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


FORMS = pytest.mark.parametrize("form", ["json", "ndjson"])
COUNTS = ("encoding", "segment_count", "characters_left", "forcing")


def counts(row: Any) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in COUNTS)


@FORMS
def test_what_a_text_takes_stands_where_the_text_does(
    api: httpx.Client, session: Session, make_surface: Make, form: str
) -> None:
    make_surface()
    answer = send(api, form, [{"to": TO}, {"to": TO, "text": "ж" * 71}], text="x" * 161)
    assert answer["parts"] == 4
    assert counts(session.exec(select(Batch)).one()) == ("GSM-7", 2, 145, None)
    messages = session.exec(select(Message).order_by(col(Message.id))).all()
    assert [counts(row) for row in messages] == [(None,) * 4, ("UCS-2", 2, 63, "ж")]


@FORMS
def test_the_manner_of_the_batch_counts_before_the_surface_s(
    api: httpx.Client, session: Session, make_surface: Make, form: str
) -> None:
    make_surface(language="TR", transliteration="GREEK")
    for head, encoding in [({}, "UCS-2"), ({"transliteration": "CYRILLIC"}, "GSM-7")]:
        send(api, form, [{"to": TO}], text="привет", **head)
        batch = session.exec(select(Batch).order_by(col(Batch.id).desc()).limit(1)).one()
        assert batch.encoding == encoding
        assert batch.language["code"] == "TR"


@FORMS
def test_a_text_of_too_many_parts_names_the_character_that_forces_them(
    api: httpx.Client, make_surface: Make, form: str
) -> None:
    make_surface()
    text = "x" * 1_700 + "’"
    answer = send(api, form, [{"to": TO, "text": text}, {"to": TO, "text": "hi"}])
    (row,) = answer["rejected"]
    assert (row["index"], row["field"], answer["parts"]) == (0, "text", 1)
    assert "takes 26 parts" in row["reason"]
    assert "U+2019 RIGHT SINGLE QUOTATION MARK at character 1,701" in row["reason"]
    refused = api.post("/v1/messages", json={"surface": "otp", "to": TO, "text": text})
    assert [error["field"] for error in check_problem(refused, 422)["errors"]] == ["text"]


@FORMS
def test_parts_of_suppressed_ones_are_counted_too(api: httpx.Client, make_surface: Make, form: str) -> None:
    make_surface(message_type="marketing", require_opt_in=True)
    answer = send(api, form, [{"to": TO}, {"to": TO, "text": "x" * 161}], text="hi")
    assert (answer["suppressed"], answer["parts"]) == (2, 3)
