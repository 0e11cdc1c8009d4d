"""CSV as spreadsheets and portals save it: its encoding, its delimiter, its records and the lines they begin on. Pure.

A file is read line by line, as often as wanted, in memory that does not grow with it.
"""

import csv
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Iterator, Mapping
from io import TextIOWrapper
from itertools import islice
from typing import IO, NamedTuple

MOST_LINE_BYTES = 1024 * 1024
_MOST_CELL = csv.field_size_limit()  # characters
_DELIMITERS = (",", ";", "\t")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_DELIMITER_LINE = re.compile(r'"?sep=([^\w"\s]|\t)"? *', re.IGNORECASE)  # Excel's own first line
_SAVE = "save it as UTF-8 (spreadsheets call that CSV UTF-8)"
_UTF_8, _UTF_16 = "utf-8-sig", "utf-16"


class BadFile(ValueError):
    """The file as a whole is not what it should be; the text names it and says why, for people."""


class Record(NamedTuple):
    """A row by its columns, the cells as they stand. `line` is the one it begins on, from 1. `fault`: why it cannot be
    read, of which `text` is the whole."""

    line: int
    cells: Mapping[str, str]
    fault: str | None = None
    text: str = ""


class LineFile:
    """Lines in UTF-8, or in UTF-16 where the file says so. `head` is the first that is not blank, without the blanks
    around it, and `before` counts those above it. Errors of all that reads: BadFile."""

    def __init__(self, source: IO[bytes], name: str) -> None:
        """`source` can be sought in. `name`: what people call it."""
        self.name = name
        self.before = 0
        self.told_delimiter: str | None = None  # by Excel's own first line
        encoding = self._find_encoding(source)
        # Lines end as csv wants to see them, with a bare CR too. Bytes that are not UTF-8 are found line by line.
        self._text = TextIOWrapper(source, encoding, "surrogateescape" if encoding == _UTF_8 else "strict", newline="")
        self.head = self._find_head()

    def lines(self) -> Iterator[str]:
        """From the beginning, each with its line break."""
        self._text.seek(0)
        number = 0
        try:
            while line := self._text.readline(MOST_LINE_BYTES + 1):
                number += 1
                if (len(line) if line.isascii() else len(line.encode())) > MOST_LINE_BYTES:
                    raise BadFile(f"{self.name}, line {number}: is longer than {MOST_LINE_BYTES:,} bytes")
                yield line
        except UnicodeEncodeError as error:
            raise BadFile(f"{self.name}, line {number}: is not UTF-8: {_SAVE}") from error
        except UnicodeDecodeError as error:
            raise BadFile(f"{self.name} is not UTF-16 throughout, as it says: {_SAVE}") from error

    def _find_encoding(self, source: IO[bytes]) -> str:
        source.seek(0)
        head = source.read(4)
        source.seek(0)
        if head in (BOM_UTF32_LE, BOM_UTF32_BE):
            raise BadFile(f"{self.name} is in UTF-32: {_SAVE}")
        if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            return _UTF_16
        if b"\0" in head:
            raise BadFile(f"{self.name} looks like UTF-16 without the mark that says so: {_SAVE}")
        return _UTF_8

    def _find_head(self) -> str:
        for number, line in enumerate(self.lines()):
            if self.told_delimiter is None and (told := _DELIMITER_LINE.fullmatch(line.rstrip("\r\n"))):
                self.told_delimiter = told[1]
            elif head := line.strip():
                self.before = number
                return head
        raise BadFile(f"{self.name} is empty")


class CsvRecords:
    """The rows of a CSV whose header is the file's head. Cells stand between `,`, `;` or tabs, in quotes where they
    hold those, or line breaks. Errors of all that reads: BadFile."""

    def __init__(self, file: LineFile) -> None:
        self._file = file
        head = self._header_lines()
        bare = _QUOTED.sub("", "".join(head))
        self._delimiter = file.told_delimiter or max(_DELIMITERS, key=bare.count)
        try:
            names = next(csv.reader(head, delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            raise BadFile(
                f"{file.name}: its first line, which names the columns, has quotes that are not as in CSV"
            ) from error
        self.columns = [name.strip() for name in names]

    def __iter__(self) -> Iterator[Record]:
        """All of them, from the beginning. Blank ones are passed over."""
        taken: list[str] = []  # what csv has read of the record

        def lines() -> Iterator[str]:
            for text in islice(self._file.lines(), self._file.before, None):
                taken.append(text)
                yield text

        reader = csv.reader(lines(), delimiter=self._delimiter, strict=True)
        next(reader)  # the header
        while True:
            line = self._file.before + reader.line_num + 1
            taken.clear()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Record(line, {}, self._fault(error, line, len(taken)), "".join(taken))
                continue
            if any(map(str.strip, cells)):
                yield self._record(line, cells, taken)

    def _header_lines(self) -> list[str]:
        """More than one where a quoted name goes on over the end of its line."""
        lines, size, quotes = [], 0, 0
        for line in islice(self._file.lines(), self._file.before, None):
            lines.append(line)
            size += len(line)
            quotes += line.count('"')
            if quotes % 2 == 0:
                return lines
            if size > MOST_LINE_BYTES:
                break
        return lines[:1]

    def _record(self, line: int, cells: list[str], taken: list[str]) -> Record:
        width = len(self.columns)
        if len(cells) == width or (len(cells) > width and not any(map(str.strip, cells[width:]))):
            return Record(line, dict(zip(self.columns, cells, strict=False)))
        advice = (
            f"put a cell that holds {self._delimiter!r} in quotes"
            if len(cells) > width
            else f"write each of them, with {self._delimiter!r} between also where they are empty"
        )
        count = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
        return Record(line, {}, f"has {count}, and the header {width}: {advice}", "".join(taken))

    def _fault(self, error: csv.Error, line: int, line_count: int) -> str:
        """Errors: BadFile where a quote swallows the lines after it: nobody knows which of them it was to hold."""
        is_too_long = str(error).startswith("field larger than")
        if is_too_long and line_count == 1:
            return f"has a cell of more than {_MOST_CELL:,} characters"
        if is_too_long or str(error).startswith("unexpected end of data"):
            raise BadFile(f"{self._file.name}, line {line}: a quote is opened and never closed") from error
        return f"has a quote that is not as CSV has them: {error}"
