"""What `delivery send` sends, and shows before: DLT templates, MMS, encodings, sending windows; against a real API."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from sqlmodel import Session

from cli.send_content import Content
from cli.send_preview import preview_facts
from tests.cli.shell import Delivery, Done, failure
from tests.factories import ENTITY, SENDER, TEMPLATE, MadeLane
from worker import tokens
from worker.words import Scope

ANNA, BERT, CARL = "919876543210", "919876543211", "14155550123"
REGISTERED = {
    "content_template_id": TEMPLATE,
    "principal_entity_id": ENTITY,
    "name": "order-sent",
    "category": "service_implicit",
    "headers": [SENDER],
    "text": "Order {#numeric#} comes on {#var#}. -KITEBK",
}
NOTHING: dict[str, Any] = {
    **dict.fromkeys(("text", "template", "mms", "title", "fallback_text")),
    **dict.fromkeys(("values", "pictures"), ()),
}
MEDIA_ID = "01a22ece-6758-7073-8ea9-592bb72081f8"

pytestmark = pytest.mark.usefixtures("lane")


@pytest.fixture
def send(at_home: Delivery) -> Delivery:
    return lambda *options, **rest: at_home("send", "--surface", "main", *options, **rest)


@pytest.fixture
def registered(lane: MadeLane, administrator: httpx.Client) -> None:
    administrator.post("/v1/dlt-templates", json=REGISTERED).raise_for_status()


def change_surface(administrator: httpx.Client, **fields: Any) -> None:
    administrator.patch("/v1/surfaces/main", json=fields).raise_for_status()


def texts(session: Session) -> list[str]:
    return list(session.connection().exec_driver_sql("SELECT text FROM message ORDER BY id").scalars())


def shown(done: Done, code: int = 0) -> dict[str, str]:
    """The facts of a dry run, by name."""
    assert (done.code, done.err) == (code, ""), done
    return dict(re.findall(r"^(\w[\w -]*?)  +(.*)$", done.out, re.MULTILINE))


# DLT templates


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("reference", [TEMPLATE, "order-sent"])
def test_template_makes_the_text_of_a_message(
    send: Delivery, session: Session, administrator: httpx.Client, reference: str
) -> None:
    values = ("--to", ANNA, "--template", reference, "--value", "5512", "--value", "Friday")
    dry = send(*values, "--dry-run", "--json").json
    assert (dry["text"], dry["content_template_id"]) == ("Order 5512 comes on Friday. -KITEBK", TEMPLATE)
    assert send(*values, "--no-wait").code == 0
    (message,) = administrator.get("/v1/messages", params={"to": ANNA}).json()["items"]
    assert (message["content_template_id"], message["principal_entity_id"]) == (TEMPLATE, ENTITY)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("options", "typed"),
    [
        (("--map", "template_variables=order,Day"), f"to,day,order\n{ANNA},Friday,1\n{BERT},Monday,2\n"),
        (
            (),
            f'{{"to":"{ANNA}","template_variables":["1","Friday"]}}\n'
            f'{{"to":"{BERT}","template_variables":[2,"Monday"]}}\n',
        ),
    ],
    ids=["columns", "the API's own form"],
)
def test_file_gives_each_row_its_values(send: Delivery, session: Session, options: tuple[str, ...], typed: str) -> None:
    common = ("--file", "-", "--template", "order-sent", *options)
    dry = send(*common, "--dry-run", "--json", typed=typed.encode()).json
    wanted = ["Order 1 comes on Friday. -KITEBK", "Order 2 comes on Monday. -KITEBK"]
    assert [sample["text"] for sample in dry["samples"]] == wanted
    assert (dry["wrong"], dry["templates"]) == (0, {TEMPLATE: 2})
    assert send(*common, "--no-wait", typed=typed.encode()).code == 0
    assert texts(session) == wanted


@pytest.mark.usefixtures("registered")
def test_same_values_go_to_a_whole_file(send: Delivery, session: Session) -> None:
    values = ("--template", "order-sent", "--value", "7", "--value", "Friday")
    assert send("--file", "-", *values, "--no-wait", typed=f"to\n{ANNA}\n".encode()).code == 0
    assert texts(session) == ["Order 7 comes on Friday. -KITEBK"]


@pytest.mark.usefixtures("registered")
def test_other_order_of_the_columns_is_another_batch(send: Delivery, administrator: httpx.Client) -> None:
    typed = f"to,a,b\n{ANNA},1,2\n".encode()
    for columns in ("a,b", "b,a", "a,b"):
        options = ("--template", "order-sent", "--map", f"template_variables={columns}", "--no-wait")
        assert send("--file", "-", *options, typed=typed).code == 0
    assert len(administrator.get("/v1/batches").json()["items"]) == 2


@pytest.mark.usefixtures("registered")
def test_value_that_the_template_does_not_take_is_told_by_its_row(send: Delivery, tmp_path: Path) -> None:
    typed = f"to,order\n{ANNA},A-1\n{BERT},2\n".encode()
    options = ("--file", "-", "--template", "order-sent", "--map", "template_variables=order,order")
    done = send(*options, "--dry-run", "--json", "--rejected", "rejected.csv", typed=typed)
    (wrong,) = done.json["examples"]
    assert (done.code, wrong["line"], wrong["field"]) == (1, 2, "template_variables")
    assert wrong["reason"].startswith("placeholder 1, {#numeric#}: ")
    assert '["A-1","A-1"]' in (tmp_path / "rejected.csv").read_text().replace('""', '"')


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(("policy", "code", "wrong", "warned"), [("enforce", 1, 1, 0), ("warn", 0, 0, 1)])
def test_dry_run_says_which_texts_scrubbing_would_refuse(
    send: Delivery, administrator: httpx.Client, policy: str, code: int, wrong: int, warned: int
) -> None:
    change_surface(administrator, dlt=policy, principal_entity_id=ENTITY)
    typed = f"to,day\n{ANNA},Friday\n{BERT},{'x' * 41}\n{CARL},{'x' * 41}\n".encode()
    options = ("--file", "-", "--text", "Order 1 comes on {{day}}. -KITEBK")
    done = send(*options, "--dry-run", "--json", typed=typed)
    assert (done.code, done.json["wrong"], done.json["warned"]) == (code, wrong, warned)
    assert done.json["templates"] == {TEMPLATE: 1}  # the others fit none, or go elsewhere
    words = [*(row["reason"] for row in done.json["examples"]), *(row["warning"] for row in done.json["warnings"])]
    assert "DLT error 4131 EC_TEMPLATE_VARIABLE_EXCEEDED_MAX_LENGTH" in words[0]
    if policy == "warn":
        said = send(*options, "--no-wait", typed=typed).out
        assert "3 segments; 1 messages are doubtful: `delivery messages list --batch " in said
        single = send("--to", BERT, "--text", "Hello", "--no-wait").out
        assert "doubtful: text: " in single


# Encodings, and when it leaves


def test_dry_run_shows_what_each_encoding_takes_and_what_forces_unicode(send: Delivery) -> None:
    typed = f"to,name\n{ANNA},Anna\n{BERT},O’Neil{'x' * 66}\n".encode()
    facts = shown(send("--file", "-", "--text", "{{name}}", "--dry-run", typed=typed))
    assert facts["segments"] == "3"
    assert (facts["GSM-7"], facts["UCS-2"]) == ("1 messages, 1 segments", "1 messages, 2 segments")
    assert facts["Unicode for"] == "U+2019 RIGHT SINGLE QUOTATION MARK, first in line 3 at character 2"


@pytest.mark.parametrize(
    ("fields", "options", "encoding"),
    [
        ({}, (), "UCS-2 for U+011F LATIN SMALL LETTER G WITH BREVE"),
        ({"language": "TR"}, (), "GSM-7, TR locking"),
        ({}, ("--language", '{"code": "TR", "single_shift": true}'), "GSM-7, TR single"),
        ({"language": "TR"}, ("--transliteration", "TURKISH", "--language", "NONE"), "GSM-7"),
    ],
)
def test_texts_are_counted_as_the_surface_and_the_batch_have_them_sent(
    send: Delivery, administrator: httpx.Client, fields: dict[str, Any], options: tuple[str, ...], encoding: str
) -> None:
    change_surface(administrator, **fields)
    typed = f"to\n{ANNA}\n".encode()
    found = send("--file", "-", "--text", "dağ", *options, "--dry-run", "--json", typed=typed).json
    (sample,), (item,) = found["samples"], found["preview"]["items"]
    assert sample["encoding"] == encoding
    assert (item["segments"]["encoding"], item["segments"]["parts"]) == (encoding[:5], sample["segments"])


def test_window_of_the_batch_says_when_the_first_message_leaves(send: Delivery) -> None:
    day = (datetime.now(UTC) + timedelta(days=1)).strftime("%a")
    window = ("--sending-window", f"09:00-18:00 UTC {day}", "--validity", "PT48H")
    typed = f"to\n{ANNA}\n".encode()
    facts = shown(send("--file", "-", "--text", "Hello", *window, "--dry-run", typed=typed))
    at = re.fullmatch(r"at (\d{4}-\d\d-\d\d) 09:00:00Z", facts["first leaves"])
    assert at
    assert f"{datetime.fromisoformat(at[1]):%a}" == day


def test_options_of_a_batch_reach_the_api(send: Delivery, session: Session) -> None:
    options = ("--sending-window", "off", "--window-off-reason", "one-time codes", "--transliteration", "GREEK")
    assert send("--file", "-", "--text", "x", *options, "--no-wait", typed=f"to\n{ANNA}\n".encode()).code == 0
    (row,) = session.connection().exec_driver_sql("SELECT transliteration, window_off_reason FROM batch").all()
    assert tuple(row) == ("GREEK", "one-time codes")


def test_token_that_may_only_read_has_a_dry_run_without_preview(send: Delivery, session: Session) -> None:
    token = tokens.create_token(session, "reader", [Scope.READ])
    found = send("--to", ANNA, "--text", "Hello", "--dry-run", "--json", DELIVERY_API_TOKEN=token)
    assert (found.code, found.json["segments"], found.json["preview"]) == (0, 1, None)


def test_what_only_the_api_judges_is_told_by_a_dry_run_in_options(send: Delivery) -> None:
    options = ("--file", "-", "--text", "Hello", "--validity", "2h", "--dry-run")
    assert failure(send(*options, typed=f"to\n{ANNA}\n".encode())).startswith("--validity: '2h' is not an ISO 8601")


AT = "2026-11-30T12:00:00Z"
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("turns", "cost", "facts"),
    [
        ([AT], [], {"first leaves": "at once", "cost": "no price is known for this message"}),
        (
            ["2026-12-01T04:30:00Z", "2026-12-01T10:00:00+05:30"],
            [
                {"messages": 1, "amount": 0.01, "currency": "EUR"},
                {"messages": 1, "amount": None, "currency": None},
            ],
            {
                "first leaves": "at 2026-12-01 04:30:00Z",
                "cost": "0.0100 EUR for the first 2, by past prices; of 1 of them no price is known",
            },
        ),
        ([None], [], {"not sent": "1 of the first 1: "}),
    ],
)
def test_preview_in_words(turns: list[str | None], cost: list[dict[str, Any]], facts: dict[str, str]) -> None:
    items = [{"leaves_at": turn, "not_sent": None if turn else "CONSENT_OPTED_OUT"} for turn in turns]
    told = dict(preview_facts({"items": items, "cost": cost}, NOW))
    assert told.keys() == facts.keys()
    assert all(told[name].startswith(facts[name]) for name in facts)


# MMS


@pytest.fixture
def pictures(at_home: Delivery, lane: MadeLane, administrator: httpx.Client) -> Delivery:
    """`delivery send` through a surface for MMS."""
    credential = {"name": "pictures", "base_url": "https://abc123.api.infobip.com", "api_key": "0123456789abcdef"}
    administrator.post("/v1/credentials", json=credential).raise_for_status()
    surface = {"name": "pictures", "channel": "mms", "message_type": "transactional", "credential": "pictures"}
    administrator.post("/v1/surfaces", json={**surface, "sender": SENDER}).raise_for_status()
    return lambda *options, **rest: at_home("send", "--surface", "pictures", *options, **rest)


def test_options_make_an_mms_and_a_file_fills_its_texts(pictures: Delivery, session: Session) -> None:
    typed = f"to,name\n{CARL},Carl\n".encode()
    options = ("--file", "-", "--title", "Sale", "--text", "Hello {{name}}", "--fallback-text", "Hi {{name}}")
    dry = pictures(*options, "--dry-run", "--json", typed=typed).json
    (sample,) = dry["samples"]
    assert (sample["encoding"], sample["segments"]) == ("MMS", 0)
    assert sample["text"] == "Sale; Hello Carl; in its place: Hi Carl"
    assert pictures(*options, "--no-wait", typed=typed).code == 0
    (stored,) = session.connection().exec_driver_sql("SELECT mms FROM message").scalars()
    del stored["fallback_sender"]
    assert stored == {"title": "Sale", "parts": [{"text": "Hello Carl"}], "fallback_text": "Hi Carl"}


def test_mms_comes_from_a_file_as_the_api_takes_it(pictures: Delivery, tmp_path: Path, session: Session) -> None:
    mms = {"title": "Sale", "parts": [{"text": "Hello"}, {"smil": "<smil/>"}]}
    (tmp_path / "mms.json").write_text(json.dumps(mms))
    options = ("--to", CARL, "--mms", "mms.json")
    assert pictures(*options, "--dry-run", "--json").json["text"] == "Sale; Hello; SMIL"
    assert pictures(*options, "--no-wait").code == 0
    (stored,) = session.connection().exec_driver_sql("SELECT mms FROM message").scalars()
    assert stored == mms


def test_mms_to_india_without_a_text_in_its_place_is_doubtful(pictures: Delivery) -> None:
    done = pictures("--to", ANNA, "--title", "Sale", "--text", "Hello", "--dry-run", "--json")
    assert done.json["warning"].startswith("MMS sent from outside India rarely reaches")


@pytest.mark.parametrize(
    ("given", "mms"),
    [
        (
            {"pictures": ["https://kite.example/a.jpg", MEDIA_ID.upper()], "text": "Hi"},
            {"parts": [{"url": "https://kite.example/a.jpg"}, {"media": MEDIA_ID}, {"text": "Hi"}]},
        ),
        ({"title": "Sale", "fallback_text": "Hi"}, {"title": "Sale", "parts": [], "fallback_text": "Hi"}),
    ],
)
def test_pictures_stand_above_the_text(given: dict[str, Any], mms: dict[str, Any]) -> None:
    assert Content(**{**NOTHING, **given}).fields() == {"mms": mms}


@pytest.mark.parametrize(
    "given", [{"values": ["1"]}, {"mms": "a.json", "title": "x"}, {"mms": "a.json", "text": "x"}], ids=str
)
def test_content_that_contradicts_itself_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(typer.BadParameter):
        Content(**{**NOTHING, **given}).fields()


def test_file_of_an_mms_that_is_none_is_one_line(pictures: Delivery, tmp_path: Path) -> None:
    for content, words in (("[]", "mms.json must hold one JSON object"), ("{", "mms.json is not JSON: ")):
        (tmp_path / "mms.json").write_text(content)
        assert failure(pictures("--to", CARL, "--mms", "mms.json", "--no-wait")).startswith(words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--text", "x", "--sending-window", "off"), "are for a --file"),
        (("--text", "x", "--language", "{"), "begins with { and is not JSON"),
        (("--file", "x.csv", "--sending-window", "10-21"), "is no sending window"),
        (("--file", "-", "--mms", "-"), "cannot be both --file and --mms"),
        (("--file", "x.csv", "--template", "t", "--value", "1", "--map", "template_variables=a"), "leave out one"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_options_are_exit_code_2(send: Delivery, options: tuple[str, ...], words: str) -> None:
    done = send(*options)
    assert (done.code, done.out) == (2, "")
    assert words in re.sub(r"[│\s]+", " ", done.err)
