"""What a command shows: rows in columns, or JSON for scripts."""

import json
from collections.abc import Iterable, Sequence
from typing import Any


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], items: Iterable[dict[str, Any]]) -> None:
    """Whole values, however wide the terminal is."""
    rows = [columns, *([_cell(item.get(name)) for name in columns] for item in items)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(columns))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    # People write what they like: what would steer the terminal is not printed.
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else " " for character in text)
