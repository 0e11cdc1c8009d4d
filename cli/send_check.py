"""What a file would do if it were sent, found by reading it once from its beginning to its end, in constant memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cli.audience import Audience, Wrong
from cli.errors import CommandError
from cli.row_reading import Reader
from worker.duplicates import first_of_each
from worker.rows import MOST_LISTED, BadRow
from worker.segments import Segments, count

MOST_ROWS = 1_000_000  # of a batch
_SAMPLES = 3


class Sample(NamedTuple):
    """A message as it would go out."""

    line: int
    to: str
    segments: int
    encoding: str
    text: str


@dataclass
class Findings:
    """`rows`: of the file. `wrong`: those that the API would reject, and the `unreadable`, which never reach it; the
    first of each stand in `examples` and `lines`. `segments` and `duplicates` are of the others; a duplicate names a
    number that an earlier row names."""

    rows: int = 0
    unreadable: int = 0
    wrong: int = 0
    duplicates: int = 0
    segments: int = 0
    samples: list[Sample] = field(default_factory=list)
    examples: list[Wrong] = field(default_factory=list)
    lines: list[Wrong] = field(default_factory=list)

    @property
    def readable(self) -> int:
        return self.rows - self.unreadable

    @property
    def good(self) -> int:
        return self.rows - self.wrong

    def count_row(self, name: str) -> None:
        """Errors: CommandError where it is one too many."""
        self.rows += 1
        if self.readable > MOST_ROWS:
            raise CommandError(f"{name} holds more than {MOST_ROWS:,} rows, which is all that a batch holds: split it")

    def reject(self, wrong: Wrong, *, is_unreadable: bool = False) -> None:
        self.wrong += 1
        if len(self.examples) < MOST_LISTED:
            self.examples.append(wrong)
        if is_unreadable:
            self.unreadable += 1
            if len(self.lines) < MOST_LISTED:
                self.lines.append(wrong)

    def add(self, sample: Sample) -> None:
        self.segments += sample.segments
        if len(self.samples) < _SAMPLES:
            self.samples.append(sample)


Told = Callable[[Wrong, object], None]


def read_through(audience: Audience, moved: Callable[[], None]) -> Findings:
    """Only whether the file can be read: `segments`, `duplicates` and `samples` stay empty. `moved` is called per row.

    Errors: CommandError.
    """
    found = Findings()
    for row in audience.rows():
        moved()
        found.count_row(audience.file.name)
        if row.wrong is not None:
            found.reject(row.wrong, is_unreadable=True)
    return found


def examine(audience: Audience, reader: Reader, moved: Callable[[], None], told: Told) -> Findings:
    """All of it, by the API's own rules. `told` hears of each wrong row and of what stands there.

    Errors: CommandError.
    """
    found = Findings()
    counts_once = bool(audience.batch.get("deduplicate"))
    is_new = first_of_each(MOST_ROWS)
    for line, row, wrong, value in audience.rows():
        moved()
        found.count_row(audience.file.name)
        if row is None:
            assert wrong is not None
            found.reject(wrong, is_unreadable=True)
            told(wrong, value)
            continue
        try:
            to, text = reader.read(row)
        except BadRow as error:
            given = row.get("to")
            wrong = Wrong(line, given if isinstance(given, str) else None, error.field, error.reason)
            found.reject(wrong)
            told(wrong, _standing(row, error.field))
            continue
        is_first = is_new(to)
        found.duplicates += not is_first
        if is_first or not counts_once:
            segments = count(text)
            found.add(Sample(line, to, segments.parts, encoding_of(segments), text))
    return found


def _standing(row: Mapping[str, Any], field: str) -> Any:
    """What stands in a field, as BadRow names it."""
    is_variable = field not in row and field.startswith("variables.")
    return row["variables"][field.removeprefix("variables.")] if is_variable else row.get(field)


def encoding_of(segments: Segments) -> str:
    """With the character that makes a text cost twice as much, where there is one."""
    return segments.encoding if segments.forcing is None else f"{segments.encoding} for {segments.forcing!r}"
