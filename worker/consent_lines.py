"""Lines of consent to import, NDJSON or CSV, read from a body in whatever pieces it comes. Pure.

to          a number, as recipients are given
state       opted_in, opted_out, pending or none
credential  a name or an ID; may be left out where the request names one for all
at          when consent was given, ISO 8601 with its offset; may be left out
note        at most MOST_NOTE characters, for the history; may be left out

An exported file can be imported. What an export says beside these (EXPORTED) is passed over, except for what tells
whose opt-out it is: `source`, `opted_out_at`, and of a pending `pending_from`. Of the lines of an exported CSV, those
that are history are no lines of consent.
"""

import csv
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

import orjson

from worker.body_lines import BodyLines
from worker.consent import EARLIEST
from worker.recipients import BadRecipient, normalise_international
from worker.refusals import Refusal
from worker.words import ConsentSource, ConsentState

FIELDS = ("to", "state", "credential", "at", "note")
ENTRY, HISTORY, CURRENT = "entry", "history", "current"  # which kind a line of an exported CSV is
_KEPT = ("source", "pending_from", "opted_out_at")  # of those that an export adds
EXPORTED = (*_KEPT, "is_blocked", "pending_until", "said_at", "changed_at", HISTORY, ENTRY, "inbound_id", "message_id")

MOST_LINE_BYTES = 1024 * 1024  # a line of an export holds a whole history
MOST_NOTE = 500
_MOST_QUOTED_CHARACTERS = 8 * 1024  # of a CSV record that runs over several lines
_LONGEST_ECHO = 64
_WHOLE = "line"  # as the field, where the line itself is at fault

_KNOWN = frozenset((*FIELDS, *EXPORTED))
_STATES = {str(state): state for state in ConsentState}
_SOURCES = {str(source): source for source in ConsentSource}
_ORIGINS = {name: state for name, state in _STATES.items() if state is not ConsentState.PENDING}


class Line(NamedTuple):
    """`to` as recipients are stored. `number` counts the lines of the body from 1."""

    number: int
    to: str
    state: ConsentState
    credential: str | None
    at: datetime | None
    note: str | None
    source: ConsentSource | None = None
    pending_from: ConsentState | None = None  # of a pending alone
    opted_out_at: datetime | None = None  # of an opt-out, and of a pending that came from one, alone


class BadLine(NamedTuple):
    """`to` as it was given, at most its beginning; None where there is none that can be read."""

    number: int
    to: str | None
    field: str
    reason: str


class PastLine(NamedTuple):
    """It says what was once: history, as an exported CSV has it."""

    number: int


Read = Line | BadLine | PastLine
_Numbered = tuple[int, bytes | None]  # None: too long


class Lines(ABC):
    """What the pieces of a body hold. Blank lines are passed over, and counted in the numbers of the others."""

    def __init__(self) -> None:
        self._lines = BodyLines(MOST_LINE_BYTES)
        self._count = 0

    def feed(self, piece: bytes) -> Iterator[Read]:
        """The lines that end in this piece. Errors: Refusal, of a CSV whose header cannot be used."""
        return self._read(self._numbered(self._lines.feed(piece)), is_last=False)

    def close(self) -> Iterator[Read]:
        """What is left once the body is over. Errors: as `feed`."""
        return self._read(self._numbered(self._lines.close()), is_last=True)

    def _numbered(self, lines: list[bytes | None]) -> list[_Numbered]:
        numbered = list(enumerate(lines, self._count + 1))
        self._count += len(lines)
        return numbered

    @abstractmethod
    def _read(self, numbered: Iterable[_Numbered], *, is_last: bool) -> Iterator[Read]: ...


