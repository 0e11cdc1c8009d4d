"""Files of people to send to: a CSV with a header, or a JSON object a line. Read line by line, as often as wanted."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from cli.errors import CommandError
from cli.files import opened
from worker.csv_records import MOST_LINE_BYTES, BadFile, CsvRecords, LineFile

_JSON_NAMES = (".ndjson", ".jsonl")


class Entry(NamedTuple):
    """A row as it stands in the file. `line` is the one it begins on, from 1. `fault`: why it cannot be read, of which
    `text` is the whole."""

    line: int
    values: Mapping[str, Any]
    fault: str | None = None
    text: str = ""


class PeopleFile:
    """`columns` are those of the header, or the names in the first object, of which `first` is the whole; it is None of
    a CSV. Errors of all that reads: CommandError, where the file as a whole is not what it should be."""

    def __init__(self, source: IO[bytes], name: str, digest: bytes) -> None:
        """`digest`: SHA-256 of all its bytes."""
        self.name = name
        self.source = source
        self.digest = digest
        self.first: Mapping[str, Any] | None = None
        with _told():
            self._file = LineFile(source, name)
            if self._file.head.startswith("["):
                raise CommandError(
                    f"{name} is one JSON list: write one object a line, without brackets or commas between"
                )
            is_json = self._file.head.startswith("{") or Path(name).suffix.lower() in _JSON_NAMES
            self._csv = None if is_json else CsvRecords(self._file)
            self.columns = self._read_names() if self._csv is None else self._csv.columns

    def entries(self) -> Iterator[Entry]:
        """All rows, from the beginning. Blank ones are passed over."""
        with _told():
            if self._csv is None:
                yield from self._objects()
                return
            for record in self._csv:
                values = {name: cell.strip() for name, cell in record.cells.items()}
                yield Entry(record.line, values, record.fault, record.text)

    def _read_names(self) -> list[str]:
        first = next(self._objects())
        if first.fault is not None:
            raise CommandError(f"{self.name}, line {first.line}: {first.fault}")
        if "surface" in first.values and "to" not in first.values:
            raise CommandError(
                f"{self.name}, line {first.line}: describes a batch: give its fields as options, and keep rows alone"
            )
        self.first = first.values
        return list(first.values)

    def _objects(self) -> Iterator[Entry]:
        for number, line in enumerate(self._file.lines(), 1):
            if not line.strip() or number <= self._file.before:
                continue
            try:
                values = orjson.loads(line)
            except ValueError as error:
                yield Entry(number, {}, f"is not JSON: {error}", line)
                continue
            if isinstance(values, dict):
                yield Entry(number, values)
            else:
                yield Entry(number, {}, 'must be a JSON object, such as {"to": "+14155550123"}', line)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BadFile as error:
        raise CommandError(str(error)) from error


@contextmanager
def people_in(file: str) -> Iterator[PeopleFile]:
    """The file of that name, - for standard input, as it stands now. It is read more than once, from a copy: whoever
    writes to the file meanwhile does not change what is sent from what was shown.

    Errors: CommandError.
    """
    name = "standard input" if file == "-" else file
    digest = sha256()
    with opened(file) as source, tempfile.TemporaryFile() as kept:
        try:
            while piece := source.read(MOST_LINE_BYTES):
                kept.write(piece)
                digest.update(piece)
            kept.flush()
        except OSError as error:
            raise CommandError(f"cannot copy {name} to {tempfile.gettempdir()}: {error.strerror}") from error
        yield PeopleFile(kept, name, digest.digest())
