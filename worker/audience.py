"""The audience of a batch: its rows, checked as they come and kept in a file, as the lines that COPY takes.

What the rows hold is never in memory as a whole, so a million take no more of it than a thousand, and an MMS that is
filled for each of ten thousand no more than one for a few. While they come, nothing is open in the database: they are
checked by the surface as it stood before the first, and `is_read_by` says whether it still stands like that once they
are to be stored.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, Self

from worker.copying import content_part
from worker.dlt.screen import Screen
from worker.duplicates import first_of_each
from worker.orders import BatchOrder, Rejected, Row
from worker.places import Place, schedule_of
from worker.refusals import Refusal
from worker.rejected_rows import line, shortened
from worker.rows import MOST_LISTED, BadRow, RowReader, refusal_of_rows
from worker.segments import Segments

_GROUP_BYTES = 1024 * 1024
_GROUP_ROWS = 200
_MOST_IN_MEMORY = 8 * 1024 * 1024  # bytes; more wait on disk
# Of a place: what says what rows mean that go there.
_MEANING = ("surface_id", "credential_id", "channel", "default_country", "values", "manner", "dlt", "screened_sender")


def spooled_file() -> IO[bytes]:
    """In memory while it is small."""
    return SpooledTemporaryFile(_MOST_IN_MEMORY)


class Audience:
    """To be closed. Errors: Refusal, of what the batch says itself."""

    def __init__(
        self,
        order: BatchOrder,
        place: Place,
        most_rows: int,
        make_file: Callable[[], IO[bytes]] = spooled_file,
        screen: Screen | None = None,
    ) -> None:
        """`most_rows`: that fit in the request."""
        schedule_of(place, order.send_at, order.validity)
        self.count = 0
        self.duplicates = 0
        self.rejected_count = 0
        self.rejected: list[Rejected] = []  # the first of them
        self._most_rows = most_rows
        self._keeps_bad_ones = order.skips_invalid
        self._place = place
        self.parts: Counter[str] = Counter()  # how many parts of each encoding its messages take
        self.warned_count = 0
        reading = place.reading(order.values, order.manner, screen)
        self._reader = RowReader(reading, order.text, order.mms, order.template, order.template_variables)
        self._is_first = first_of_each(most_rows) if order.deduplicates else None
        self._good, self._bad = make_file(), make_file()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._good.close()
        self._bad.close()

    @property
    def segments(self) -> Segments | None:
        """What each of its messages takes that has no text of its own; None where each has."""
        return self._reader.segments

    @property
    def is_refused(self) -> bool:
        """A row is wrong, and that is not to be passed over: nothing will be stored, whatever comes yet."""
        return self.rejected_count > 0 and not self._keeps_bad_ones

    def add(self, rows: Sequence[Row], rejected: Sequence[Rejected] = ()) -> None:
        """The next rows of the request, and those among them whose shape is wrong.

        Errors: Refusal, where they are too many; OSError of the file.
        """
        if self.count + self.duplicates + self.rejected_count + len(rows) + len(rejected) > self._most_rows:
            raise Refusal.of_field("messages", f"at most {self._most_rows:,} rows fit in one request: send several")
        bad = list(rejected)
        for row in rows:
            content = self._line(row, bad)
            if content is None:
                continue
            self.count += 1
            if self._keeps_bad_ones or not (bad or self.is_refused):
                self._good.write(content)  # at once: together they may be much longer than the request
        if bad:
            self._reject(sorted(bad, key=lambda row: row.index))

    def add_all(self, order: BatchOrder) -> None:
        """The rows in hand, as many as fit. Errors: as `add`; Refusal, once more of them are wrong than are listed."""
        waiting = deque(order.rejected)  # in the order of the request, as the others
        for start in range(0, len(order.rows), _GROUP_ROWS):
            rows = order.rows[start : start + _GROUP_ROWS]
            before: list[Rejected] = []
            while waiting and waiting[0].index < rows[-1].index:
                before.append(waiting.popleft())
            self.add(rows, before)
            if self.is_refused and self.rejected_count > MOST_LISTED:
                self.refuse_wrong(is_more=bool(waiting) or start + _GROUP_ROWS < len(order.rows))
        self.add((), list(waiting))

    def refuse_wrong(self, *, is_more: bool = False) -> None:
        """Errors: Refusal, where it cannot be sent as it is. `is_more`: not all of it was looked at."""
        if not self.count and not self.rejected_count:
            raise Refusal.of_field("messages", "give at least one row")
        if self.is_refused or not self.count:
            is_all = not self.count and not is_more  # what was not looked at may well be good
            raise refusal_of_rows(self.rejected, self.rejected_count, is_all=is_all, is_more=is_more)

    def is_read_by(self, place: Place) -> bool:
        """Whether that place gives the rows the same meaning as the one by which they were read."""
        return all(getattr(place, name) == getattr(self._place, name) for name in _MEANING)

    def good(self) -> Iterator[list[str]]:
        """Groups of `content_part`s, in the order of the request."""
        return _groups(self._good)

    def bad(self) -> Iterator[list[str]]:
        """Groups of lines as rejected_rows.py copies them."""
        return _groups(self._bad)

    def _line(self, row: Row, bad: list[Rejected]) -> bytes | None:
        try:
            checked = self._reader.read(row)
        except BadRow as error:
            bad.append(Rejected(row.index, row.to, error.field, error.reason))
            return None
        if self._is_first is not None and not self._is_first(checked.recipient):
            self.duplicates += 1
            return None
        recipient, text, values, segments, mms, warning = checked
        if (takes := segments or self.segments) is not None:
            self.parts[takes.encoding] += takes.parts
        if warning is not None:
            self.warned_count += 1
        stored = None if mms is None else mms.as_json()
        return b"%b\n" % content_part(recipient, text, values, segments, stored, warning).encode()

    def _reject(self, rows: Sequence[Rejected]) -> None:
        self.rejected_count += len(rows)
        listed = MOST_LISTED - len(self.rejected)
        if self._keeps_bad_ones:
            short = [shortened(row) for row in rows]
            self._bad.writelines(f"{line(row)}\n".encode() for row in short)
            self.rejected += short[:listed]
        else:
            self.rejected += [shortened(row) for row in rows[:listed]]


def _groups(file: IO[bytes]) -> Iterator[list[str]]:
    file.seek(0)
    while lines := file.readlines(_GROUP_BYTES):
        yield b"".join(lines).decode().removesuffix("\n").split("\n")
