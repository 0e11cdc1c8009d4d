"""Files of people to send to: a CSV with a header, or a JSON object a line. Read line by line, as often as wanted."""

import csv
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from cli.errors import CommandError
from cli.files import opened

_MOST_LINE_BYTES = 1024 * 1024
_DELIMITERS = (",", ";", "\t")
_UTF_8 = "save it as UTF-8 (spreadsheets call that CSV UTF-8)"
_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16
_JSON_NAMES = (".ndjson", ".jsonl")
# What csv says where a quote swallows the lines after it: nobody knows which of them it was to hold.
_UNCLOSED = ("field larger than", "unexpected end of data")


class Entry(NamedTuple):
    """A row as it stands in the file. `line` is the one it begins on, from 1. `fault`: why it cannot be read."""

    line: int
    values: Mapping[str, Any]
    fault: str | None = None


class PeopleFile:
    """`columns` are those of the header, or the names in the first object, of which `first` is the whole; it is None of
    a CSV. Errors of all that reads: CommandError, where the file as a whole is not what it should be."""

    def __init__(self, source: IO[bytes], name: str) -> None:
        self.name = name
        self.source = source
        self.first: Mapping[str, Any] | None = None
        self._delimiter = ","
        head = self._head()
        is_json = head.startswith("{") or Path(name).suffix.lower() in _JSON_NAMES
        self.columns = self._read_names() if is_json else self._read_header(head)

    def entries(self) -> Iterator[Entry]:
        """All rows, from the beginning. Blank ones are passed over."""
        self.source.seek(0)
        return self._objects() if self.first is not None else self._records()

    def digest(self) -> bytes:
        """SHA-256 of all its bytes."""
        self.source.seek(0)
        digest = sha256()
        while piece := self.source.read(_MOST_LINE_BYTES):
            digest.update(piece)
        return digest.digest()

    def _head(self) -> str:
        """The first line that is not blank."""
        self.source.seek(0)
        if self.source.read(2) in _OTHER_BOMS:
            raise CommandError(f"{self.name} is in UTF-16: {_UTF_8}")
        self.source.seek(0)
        head = next((text for text in self._lines() if text.strip()), "").strip()
        if not head:
            raise CommandError(f"{self.name} is empty")
        if head.startswith("["):
            raise CommandError(
                f"{self.name} is one JSON list: write one object a line, without brackets or commas between"
            )
        return head

    def _read_names(self) -> list[str]:
        self.source.seek(0)
        first = next(self._objects())
        if first.fault is not None:
            raise CommandError(f"{self.name}, line {first.line}: {first.fault}")
        if "surface" in first.values and "to" not in first.values:
            raise CommandError(
                f"{self.name}, line {first.line}: describes a batch: give its fields as options, and keep rows alone"
            )
        self.first = first.values
        return list(first.values)

    def _read_header(self, head: str) -> list[str]:
        ways: dict[str, list[str]] = {}
        for mark in _DELIMITERS:
            with suppress(csv.Error):  # with a mark that is not this file's, quotes stand in wrong places
                ways[mark] = next(csv.reader([head], delimiter=mark, strict=True))
        if not ways:
            raise CommandError(
                f"{self.name}: its first line, which names the columns, has quotes that are not as in CSV"
            )
        self._delimiter = max(ways, key=lambda mark: len(ways[mark]))
        return [name.strip() for name in ways[self._delimiter]]

    def _lines(self) -> Iterator[str]:
        number = 0
        while line := self.source.readline(_MOST_LINE_BYTES + 1):
            number += 1
            if len(line) > _MOST_LINE_BYTES:
                raise CommandError(f"{self.name}, line {number}: is longer than {_MOST_LINE_BYTES:,} bytes")
            try:
                yield (line.removeprefix(_BOM) if number == 1 else line).decode()
            except UnicodeDecodeError as error:
                raise CommandError(f"{self.name}, line {number}: is not UTF-8: {_UTF_8}") from error

    def _objects(self) -> Iterator[Entry]:
        for number, line in enumerate(self._lines(), 1):
            if not line.strip():
                continue
            try:
                values = orjson.loads(line)
            except ValueError as error:
                yield Entry(number, {}, f"is not JSON: {error}")
                continue
            if isinstance(values, dict):
                yield Entry(number, values)
            else:
                yield Entry(number, {}, 'must be a JSON object, such as {"to": "+14155550123"}')

    def _records(self) -> Iterator[Entry]:
        reader = csv.reader(self._lines(), delimiter=self._delimiter, strict=True)
        width = len(self.columns)
        is_past_header = False
        while True:
            line = reader.line_num + 1
            try:
                cells = [cell.strip() for cell in next(reader)]
            except StopIteration:
                return
            except csv.Error as error:
                if str(error).startswith(_UNCLOSED):
                    raise CommandError(f"{self.name}, line {line}: a quote is opened and never closed") from error
                yield Entry(line, {}, f"has a quote that is not as CSV has them: {error}")
                continue
            if not any(cells):
                continue
            if not is_past_header:
                is_past_header = True
            elif len(cells) == width or (len(cells) > width and not any(cells[width:])):
                yield Entry(line, dict(zip(self.columns, cells, strict=False)))
            else:
                wrong = f"has {len(cells)} cells, and the header {width}"
                yield Entry(line, {}, f"{wrong}: put a cell that holds {self._delimiter!r} in quotes")


@contextmanager
def people_in(file: str) -> Iterator[PeopleFile]:
    """The file of that name; - for standard input, which is kept on disk meanwhile, since it is read more than once.

    Errors: CommandError.
    """
    with opened(file) as source:
        if file != "-" and source.seekable():
            yield PeopleFile(source, file)
            return
        with tempfile.TemporaryFile() as kept:
            shutil.copyfileobj(source, kept)
            yield PeopleFile(kept, "standard input" if file == "-" else file)
