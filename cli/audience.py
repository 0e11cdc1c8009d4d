"""A file's people as rows of a batch: what is to be sent, and what of the file cannot be."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from cli.column_map import ColumnMap
from cli.errors import CommandError
from cli.people_file import PeopleFile
from worker.rows import BadRow

MOST_SHOWN = 20
ALL_OF_THEM = "--dry-run --rejected rejected.csv writes all of them to a file"
_UNREADABLE = "line"  # as the field, where the line itself is at fault
_PIECE_BYTES = 64 * 1024


class Wrong(NamedTuple):
    """A line that cannot be sent, or that the API would reject. `field`: the API's, or a column of the file."""

    line: int
    to: str | None
    field: str
    reason: str


class FileRow(NamedTuple):
    """`row` in the API's form; None where the line cannot be read as one, for which `wrong` says the reason and `value`
    what stands there."""

    line: int
    row: Mapping[str, Any] | None
    wrong: Wrong | None = None
    value: Any = None


@dataclass(frozen=True)
class Audience:
    """`columns` is None where the rows have the API's own form. `batch`: what its rows share, in the API's words."""

    file: PeopleFile
    columns: ColumnMap | None
    batch: Mapping[str, Any]

    def rows(self) -> Iterator[FileRow]:
        """Errors: CommandError, of the file as a whole."""
        for line, values, fault, text in self.file.entries():
            if fault is not None:
                yield FileRow(line, None, Wrong(line, None, _UNREADABLE, fault), text)
            elif self.columns is None:
                yield FileRow(line, values)
            else:
                try:
                    yield FileRow(line, self.columns.row(values))
                except BadRow as error:
                    wrong = Wrong(line, None, error.field, error.reason)
                    yield FileRow(line, None, wrong, values.get(error.field))

    def pieces(self, moved: Callable[[int], None]) -> Iterator[bytes]:
        """The body of the request: the batch, then a row a line, those left out that cannot be read. The same bytes
        each time. `moved` hears how many rows of a piece have gone."""
        piece, count = bytearray(orjson.dumps(self.batch, option=orjson.OPT_APPEND_NEWLINE)), 0
        for _, row, *_ in self.rows():
            if row is None:
                continue
            piece += orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
            count += 1
            if len(piece) >= _PIECE_BYTES:
                yield bytes(piece)
                moved(count)
                piece, count = bytearray(), 0
        yield bytes(piece)
        moved(count)

    @property
    def key(self) -> str:
        """An idempotency key for this content, sent in this way: the same command has the same one."""
        columns = self.columns
        way = None if columns is None else [columns.to, columns.fills, columns.callback_data, *columns.values]
        whole = sha256(orjson.dumps([self.batch, way], option=orjson.OPT_SORT_KEYS))
        whole.update(self.file.digest)
        return f"send-{whole.hexdigest()}"

    def lines_of(self, indexes: Iterable[int]) -> dict[int, int]:
        """The file's lines by the indexes of the request's rows."""
        wanted = set(indexes)
        if not wanted:
            return {}
        sent = (line for line, row, *_ in self.rows() if row is not None)
        numbered = zip(range(max(wanted) + 1), sent, strict=False)
        return {index: line for index, line in numbered if index in wanted}

    def in_lines(self, faults: Sequence[Mapping[str, Any]]) -> list[Wrong]:
        """What the API says of rows, as rejected ones or as faults, said of the file's lines."""
        lines = self.lines_of(fault["index"] for fault in faults)
        return [
            Wrong(
                lines.get(fault["index"], 0), fault.get("to"), fault["field"], fault.get("reason") or fault["message"]
            )
            for fault in faults
        ]


def key_of(body: bytes) -> str:
    """The same for a single message."""
    return f"send-{sha256(body).hexdigest()}"


def refuse(what: str, wrong: Sequence[Wrong], count: int) -> CommandError:
    """Nothing was sent for the sake of these lines, of which there are `count`: the first are named."""
    named = [f"line {row.line}, {row.field}: {row.reason}" for row in wrong[:MOST_SHOWN]]
    more = [f"and {count - len(named):,} more: {ALL_OF_THEM}"] if named and count > len(named) else []
    return CommandError("\n  ".join([what, *named, *more]))