class NdjsonLines(Lines):
    """A JSON object a line."""

    def _read(self, numbered: Iterable[_Numbered], *, is_last: bool) -> Iterator[Read]:
        for number, line in numbered:
            if line is None:
                yield _too_long(number)
            elif line.strip():
                yield self._of(number, line)

    def _of(self, number: int, line: bytes) -> Read:
        try:
            fields = orjson.loads(line)
        except ValueError as error:
            return BadLine(number, None, _WHOLE, f"is not JSON in UTF-8: {error}")
        if not isinstance(fields, dict):
            return BadLine(
                number, None, _WHOLE, 'must be a JSON object, such as {"to": "+14155550123", "state": "opted_in"}'
            )
        if not fields.keys() <= _KNOWN:
            unknown = next(name for name in fields if name not in _KNOWN)
            return BadLine(number, _echo(fields.get("to")), unknown[:_LONGEST_ECHO], _unknown())
        for name in (*FIELDS, *_KEPT):
            value = fields.get(name)
            if value is not None and not isinstance(value, str):
                return BadLine(number, _echo(fields.get("to")), name, "must be text (in quotes)")
        return _line(number, fields)


class CsvLines(Lines):
    """A header that names the columns, then a row a line; cells between `,` or `;`, in quotes where they hold those."""

    def __init__(self) -> None:
        super().__init__()
        self._columns: list[str] | None = None
        self._delimiter = ","
        self._held: list[_Numbered] = []  # the beginning of a record whose end has not come

    def _read(self, numbered: Iterable[_Numbered], *, is_last: bool) -> Iterator[Read]:
        waiting = deque((*self._held, *numbered))
        self._held = []
        if self._columns is None:
            if not waiting and not is_last:
                return
            self._read_header(waiting.popleft()[1] if waiting else b"")
        while waiting:
            number, line = waiting[0]
            if line is None:
                waiting.popleft()
                yield _too_long(number)
            elif not line.strip():
                waiting.popleft()
            elif (read := self._record(waiting, is_last=is_last)) is not None:
                yield read
            else:
                self._held = list(waiting)
                return

    def _read_header(self, line: bytes | None) -> None:
        try:
            text = (line or b"").decode()
        except UnicodeDecodeError as error:
            raise Refusal.of_field("body", "is not UTF-8: save the file as CSV in UTF-8") from error
        if not text.strip():
            raise Refusal.of_field("body", "has no header: its first line must name the columns, such as to,state,at")
        self._delimiter = ";" if ";" in text else ","
        try:
            columns = [cell.strip().lower() for cell in self._cells(text.strip())]
        except csv.Error as error:
            raise Refusal.of_field("body", f"has a header that cannot be read: {error}") from error
        for name in columns:
            if name not in _KNOWN or columns.count(name) > 1:
                wrong = _unknown() if name not in _KNOWN else "is there twice: leave one out"
                raise Refusal.of_field("body", f'the column "{name[:_LONGEST_ECHO]}" {wrong}')
        for name in ("to", "state"):
            if name not in columns:
                raise Refusal.of_field("body", f'has no column "{name}": its first line must name the columns')
        self._columns = columns

    def _record(self, waiting: deque[_Numbered], *, is_last: bool) -> Read | None:
        """The record that begins the lines, taken from them. None: its end may come yet."""
        number, first = waiting[0]
        try:
            text = (first or b"").decode().removesuffix("\r")
            cells = text.split(self._delimiter) if '"' not in text else self._cells(text)
        except UnicodeDecodeError:
            waiting.popleft()
            return BadLine(number, None, _WHOLE, "is not UTF-8")
        except csv.Error as error:
            joined = self._joined(waiting)
            if joined is None and not is_last:
                return None
            if joined:
                for _ in range(joined[0]):
                    waiting.popleft()
                return self._row(number, joined[1])
            # Of what only looks like a record over several lines, the first costs none of the others.
            waiting.popleft()
            return BadLine(number, None, _WHOLE, f"has a quote that is not as CSV has them: {error}")
        waiting.popleft()
        return self._row(number, cells)

    def _joined(self, waiting: deque[_Numbered]) -> tuple[int, list[str]] | tuple[()] | None:
        """A record over several lines: how many, and its cells. Empty: there is none. None: its end may come yet."""
        assert self._columns is not None
        parts: list[str] = []
        size = quotes = 0
        for count, (_, line) in enumerate(waiting, 1):
            size += len(line or b"")
            if line is None or size > _MOST_QUOTED_CHARACTERS:
                return ()
            parts.append(line.decode(errors="replace"))
            quotes += line.count(b'"')
            if quotes % 2 == 0:
                try:
                    cells = self._cells("\n".join(parts).removesuffix("\r"))
                except csv.Error:
                    return ()
                return (count, cells) if len(cells) == len(self._columns) and "\ufffd" not in "".join(cells) else ()
        return None

    def _cells(self, text: str) -> list[str]:
        return next(csv.reader([text], delimiter=self._delimiter, strict=True), [])

    def _row(self, number: int, cells: list[str]) -> Read:
        assert self._columns is not None
        fields = {name: cell.strip() or None for name, cell in zip(self._columns, cells, strict=False)}
        if len(cells) != len(self._columns):
            return BadLine(
                number,
                _echo(fields.get("to")),
                _WHOLE,
                f"has {len(cells)} cells, and the header {len(self._columns)}: put a cell that holds "
                f"{self._delimiter} in quotes",
            )
        if fields.get(ENTRY) == HISTORY:
            return PastLine(number)
        return _line(number, fields)


