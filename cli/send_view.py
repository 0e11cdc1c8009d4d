"""What `delivery send` shows: a file before it is sent, bars while it goes, what became of it."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import IO, Any

from cli.audience import MOST_SHOWN, Wrong
from cli.send_check import Findings
from cli.tables import print_facts, print_table
from worker.sentences import explain
from worker.states import State

_WRONG = ("line", "to", "field", "reason")
_LOOK_ROWS = 1_000  # read between two looks at how far the file is


def show_findings(found: Findings, surface: dict[str, Any], batch: dict[str, Any]) -> None:
    if found.samples:
        print_table(("line", "to", "segments", "encoding", "text"), [sample._asdict() for sample in found.samples])
        print()
    print_facts(
        [
            (
                "through",
                f"{surface['name']}: {surface['channel']}, {surface['message_type']}, from {surface['sender']}",
            ),
            ("rows", f"{found.rows:,}"),
            ("segments", f"{found.segments:,}"),
            ("duplicates", _duplicates(found, batch)),
            ("look wrong", f"{found.wrong:,}"),
        ]
    )
    show_wrong(found.examples, found.wrong)


def show_wrong(wrong: Sequence[Wrong], count: int) -> None:
    """The first of so many."""
    shown = wrong[:MOST_SHOWN]
    if shown:
        print(f"\nrejected{f', the first {len(shown)}' if len(shown) < count else ''}:")
        print_table(_WRONG, [row._asdict() for row in shown])


def findings_json(found: Findings) -> dict[str, Any]:
    rows = {name: [row._asdict() for row in getattr(found, name)] for name in ("samples", "examples")}
    facts = {**asdict(found), **rows}
    del facts["lines"]  # the examples hold them
    return facts


def show_end(batch: dict[str, Any]) -> None:
    """Of a batch: how many ended how, and why."""
    total = max(1, batch["total"])
    counts = [(state, batch["counts"].get(state, 0)) for state in State]
    print()
    print_table(
        ("state", "count", "share"),
        [{"state": state, "count": f"{n:,}", "share": f"{n / total:.1%}"} for state, n in counts if n],
    )
    if batch["reasons"]:
        print()
        print_table(
            ("count", "reason", "sentence"),
            [{**item, "sentence": explain(item["reason"])} for item in batch["reasons"][:MOST_SHOWN]],
        )


def _duplicates(found: Findings, batch: dict[str, Any]) -> str:
    if not found.duplicates:
        return "0"
    what = "left out" if batch.get("deduplicate") else "sent all the same: --deduplicate leaves them out"
    return f"{found.duplicates:,}, {what}"


@contextmanager
def reading(source: IO[bytes]) -> Iterator[Callable[[], None]]:
    """Gives what is called for each row that is read."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn

    size = os.fstat(source.fileno()).st_size
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with _progress(*columns) as progress:
        task = progress.add_task("", total=size)
        rows = 0

        def moved() -> None:
            nonlocal rows
            rows += 1
            if rows % _LOOK_ROWS == 0:
                progress.update(task, completed=source.tell())

        yield moved


@contextmanager
def uploading(total: int) -> Iterator[Callable[[int | None], None]]:
    """Gives what is told how many rows have gone; None: it begins anew."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with _progress(*columns) as progress:
        task = progress.add_task("sending", total=total)
        gone = 0

        def moved(count: int | None) -> None:
            nonlocal gone
            gone = 0 if count is None else gone + count
            # The API checks and stores them all before it answers.
            progress.update(task, completed=gone, description="sending" if gone < total else "being stored")

        yield moved


def _progress(*columns: Any) -> Any:
    """A bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True, highlight=False, markup=False)
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
