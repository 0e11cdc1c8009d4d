"""What `delivery send` shows: a file before it is sent, bars while it goes, what became of it."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import IO, Any

from cli.audience import MOST_SHOWN, Wrong
from cli.send_check import Findings, Sample, Warned
from cli.send_preview import preview_facts
from cli.tables import counted, print_facts, print_table
from worker.sentences import explain
from worker.states import State

_WRONG = ("line", "to", "field", "reason")
_LOOK_ROWS = 1_000  # read between two looks at how far the file is


def show_findings(
    found: Findings, surface: dict[str, Any], batch: dict[str, Any], preview: dict[str, Any] | None
) -> None:
    """`preview`: the API's own of the samples, where it gave one."""
    if found.samples:
        columns = [name for name in Sample._fields if name != "content_template_id" or found.templates]
        print_table(columns, [sample._asdict() for sample in found.samples])
        print()
    print_facts(
        [
            (
                "through",
                f"{surface['name']}: {surface['channel']}, {surface['message_type']}, from {surface['sender']}",
            ),
            ("rows", f"{found.rows:,}"),
            ("segments", f"{found.segments:,}"),
            *_encodings(found),
            *((f"template {template_id}", f"{count:,}") for template_id, count in found.templates.items()),
            ("duplicates", _duplicates(found, batch)),
            ("look wrong", f"{found.wrong:,}"),
            *([("doubtful", f"{found.warned:,}")] if found.warned else []),
            *(preview_facts(preview, datetime.now(UTC)) if preview else []),
        ]
    )
    show_wrong(found.examples, found.wrong)
    _show_warned(found)


def show_wrong(wrong: Sequence[Wrong], count: int) -> None:
    """The first of so many."""
    shown = wrong[:MOST_SHOWN]
    if shown:
        print(f"\nrejected{f', the first {len(shown)}' if len(shown) < count else ''}:")
        print_table(_WRONG, [row._asdict() for row in shown])


def findings_json(found: Findings, preview: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "rows": found.rows,
        "unreadable": found.unreadable,
        "wrong": found.wrong,
        "duplicates": found.duplicates,
        "segments": found.segments,
        "encodings": {encoding: asdict(taken) for encoding, taken in found.encodings.items()},
        "forced": None if found.forced is None else found.forced._asdict(),
        "templates": found.templates,
        "warned": found.warned,
        "samples": [row._asdict() for row in found.samples],
        "warnings": [row._asdict() for row in found.warnings],
        "examples": [row._asdict() for row in found.examples],
        "preview": preview,
    }


def _encodings(found: Findings) -> list[tuple[str, str]]:
    """Where there is more to say than how many segments there are."""
    if found.encodings.keys() <= {"GSM-7"}:
        return []
    facts = [
        (encoding, counted({"messages": taken.messages, "segments": taken.segments}))
        for encoding, taken in sorted(found.encodings.items())
    ]
    if found.forced is not None:
        line, _, name, at = found.forced
        facts.append(("Unicode for", f"{name}, first in line {line} at character {at:,}"))
    return facts


def _show_warned(found: Findings) -> None:
    shown = found.warnings[:MOST_SHOWN]
    if shown:
        print(f"\ndoubtful{f', the first {len(shown)}' if len(shown) < found.warned else ''}:")
        print_table(Warned._fields, [row._asdict() for row in shown])


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
    with progress_bar(*columns) as progress:
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
    with progress_bar(*columns) as progress:
        task = progress.add_task("sending", total=total)
        gone = 0

        def moved(count: int | None) -> None:
            nonlocal gone
            gone = 0 if count is None else gone + count
            # The API checks and stores them all before it answers.
            progress.update(task, completed=gone, description="sending" if gone < total else "being stored")

        yield moved


def progress_bar(*columns: Any) -> Any:
    """A bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True, highlight=False, markup=False)
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
