"""Sets of positions in a text as the bits of one number: bit i is the place before character i.

A literal or a value of bounded length then moves all positions at once, in as many operations as the literal has
characters, or as the bound has binary digits. What a text holds does not change how many there are. Pure.
"""

from collections.abc import Callable
from functools import cache, cached_property

from worker.dlt.templates import TYPES, Kind

Jump = Callable[[int, int, int], int]


def ahead(at: int, run: int, width: int) -> int:
    """Where one comes from `at`, `width` characters on, starting within `run`."""
    return (at & run) << width


def back(at: int, run: int, width: int) -> int:
    """Where one starts, within `run`, to come to `at` with `width` characters."""
    return (at >> width) & run


class Masks:
    """Where the characters of one text are. Costs nothing until it is asked, and then the same for many templates."""

    def __init__(self, text: str) -> None:
        self.length = len(text)
        self._text = text
        self.windows = cache(self._windows)

    @cached_property
    def _of(self) -> dict[str, int]:
        found: dict[str, int] = {}
        bit = 1
        for character in self._text:
            found[character] = found.get(character, 0) | bit
            bit <<= 1
        return found

    def of(self, character: str) -> int:
        return self._of.get(character, 0)

    def where(self, accepts: Callable[[str], bool]) -> int:
        return sum(mask for character, mask in self._of.items() if accepts(character))

    def past(self, at: int, literal: str) -> int:
        """Where one comes from `at` over all of `literal`."""
        of = self._of
        for character in literal:
            at = (at & of.get(character, 0)) << 1
            if not at:
                break
        return at

    def before(self, at: int, literal: str) -> int:
        """Where one starts to come to `at` over all of `literal`."""
        of = self._of
        for character in reversed(literal):
            at = (at >> 1) & of.get(character, 0)
            if not at:
                break
        return at

    def spread(self, at: int, kind: Kind, most: int, jump: Jump) -> int:
        """Where one comes from `at` (or, with `back`, starts to come to it) by a value of 1 to `most` characters."""
        most = min(most, self.length)
        if most < 1:
            return 0
        is_marked = TYPES[kind].mark is not None
        (_, run, _), *_ = self.windows(kind, 1)
        plain = jump(at, run, 1)  # the first character: no mark, nor is the last
        if not is_marked:
            for width, run, _ in self.windows(kind, most - 1):
                plain |= jump(plain, run, width)
            return plain
        marked = 0
        for width, within, holding in self.windows(kind, most - 2):
            marked |= jump(marked, within, width) | jump(plain, holding, width)
            plain |= jump(plain, within, width)
        return jump(marked, run, 1)

    def _windows(self, kind: Kind, most: int) -> list[tuple[int, int, int]]:
        """Widths whose sums are all numbers up to `most`, doubling; with each, where as many characters of the kind
        follow, and where one of these is its mark."""
        if most < 1:
            return []
        run = (1 << self.length) - 1 if kind is Kind.VAR else self.where(TYPES[kind].accepts)
        windows = [(1, run, self._marks(kind) & run)]
        left = most - 1
        while left >= 2 * windows[-1][0]:
            windows.append(_widened(windows[-1], 2 * windows[-1][0]))
            left -= windows[-1][0]
        if left:
            narrower = next(window for window in reversed(windows) if window[0] <= left)
            windows.append(_widened(narrower, left))
        return windows

    def _marks(self, kind: Kind) -> int:
        mark = TYPES[kind].mark
        if mark is None:
            return 0
        beside = self.where(str.isalnum)
        return self.of(mark) & (beside << 1) & (beside >> 1)


def _widened(window: tuple[int, int, int], width: int) -> tuple[int, int, int]:
    """To at most twice as many characters: two windows that overlap."""
    narrow, run, holding = window
    by = width - narrow
    wide = run & (run >> by)
    return width, wide, wide & (holding | (holding >> by))


def highest(mask: int) -> int:
    """The last position. The mask is not empty."""
    return mask.bit_length() - 1


def lowest(mask: int) -> int:
    """The first position. The mask is not empty."""
    return (mask & -mask).bit_length() - 1
