"""India DLT: a text read by a template, value by value. Pure.

Where a text can be read in more than one way, each value takes as few characters as it can, the first before the
others. Reading takes time linear in the text, whatever it holds.
"""

from dataclasses import dataclass

from worker.dlt.masks import Masks, ahead, back, lowest
from worker.dlt.templates import Kind, Pattern, is_of_kind


@dataclass(frozen=True, slots=True)
class Limits:
    """What values may be: at least `least` (0 or 1) and at most `most` characters, held to their types or not."""

    most: int
    least: int = 1
    is_typed: bool = True

    def kind(self, kind: Kind) -> Kind:
        return kind if self.is_typed else Kind.VAR


def read(pattern: Pattern, text: str, masks: Masks, most_variable: int) -> tuple[str, ...] | None:
    """The values, each of 1 to `most_variable` characters and of its type. None: the text does not fit. `masks` are
    the text's."""
    if (values := leftmost(pattern, text)) is None:
        return None
    if all(len(value) <= most_variable for value in values) and all(map(is_of_kind, values, pattern.kinds)):
        return values
    return shortest(pattern, text, masks, Limits(most_variable))


def leftmost(pattern: Pattern, text: str) -> tuple[str, ...] | None:
    """The values if they may be of any length and type: each literal where it first stands. None: not even then.

    Those that keep the bounds are the shortest there are, so that most texts are read by this alone.
    """
    head, *rest = pattern.literals
    if not rest:
        return () if text == head else None
    tail = rest.pop()
    end = len(text) - len(tail)
    if not text.startswith(head) or not text.endswith(tail):
        return None
    at = len(head)
    values = []
    for literal in rest:
        found = text.find(literal, at + 1, end)
        if found < 0:
            return None
        values.append(text[at:found])
        at = found + len(literal)
    if at >= end:
        return None
    values.append(text[at:end])
    return tuple(values)


def shortest(pattern: Pattern, text: str, masks: Masks, limits: Limits) -> tuple[str, ...] | None:
    """The values within `limits`; None: there are none. `masks` are the text's."""
    rests = _rests(pattern, masks, limits)
    if not rests[0] & 1:
        return None
    at = len(pattern.literals[0])
    values = []
    for kind, literal, rest in zip(pattern.kinds, pattern.literals[1:], rests[1:], strict=True):
        start = 1 << at
        ends = masks.spread(start, limits.kind(kind), limits.most, ahead)
        if not limits.least:
            ends |= start
        end = lowest(ends & rest)
        values.append(text[at:end])
        at = end + len(literal)
    return tuple(values)


def _rests(pattern: Pattern, masks: Masks, limits: Limits) -> list[int]:
    """For each literal: where it can stand so that all from there on fits."""
    at = masks.before(1 << masks.length, pattern.literals[-1])
    rests = [at]
    for kind, literal in zip(reversed(pattern.kinds), reversed(pattern.literals[:-1]), strict=True):
        starts = masks.spread(at, limits.kind(kind), limits.most, back)
        if not limits.least:
            starts |= at
        at = masks.before(starts, literal)
        rests.append(at)
    return rests[::-1]