class _BadField(ValueError):
    """The field's name, and what is wrong with it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def _line(number: int, fields: dict[str, Any]) -> Line | BadLine:
    given = fields.get("to")
    if given is None:
        return BadLine(number, None, "to", "is missing")
    try:
        to = normalise_international(given)
    except BadRecipient as error:
        return BadLine(number, _echo(given), "to", str(error))
    state = _STATES.get(fields.get("state") or "")
    if state is None:
        return BadLine(number, _echo(given), "state", f"must be one of {', '.join(_STATES)}")
    note = fields.get("note")
    if note is not None and (len(note) > MOST_NOTE or "\0" in note):
        return BadLine(number, _echo(given), "note", f"must be at most {MOST_NOTE} characters, none of them NUL")
    try:
        at = _moment(fields, "at")
        source = _word(fields, "source", _SOURCES)
        pending_from = _word(fields, "pending_from", _ORIGINS)
        opted_out_at = _moment(fields, "opted_out_at")
        if pending_from is not None and state is not ConsentState.PENDING:
            raise _BadField("pending_from", "is of a pending alone: leave it out")
        if opted_out_at is not None and ConsentState.OPTED_OUT not in (state, pending_from):
            raise _BadField("opted_out_at", "is of an opt-out, or of a pending that came from one, alone: leave it out")
    except _BadField as error:
        return BadLine(number, _echo(given), error.field, str(error))
    return Line(
        number, to, state, fields.get("credential") or None, at, note or None, source, pending_from, opted_out_at
    )


_Word = TypeVar("_Word", bound=StrEnum)


def _word(fields: dict[str, Any], name: str, words: dict[str, _Word]) -> _Word | None:
    given = fields.get(name)
    if not given:
        return None
    word = words.get(given)
    if word is None:
        raise _BadField(name, f"must be one of {', '.join(words)}, or left out")
    return word


def _moment(fields: dict[str, Any], name: str) -> datetime | None:
    given = fields.get(name)
    if given is None:
        return None
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _BadField(name, "must be an ISO 8601 time with its offset, such as 2026-01-31T09:00:00Z")
    if at < EARLIEST:
        raise _BadField(name, f"lies before {EARLIEST.year}")
    return at


def _echo(to: Any) -> str | None:
    return to[:_LONGEST_ECHO] if isinstance(to, str) else None


def _too_long(number: int) -> BadLine:
    return BadLine(number, None, _WHOLE, f"is longer than {MOST_LINE_BYTES:,} bytes")


def _unknown() -> str:
    return f"is not known here: remove it, or correct its name; there are {', '.join(FIELDS)}"
