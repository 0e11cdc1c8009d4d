"""`delivery dlt-templates` against a real API: set up, imported, and asked whether a text fits."""

from pathlib import Path

import httpx
import pytest
from rich.cells import cell_len
from sqlmodel import Session

from cli.dlt_templates import marked
from tests.cli.shell import Delivery, Done, failure
from tests.cli.terminal import at_terminal
from tests.factories import ENTITY, SENDER, TEMPLATE, MadeLane

OTHER = "1207160000000000002"
PATH = "/v1/dlt-templates"
TEXT = "Order {#var#} is on its way. -KITEBK"
HEAD = "Template ID,Template Name,Header,Template Type,Template Content\n"
CODE = f"{OTHER},code,,Transactional,{{#var#}} is your code\n"
FILE = HEAD + f"{TEMPLATE},order-sent,{SENDER},Service Implicit,{TEXT}\n" + CODE


@pytest.fixture(autouse=True)
def _nothing_is_registered(session: Session) -> None:
    pass


@pytest.fixture
def registered(at_home: Delivery) -> None:
    assert at_home("dlt-templates", "import", "-", "--entity", ENTITY, typed=FILE.encode()).code == 0


# One by one


def test_template_is_created_shown_changed_and_deleted(at_home: Delivery, administrator: httpx.Client) -> None:
    created = at_home(
        *("dlt-templates", "create", "--content-template-id", TEMPLATE, "--principal-entity-id", ENTITY, "--json"),
        *("--name", "order-sent", "--category", "service_implicit", "--headers", "KITEBK, KITEBO", "--text", TEXT),
    ).json
    assert created == administrator.get(f"{PATH}/{TEMPLATE}").json()
    assert created["headers"] == ["KITEBK", "KITEBO"]
    assert TEXT in at_home("dlt-templates", "get", "order-sent").out
    change = ("--text", "Sent {#var#}", "--unset", "headers")
    changed = at_home("dlt-templates", "update", TEMPLATE, *change, "--json").json
    assert (changed["text"], changed["headers"]) == ("Sent {#var#}", [])
    assert at_home("dlt-templates", "delete", "order-sent", "--yes") == Done(0, "", "")
    assert at_home("dlt-templates", "list").out == "there is no template yet\n"
    assert "no DLT template" in failure(at_home("dlt-templates", "get", "order-sent"))


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("options", "names"),
    [
        ((), ["code", "order-sent"]),
        (("--header", SENDER), ["order-sent"]),
        (("--category", "transactional"), ["code"]),
        (("--name", "code", "--principal-entity-id", ENTITY), ["code"]),
        (("--content-template-id", TEMPLATE), ["order-sent"]),
        (("--principal-entity-id", "1201150000000000002"), []),
    ],
)
def test_list_can_be_asked_for_some(at_home: Delivery, options: tuple[str, ...], names: list[str]) -> None:
    assert sorted(item["name"] for item in at_home("dlt-templates", "list", *options, "--json").json["items"]) == names


# Imports


