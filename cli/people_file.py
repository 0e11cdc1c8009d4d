"""Files of people to send to: a CSV with a header, or a JSON object a line. Read line by line, as often as wanted."""

import csv
import re
import tempfile
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from cli.errors import CommandError
from cli.files import opened

_MOST_LINE_BYTES = 1024 * 1024
_MOST_CELL = csv.field_size_limit()  # characters
_DELIMITERS = (",", ";", "\t")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_DELIMITER_LINE = re.compile(r'"?sep=([^\w"\s]|\t)"? *', re.IGNORECASE)  # Excel's own first line
_SAVE = "save it as UTF-8 (spreadsheets call that CSV UTF-8)"
_UTF_8, _UTF_16 = "utf-8-sig", "utf-16"
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
        self._delimiter: str | None = None
        self._before = 0  # lines above the header
        self._encoding = self._find_encoding()
        # Lines end as csv wants to see them, with a bare CR too. Bytes that are not UTF-8 are found line by line.
        errors = "surrogateescape" if self._encoding == _UTF_8 else "strict"
        self._text = TextIOWrapper(source, self._encoding, errors, newline="")
        head = self._find_head()
        is_json = head.startswith("{") or Path(name).suffix.lower() in _JSON_NAMES
        self.columns = self._read_names() if is_json else self._read_header()

    def entries(self) -> Iterator[Entry]:
        """All rows, from the beginning. Blank ones are passed over."""
        return self._objects() if self.first is not None else self._records()

    def _find_encoding(self) -> str:
        self.source.seek(0)
        head = self.source.read(4)
        self.source.seek(0)
        if head in (BOM_UTF32_LE, BOM_UTF32_BE):
            raise CommandError(f"{self.name} is in UTF-32: {_SAVE}")
        if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            return _UTF_16
        if b"\0" in head:
            raise CommandError(f"{self.name} looks like UTF-16 without the mark that says so: {_SAVE}")
        return _UTF_8

    def _find_head(self) -> str:
        """The first line that is not blank."""
        for number, line in enumerate(self._lines()):
            if self._delimiter is None and (told := _DELIMITER_LINE.fullmatch(line.rstrip("\r\n"))):
                self._delimiter = told[1]
            elif head := line.strip():
                self._before = number
                break
        else:
            raise CommandError(f"{self.name} is empty")
        if head.startswith("["):
            raise CommandError(
                f"{self.name} is one JSON list: write one object a line, without brackets or commas between"
            )
        return head

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

    def _read_header(self) -> list[str]:
        head = self._header_lines()
        if self._delimiter is None:
            bare = _QUOTED.sub("", "".join(head))
            self._delimiter = max(_DELIMITERS, key=bare.count)
        try:
            names = next(csv.reader(head, delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            raise CommandError(
                f"{self.name}: its first line, which names the columns, has quotes that are not as in CSV"
            ) from error
        return [name.strip() for name in names]

    def _header_lines(self) -> list[str]:
        """More than one where a quoted name goes on over the end of its line."""
        lines, size, quotes = [], 0, 0
        for line in islice(self._lines(), self._before, None):
            lines.append(line)
            size += len(line)
            quotes += line.count('"')
            if quotes % 2 == 0:
                return lines
            if size > _MOST_LINE_BYTES:
                break
        return lines[:1]

    def _lines(self) -> Iterator[str]:
        """From the beginning."""
        self._text.seek(0)
        number = 0
        try:
            while line := self._text.readline(_MOST_LINE_BYTES + 1):
                number += 1
                if (len(line) if line.isascii() else len(line.encode())) > _MOST_LINE_BYTES:
                    raise CommandError(f"{self.name}, line {number}: is longer than {_MOST_LINE_BYTES:,} bytes")
                yield line
        except UnicodeEncodeError as error:
            raise CommandError(f"{self.name}, line {number}: is not UTF-8: {_SAVE}") from error
        except UnicodeDecodeError as error:
            raise CommandError(f"{self.name} is not UTF-16 throughout, as it says: {_SAVE}") from error

    def _objects(self) -> Iterator[Entry]:
        for number, line in enumerate(self._lines(), 1):
            if not line.strip() or number <= self._before:
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

    def _records(self) -> Iterator[Entry]:
        taken: list[str] = []  # what csv has read of the record

        def lines() -> Iterator[str]:
            for text in islice(self._lines(), self._before, None):
                taken.append(text)
                yield text

        assert self._delimiter is not None
        reader = csv.reader(lines(), delimiter=self._delimiter, strict=True)
        next(reader)  # the header
        while True:
            line = self._before + reader.line_num + 1
            taken.clear()
            try:
                cells = [cell.strip() for cell in next(reader)]
            except StopIteration:
                return
            except csv.Error as error:
                yield Entry(line, {}, self._fault(error, line, len(taken)), "".join(taken))
                continue
            if any(cells):
                yield self._entry(line, cells, taken)

    def _entry(self, line: int, cells: list[str], taken: list[str]) -> Entry:
        width = len(self.columns)
        if len(cells) == width or (len(cells) > width and not any(cells[width:])):
            return Entry(line, dict(zip(self.columns, cells, strict=False)))
        advice = (
            f"put a cell that holds {self._delimiter!r} in quotes"
            if len(cells) > width
            else f"write each of them, with {self._delimiter!r} between also where they are empty"
        )
        count = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
        return Entry(line, {}, f"has {count}, and the header {width}: {advice}", "".join(taken))

    def _fault(self, error: csv.Error, line: int, line_count: int) -> str:
        """Errors: CommandError where a quote swallows the lines after it: nobody knows which of them it was to hold."""
        is_too_long = str(error).startswith("field larger than")
        if is_too_long and line_count == 1:
            return f"has a cell of more than {_MOST_CELL:,} characters"
        if is_too_long or str(error).startswith("unexpected end of data"):
            raise CommandError(f"{self.name}, line {line}: a quote is opened and never closed") from error
        return f"has a quote that is not as CSV has them: {error}"


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
            while piece := source.read(_MOST_LINE_BYTES):
                kept.write(piece)
                digest.update(piece)
            kept.flush()
        except OSError as error:
            raise CommandError(f"cannot copy {name} to {tempfile.gettempdir()}: {error.strerror}") from error
        yield PeopleFile(kept, name, digest.digest())
