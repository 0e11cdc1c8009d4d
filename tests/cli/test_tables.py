"""What tables show: whole values in a pipe, everything in sight on a terminal, and nothing that steers one."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli import tables
from cli.tables import cell, print_item, print_table, printable

BATCH = "0198c2f4-5b1e-7c3a-9f00-000000000001"
ITEMS = [
    {"id": BATCH, "created_at": "2027-01-31T09:00:00.123456Z", "state": "failed", "text": "a [red]b[/red] :smile:"},
    {"id": BATCH, "created_at": None, "state": "done", "text": "long " * 40},
]
COLUMNS = ("id", "created_at", "state", "text")


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Standard output as a terminal of so many columns, with colours or without."""

    def sit(width: int, colours: str | None = None) -> None:
        def terminal() -> Console:
            return Console(
                file=sys.stdout,
                width=width,
                force_terminal=colours is not None,
                color_system=colours,  # type: ignore[arg-type]
                **dict.fromkeys(("highlight", "markup", "emoji"), False),
            )

        monkeypatch.setattr(tables, "terminal", terminal)

    return sit


def test_a_pipe_gets_whole_values_and_no_art(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, ITEMS)
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == list(COLUMNS)
    assert first.split()[:3] == [BATCH, "2027-01-31T09:00:00.123456Z", "failed"]
    assert first.endswith("a [red]b[/red] :smile:")
    assert second.endswith(("long " * 40).rstrip())
    assert (heading + first + second).isascii()


@pytest.mark.parametrize("width", [200, 120, 60, 52])
def test_a_terminal_of_any_width_shows_everything_and_no_id_is_broken(
    width: int, at_terminal: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    at_terminal(width)
    print_table(COLUMNS, ITEMS)
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= width
    assert said.count(BATCH) == 2
    assert said.count("long") == 40
    assert "a [red]b[/red] :smile:" in said
    assert "2027-01-31 09:00:00Z" in said
    assert "…" not in said


def test_states_have_their_colour_and_nothing_else_has(at_terminal: Any, capsys: pytest.CaptureFixture[str]) -> None:
    at_terminal(100, "standard")
    print_table(("state", "text"), [{"state": "failed", "text": "failed"}])
    print_item({"counts": {"delivered": 1_000, "failed": 1, "sent": 0}})
    row, counts = capsys.readouterr().out.splitlines()[1:]
    assert row.startswith("\x1b[31mfailed\x1b[0m")
    assert row.count("\x1b[31m") == 1
    assert "\x1b[32m1,000 delivered\x1b[0m" in counts
    assert "\x1b[31m1 failed\x1b[0m" in counts
    assert "sent" not in counts


@given(st.text())
def test_what_people_write_stays_in_one_line_and_steers_nothing(text: str) -> None:
    for value in (text, [text], {"key": text}):
        assert cell("text", value).isprintable()


@given(st.text())
def test_words_of_several_lines_keep_them_and_steer_nothing(text: str) -> None:
    assert printable(text).count("\n") == text.count("\n")
    assert all(line.isprintable() for line in printable(text).split("\n"))


@given(st.text())
def test_a_terminal_is_steered_by_nothing_that_people_write(text: str) -> None:
    console = Console(width=80, force_terminal=True, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(tables._coloured("text", text))
    assert all(character.isprintable() or character == "\n" for character in capture.get())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        ({"amount": "0.05", "currency": "EUR"}, "0.05 EUR"),
        ({"delivered": 12_345, "failed": 0}, "12,345 delivered"),
        (["STOP", "END"], "STOP, END"),
        ([], ""),
        ({"id": "spring"}, '{"id": "spring"}'),
    ],
    ids=json.dumps,
)
def test_each_kind_of_value_has_its_words(value: Any, shown: str) -> None:
    assert cell("", value) == shown