def test_export_is_imported_from_a_file_and_told_in_one_line(at_home: Delivery, tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_bytes(FILE.encode("utf-16"))
    command = ("dlt-templates", "import", "export.csv", "--entity", ENTITY)
    counts = "2 rows: 2 created, 0 changed, 0 unchanged, 0 left out, 0 rejected"
    assert at_home(*command, "--dry-run") == Done(0, f"{counts} if it were imported\n", "")
    assert at_home("dlt-templates", "list").out == "there is no template yet\n"
    assert at_home(*command) == Done(0, f"{counts}\n", "")
    assert at_home(*command, "--json").json["unchanged"] == 2


def test_bad_row_stores_nothing_and_is_named(at_home: Delivery) -> None:
    typed = (FILE + "12,x,,SI,Text\n").encode()
    said = failure(at_home("dlt-templates", "import", "-", "--entity", ENTITY, typed=typed))
    assert "1 row is wrong, and nothing was stored" in said
    assert "Line 4, content_template_id: " in said
    assert at_home("dlt-templates", "list").out == "there is no template yet\n"


def test_bad_rows_are_skipped_where_asked_and_shown_with_what_is_left_out(at_home: Delivery) -> None:
    rows = f"{TEMPLATE},SI,Text,Approved\n{OTHER},SI,Text,Rejected\n12,SI,Text,Active\n"
    typed = ("Template ID,Kind,Template Content,Status\n" + rows).encode()
    done = at_home(
        *("dlt-templates", "import", "-", "--entity", ENTITY, "--map", "category=kind", "--skip-invalid"), typed=typed
    )
    assert (done.code, done.err) == (1, "")
    summary, _, left_out, _, first, _, rejected, _, second = done.out.splitlines()
    assert summary == "3 rows: 1 created, 0 changed, 0 unchanged, 1 left out, 1 rejected"
    assert (left_out, rejected) == ("left out:", "rejected:")
    assert first.split()[0] == "3"
    assert '"Rejected"' in first
    assert second.split()[:2] == ["4", "content_template_id"]


def test_file_that_is_not_there_or_has_no_known_column_is_told_in_one_line(at_home: Delivery) -> None:
    assert failure(at_home("dlt-templates", "import", "nowhere.csv")).startswith("cannot read nowhere.csv")
    said = failure(at_home("dlt-templates", "import", "-", typed=b"a,b\n1,2\n"))
    assert "no column is known as that of content_template_id" in said


# Asking


@pytest.mark.usefixtures("registered")
def test_text_that_fits_is_told_its_template_and_values(at_home: Delivery) -> None:
    done = at_home("dlt-templates", "match", "Order A-1 is on its way. -KITEBK", "--entity", ENTITY)
    assert (done.code, done.err) == (0, "")
    facts = [line.split(maxsplit=1) for line in done.out.splitlines()]
    assert ["fits", f"order-sent ({TEMPLATE})"] in facts
    assert done.out.splitlines()[-1].split() == ["value", "1", "A-1"]


@pytest.mark.usefixtures("registered")
def test_text_that_departs_is_marked_there_and_exits_1(at_home: Delivery) -> None:
    typed = "Order A-1 is on it’s way. -KITEBK\n".encode()
    done = at_home("dlt-templates", "match", "-", "--entity", ENTITY, "--sender", SENDER, typed=typed)
    assert (done.code, done.err) == (1, "")
    line, caret, *_ = done.out.splitlines()
    assert line == "Order A-1 is on it’s way. -KITEBK"
    assert caret == " " * line.index("’") + "^"
    for said in ("At character 19", f"order-sent ({TEMPLATE})", TEXT, "4129 EC_TEMPLATE_NOT_MATCHED"):
        assert said in done.out
    assert at_home("dlt-templates", "match", "-", "--entity", ENTITY, "--json", typed=typed).json["position"] == 18


@pytest.mark.usefixtures("registered")
def test_rule_beside_the_text_is_told_without_a_mark(at_home: Delivery) -> None:
    text = "Order A-1 is on its way. -KITEBK"
    done = at_home("dlt-templates", "match", text, "--entity", ENTITY, "--sender", "OTHER")
    assert (done.code, "^" in done.out) == (1, False)
    assert "4130" in done.out


def test_surface_says_whose_templates_are_meant(at_home: Delivery, lane: MadeLane) -> None:
    said = failure(at_home("dlt-templates", "match", "a", "--surface", "main"))
    assert "has no principal_entity_id" in said
    assert at_home("surfaces", "update", "main", "--principal-entity-id", ENTITY).code == 0
    assert at_home("dlt-templates", "import", "-", "--entity", ENTITY, typed=FILE.encode()).code == 0
    assert at_home("dlt-templates", "match", "1 is your code", "--surface", "main").code == 0


@pytest.mark.usefixtures("registered")
def test_long_line_is_cut_on_a_terminal_around_its_mark(address: str, token: str) -> None:
    text = "Order A-1 is on its way. -KITEBK" + " and more" * 20
    command = ("dlt-templates", "match", text, "--entity", ENTITY)
    line, caret, *_ = at_terminal(address, token, *command, answers={}).splitlines()
    assert line.startswith("...")
    assert len(line) < 120
    assert line[: caret.index("^")].endswith("-KITEBK")


# The mark


@pytest.mark.parametrize(
    ("text", "position", "shown"),
    [
        ("abc", 1, "abc\n ^"),
        ("abc", 3, "abc\n   ^"),
        ("", 0, "\n^"),
        ("ab\ncd\nef", 4, "ab\ncd\n ^\nef"),
        ("ab\ncd", 2, "ab\n  ^\ncd"),  # the line break itself
        ("ab\n", 3, "ab\n\n^"),
        ("आपका ok", 5, "आपका ok\n    ^"),  # marks that take no column of their own
        ("漢字 ok", 3, "漢字 ok\n     ^"),
        ("a\x1bb", 2, "a b\n  ^"),  # nothing steers the terminal
    ],
)
def test_mark_stands_below_the_character_that_it_means(text: str, position: int, shown: str) -> None:
    assert marked(text, position) == shown


@pytest.mark.parametrize("position", [0, 1, 50, 98, 99])
@pytest.mark.parametrize("character", ["x", "漢"])
def test_line_that_is_cut_fits_the_terminal_and_holds_the_mark(character: str, position: int) -> None:
    text = character * position + "!" + character * (99 - position)
    line, caret = marked(text, position, 80).splitlines()
    assert max(cell_len(line), len(caret)) < 80
    assert cell_len(line[: line.index("!")]) == len(caret) - 1
