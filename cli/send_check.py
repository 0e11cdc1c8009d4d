"""What a file would do if it were sent, found by reading it once from its beginning to its end, in constant memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cli.audience import Audience, Wrong
from cli.errors import CommandError
from cli.row_reading import Judged, Reader
from worker.duplicates import first_of_each
from worker.rows import MOST_LISTED, BadRow
from worker.segments import Segments

MOST_ROWS = 1_000_000  # of a batch
_SAMPLES = 3
_MMS = "MMS"  # in place of an encoding


class Sample(NamedTuple):
    """A message as it would go out."""

    line: int
    to: str
    segments: int
    encoding: str
    content_template_id: str | None
    text: str


class Warned(NamedTuple):
    """A message that goes, and what is doubtful about it."""

    line: int
    to: str
    warning: str


class Forced(NamedTuple):
    """The first character that makes a text Unicode; `at` counts from 1."""

    line: int
    character: str
    name: str
    at: int


@dataclass
class Taken:
    """What the messages of one encoding take together."""

    messages: int = 0
    segments: int = 0


@dataclass
class Findings:
    """`rows`: of the file. `wrong`: those that the API would reject, and the `unreadable`, which never reach it; the
    first of each stand in `examples` and `lines`. All else is of the others. A duplicate names a number that an earlier
    row names. `templates`: how many messages go under each content template ID; `sample_rows`: the rows of the samples,
    in the API's form."""

    rows: int = 0
    unreadable: int = 0
    wrong: int = 0
    duplicates: int = 0
    encodings: dict[str, Taken] = field(default_factory=dict)
    forced: Forced | None = None
    templates: dict[str, int] = field(default_factory=dict)
    warned: int = 0
    samples: list[Sample] = field(default_factory=list)
    sample_rows: list[Mapping[str, Any]] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    examples: list[Wrong] = field(default_factory=list)
    lines: list[Wrong] = field(default_factory=list)

    @property
    def readable(self) -> int:
        return self.rows - self.unreadable

    @property
    def good(self) -> int:
        return self.rows - self.wrong

    @property
    def segments(self) -> int:
        return sum(taken.segments for taken in self.encodings.values())

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

    def add(self, line: int, row: Mapping[str, Any], judged: Judged) -> None:
        """A message that would go."""
        to, text, segments, template_id, warning = judged
        parts = 0 if segments is None else segments.parts
        taken = self.encodings.setdefault(_MMS if segments is None else segments.encoding, Taken())
        taken.messages += 1
        taken.segments += parts
        if self.forced is None and segments is not None:
            self.forced = _forced(line, segments)
        if template_id is not None:
            self.templates[template_id] = self.templates.get(template_id, 0) + 1
        if warning is not None:
            self.warned += 1
            if len(self.warnings) < MOST_LISTED:
                self.warnings.append(Warned(line, to, warning))
        if len(self.samples) < _SAMPLES:
            self.samples.append(Sample(line, to, parts, encoding_of(segments), template_id, text))
            self.sample_rows.append(row)


Told = Callable[[Wrong, object], None]


def read_through(audience: Audience, moved: Callable[[], None]) -> Findings:
    """Only whether the file can be read, and nothing of what it would send. `moved` is called per row.

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
            judged = reader.read(row)
        except BadRow as error:
            given = row.get("to")
            wrong = Wrong(line, given if isinstance(given, str) else None, error.field, error.reason)
            found.reject(wrong)
            told(wrong, _standing(row, error.field))
            continue
        is_first = is_new(judged.recipient)
        found.duplicates += not is_first
        if is_first or not counts_once:
            found.add(line, row, judged)
    return found


def encoding_of(segments: Segments | None) -> str:
    """With the tables in use, and the character that makes a text cost twice as much, where there is one. None: of an
    MMS."""
    if segments is None:
        return _MMS
    if segments.forcing is not None:
        return f"{segments.encoding} for {segments.forcing_name}"
    return f"{segments.encoding}, {segments.tables}" if segments.tables else segments.encoding


def _forced(line: int, segments: Segments) -> Forced | None:
    if segments.forcing is None or segments.forcing_name is None or segments.forcing_at is None:
        return None
    return Forced(line, segments.forcing, segments.forcing_name, segments.forcing_at + 1)


def _standing(row: Mapping[str, Any], field: str) -> Any:
    """What stands in a field, as BadRow names it."""
    name, _, key = field.partition(".")
    if field in row or not key:
        return row.get(field)
    inner = row.get(name)
    if isinstance(inner, list):
        return inner[int(key)]
    return inner.get(key) if isinstance(inner, Mapping) else None
