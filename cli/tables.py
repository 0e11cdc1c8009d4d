"""What a command shows: JSON for scripts; for people rows in columns, folded on a terminal and whole in a pipe.

What people wrote never steers the terminal. Times are in UTC, as the API and its sentences have them.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from worker.states import State

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Item = Mapping[str, Any]

COLOURS: dict[str, str] = {
    State.QUEUED: "bright_black",
    State.SENDING: "cyan",
    State.SENT: "blue",
    State.RETRYING: "yellow",
    State.DELIVERED: "green",
    State.FAILED: "red",
    State.EXPIRED: "magenta",
    State.UNCONFIRMED: "bright_yellow",
    State.SUPPRESSED: "bright_black",
    State.CANCELLED: "bright_black",
    # of a batch
    "scheduled": "cyan",
    "running": "blue",
    "paused": "yellow",
    "done": "green",
}
_GAP = 2  # columns between two
_UNFOLDED = 36  # columns: a word of so many, such as an ID, is not broken


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_json_line(value: Any) -> None:
    """One object a line, at once: for what comes one by one."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def print_items(columns: Sequence[str], items: Sequence[Item], none: str) -> None:
    """A list, or the sentence `none` where there is nothing in it."""
    if items:
        print_table(columns, items)
    else:
        print(none)


def print_table(columns: Sequence[str], items: Iterable[Item]) -> None:
    """Rows under their names. On a terminal that is too narrow for them, one below the other."""
    console = terminal()
    if console is None:
        _print_plain([columns, *([cell(name, item.get(name)) for name in columns] for item in items)])
        return
    rows = [[_coloured(name, item.get(name)) for name in columns] for item in items]
    least = [max([len(name), *(_least(name, row[place].plain) for row in rows)]) for place, name in enumerate(columns)]
    room = console.width - _GAP * (len(columns) - 1)
    if sum(least) <= room:
        _print_columns(console, columns, rows, _widths(columns, rows, least, room))
    else:
        for row in rows:
            print_facts([(name, value) for name, value in zip(columns, row, strict=True) if value.plain])
            print()


def print_facts(facts: Iterable[tuple[str, Any]]) -> None:
    """Names and their values, a line each."""
    console, rows = terminal(), list(facts)
    if console is None:
        _print_plain([(name, cell(name, value)) for name, value in rows])
        return
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bright_black", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(cell("", name), _coloured(name, value))
    console.print(grid)


def print_item(item: Item, tables: Mapping[str, Sequence[str]] | None = None) -> None:
    """All that is known of one thing. `tables`: columns of the values that are lists of items; they stand below."""
    tables = tables or {}
    print_facts([(name, value) for name, value in item.items() if name not in tables])
    for name, columns in tables.items():
        if item[name]:
            print(f"\n{name}:")
            print_table(columns, item[name])


def cell(name: str, value: Any) -> str:
    """A value in one line that is safe to print: people write what they like, and it may not steer the terminal."""
    text = _words(value)
    return "".join(character if character.isprintable() else " " for character in text)


def printable(text: str) -> str:
    """The same of words that may stand in several lines."""
    return "\n".join(cell("", line) for line in text.split("\n"))


def clock(text: str | None) -> str:
    """A time of the API's, to the second, in UTC."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%SZ}" if text else ""


def counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)


def terminal() -> "Console | None":
    """Where standard output is one that can be drawn on."""
    if not sys.stdout.isatty():
        return None
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    return None if console.is_dumb_terminal else console


def _print_plain(rows: Sequence[Sequence[str]]) -> None:
    """Whole values, however wide the terminal is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _widths(columns: Sequence[str], rows: Sequence[Sequence["Text"]], least: Sequence[int], room: int) -> list[int]:
    """As wide as the values are; where that is too much, the widest fold first."""
    widths = [min(room, max([len(name), *(row[place].cell_len for row in rows)])) for place, name in enumerate(columns)]
    while sum(widths) > room:
        foldable = [place for place in range(len(widths)) if widths[place] > least[place]]
        widths[max(foldable, key=lambda place: widths[place])] -= 1
    return widths


def _print_columns(
    console: "Console", columns: Sequence[str], rows: Sequence[Sequence["Text"]], widths: Sequence[int]
) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
    for name, width in zip(columns, widths, strict=True):
        table.add_column(name, overflow="fold", width=width)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _least(name: str, text: str) -> int:
    """The columns that a cell needs: it may fold between its words, a time may not."""
    words = [text] if _is_time(name) else text.split()
    return min(_UNFOLDED, max(map(len, words), default=0))


def _is_time(name: str) -> bool:
    return name == "at" or name.endswith(("_at", "_until"))


def _coloured(name: str, value: Any) -> "Text":
    from rich.text import Text

    if isinstance(value, Text):
        return value
    if isinstance(value, str) and _is_time(name):
        return Text(clock(value))
    if name == "counts":
        pieces = [(f"{count:,} {cell('', word)}", COLOURS.get(word, "")) for word, count in value.items() if count]
        return Text(", ").join(Text(words, style) for words, style in pieces)
    text = cell(name, value)
    return Text(text, COLOURS.get(text, "") if name == "state" else "")


def _words(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case {"amount": amount, "currency": currency}:
            return f"{amount} {currency}"
        case dict() if value and all(type(count) is int for count in value.values()):
            return counted(value)
        case list() if all(isinstance(item, str) for item in value):
            return ", ".join(value)
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
    return str(value)
