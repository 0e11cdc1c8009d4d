"""What a file would do if it were sent, found by reading it once from its beginning to its end, in constant memory."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cli.audience import MOST_SHOWN, UNREADABLE, Audience, Wrong
from worker.recipients import BadRecipient, normalise
from worker.rendering import MissingVariables, render
from worker.rows import BadRow, text_fault
from worker.segments import Segments, count

_SAMPLES = 3
_CACHE = "PRAGMA cache_size = -65536"  # KiB; beyond that the numbers lie on disk


class Sample(NamedTuple):
    """A message as it would go out."""

    line: int
    to: str
    segments: int
    encoding: str
    text: str


@dataclass
class Findings:
    """`rows`: of the file. `wrong`: those that the API would reject, and the `unreadable`, which never reach it.
    `segments` and `duplicates` are of the others; a duplicate names a number that an earlier row names."""

    rows: int = 0
    unreadable: int = 0
    wrong: int = 0
    duplicates: int = 0
    segments: int = 0
    samples: list[Sample] = field(default_factory=list)
    examples: list[Wrong] = field(default_factory=list)

    @property
    def readable(self) -> int:
        return self.rows - self.unreadable

    @property
    def good(self) -> int:
        return self.rows - self.wrong

    def reject(self, wrong: Wrong) -> None:
        self.wrong += 1
        if len(self.examples) < MOST_SHOWN:
            self.examples.append(wrong)


def read_through(audience: Audience, moved: Callable[[], None]) -> Findings:
    """Only whether the file can be read: `segments`, `duplicates` and `samples` stay empty. `moved` is called per row.

    Errors: CommandError.
    """
    found = Findings()
    for line, row, fault in audience.rows():
        moved()
        found.rows += 1
        if row is None:
            found.unreadable += 1
            found.reject(Wrong(line, None, UNREADABLE, fault))
    return found


def examine(audience: Audience, default_country: str | None, moved: Callable[[], None]) -> Findings:
    """All of it, by the API's own rules. `default_country`: the surface's. Errors: CommandError."""
    found = Findings()
    text = audience.batch.get("text")
    counts_once = bool(audience.batch.get("deduplicate"))
    with _numbers() as is_new:
        for line, row, fault in audience.rows():
            moved()
            found.rows += 1
            if row is None:
                found.unreadable += 1
                found.reject(Wrong(line, None, UNREADABLE, fault))
                continue
            try:
                to, words = read_row(row, text, default_country)
            except BadRow as error:
                given = row.get("to")
                found.reject(Wrong(line, given if isinstance(given, str) else None, error.field, error.reason))
                continue
            is_first = is_new(to)
            found.duplicates += not is_first
            if is_first or not counts_once:
                segments = count(words)
                found.segments += segments.parts
                if len(found.samples) < _SAMPLES:
                    found.samples.append(Sample(line, to, segments.parts, encoding_of(segments), words))
    return found


def encoding_of(segments: Segments) -> str:
    """With the character that makes a text cost twice as much, where there is one."""
    return segments.encoding if segments.forcing is None else f"{segments.encoding} for {segments.forcing!r}"


def read_row(row: Mapping[str, Any], batch_text: str | None, default_country: str | None) -> tuple[str, str]:
    """The recipient in E.164 and the whole text of a row in the API's form. Errors: BadRow."""
    for name in ("to", "text", "callback_data", "content_template_id", "principal_entity_id"):
        if not isinstance(row.get(name), str | None) or (name == "to" and row.get("to") is None):
            raise BadRow(name, "is missing" if row.get(name) is None else "must be text (in quotes)")
    try:
        recipient = normalise(row["to"], default_country)
    except BadRecipient as error:
        raise BadRow("to", str(error)) from error
    variables = row.get("variables") or {}
    if not isinstance(variables, dict) or any(type(value) not in (str, int) for value in variables.values()):
        raise BadRow("variables", "must be an object of texts and whole numbers")
    template = batch_text if row.get("text") is None else row["text"]
    if template is None:
        raise BadRow("text", "is missing: neither this row nor --text has one")
    try:
        text = render(template, {name: str(value) for name, value in variables.items()})
    except MissingVariables as error:
        raise BadRow("variables", str(error)) from error
    if fault := text_fault(text):
        raise BadRow("text", fault)
    return recipient, text


@contextmanager
def _numbers() -> Iterator[Callable[[str], bool]]:
    """Says of each number whether it is the first time. In a database of its own, which grows on disk alone."""
    kept = sqlite3.connect("", isolation_level=None)
    try:
        kept.execute(_CACHE)
        kept.execute("CREATE TABLE seen (number INTEGER PRIMARY KEY)")
        kept.execute("BEGIN")
        yield lambda number: kept.execute("INSERT OR IGNORE INTO seen VALUES (?)", (int(number),)).rowcount == 1
    finally:
        kept.close()
