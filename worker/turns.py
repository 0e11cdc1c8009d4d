"""First turns: when each message of one order may first leave, by its pace and its sending window. Pure."""

from datetime import datetime, timedelta

from worker import pace
from worker.retry import End, first_turn
from worker.windows import Given, Turn, Window, advance, window_for


class Turns:
    """`start`: of the first one. `per_second`: the pace, None where all go at once. At a pace, only the time in which
    the window is open counts. `now`: when they are given."""

    def __init__(
        self,
        given: Given,
        *,
        is_marketing: bool,
        start: datetime,
        expires_at: datetime,
        now: datetime,
        per_second: int | None = None,
    ) -> None:
        self._given = given
        self._is_marketing = is_marketing
        self._start = start
        self._expires_at = expires_at
        self.closed = Turn(now, now)  # of one whose window opens too late
        self._per_second = per_second
        self._firsts: dict[Window, Turn | None] = {}

    def of(self, recipient: str, index: int = 0) -> Turn:
        """Of message `index`, from 0, of those that wait. Where its window opens too late it is due now, and closed:
        missed_windows.py ends it."""
        window = window_for(self._given, is_marketing=self._is_marketing, recipient=recipient)
        if window is None:
            return Turn(pace.turn(self._start, index, self._per_second), None)
        if window not in self._firsts:
            turn = first_turn(window, self._start, self._expires_at)
            self._firsts[window] = None if isinstance(turn, End) else turn
        first = self._firsts[window]
        if first is not None and self._per_second is not None:
            return advance(window, self._start, timedelta(seconds=index / self._per_second)) or self.closed
        return first or self.closed
