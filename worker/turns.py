"""First turns: when each message of one order may first leave, by its pace and its sending window. Pure."""

from datetime import datetime, timedelta

from worker import pace
from worker.retry import End, first_turn, margin
from worker.windows import Given, Turn, Window, is_one_for_all, no_turn, stretches, window_for


def time_for_turns(given: Given, begins_at: datetime, expires_at: datetime) -> timedelta:
    """How long after the first turn of a batch at a pace the last one is still of use: until the margin before its end.
    Of hours in one zone for all, as long as they are open until then, and less than nothing where they never are; what
    differs from recipient to recipient, as India's hours do, is not counted."""
    last = expires_at - margin(expires_at - begins_at)
    if not is_one_for_all(given):
        return last - begins_at
    openings = stretches(Window((given,)), begins_at, last)
    # An opening ends before it closes.
    return sum((closes - opens for opens, closes in openings), start=-timedelta.resolution)


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
        self.closed = no_turn(now)  # of one whose window opens too late
        self._per_second = per_second
        self._firsts: dict[Window, Turn] = {}

    def of(self, recipient: str, index: int = 0) -> Turn:
        """Of message `index`, from 0, of those that wait. Where its window opens too late, or at the pace is open for
        too short a time before, it has none: missed_windows.py ends it."""
        window = window_for(self._given, is_marketing=self._is_marketing, recipient=recipient)
        if window is None:
            return Turn(pace.turn(self._start, index, self._per_second), None)
        if self._per_second is not None:
            return self._within(window, timedelta(seconds=index / self._per_second))
        if window not in self._firsts:
            self._firsts[window] = self._within(window, timedelta(0))
        return self._firsts[window]

    def _within(self, window: Window, open_time: timedelta) -> Turn:
        turn = first_turn(window, self._start, self._expires_at, open_time)
        return self.closed if isinstance(turn, End) else turn
