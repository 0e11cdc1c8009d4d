"""India DLT: where a text departs from the fixed text of its template, and how that is said. Pure.

A text that one character changed, left out or added keeps from fitting is told that very place; any other, how far
into the template it gets. Both take time linear in the text.
"""

import unicodedata
from dataclasses import dataclass
from itertools import chain, product

from worker.dlt.masks import Masks, ahead, back, highest
from worker.dlt.templates import Kind, Pattern

_CONTEXT = 20  # characters of the text that are quoted before the place
_AHEAD = (8, 4, 2)  # characters of fixed text that tell where it goes on: as many as are found
_LOST = (1, 2, 3)  # characters of it before these
_INSTEAD = (1, 0, 2, 3)  # characters of the text in their place
_CONTROLS = {"\n": "LINE FEED", "\r": "CARRIAGE RETURN", "\t": "CHARACTER TABULATION"}


@dataclass(frozen=True, slots=True)
class Place:
    """`literal` is the fixed text that the template has at the position, up to the next placeholder or its end; `kind`
    the placeholder that it has there instead, if any. `is_only`: but for one character there the text fits."""

    position: int
    literal: str
    kind: Kind | None
    is_only: bool

    def sentence(self, text: str, name: str, expected: str) -> str:
        before = text[max(0, self.position - _CONTEXT) : self.position]
        where = f"At character {self.position + 1}" + (f", after {shown(before)}," if before else "")
        has = f"has {character_named(text[self.position])}" if self.position < len(text) else "ends"
        wanted = "has " + (character_named(self.literal[0]) if self.literal else expected)
        if self.kind is None and not self.literal:
            wanted = "ends"
        return (
            f"{where} the text {has} where template {name} {wanted}. "
            "Write what is registered, character by character, or register the text as it is."
        )


def shown(text: str) -> str:
    """In quotes, with what cannot be seen or breaks lines escaped."""
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text) + '"'


def character_named(character: str) -> str:
    """As itself, and by its Unicode name unless it is a plain letter or digit."""
    if character.isascii() and character.isalnum():
        return f"'{character}'"
    name = _CONTROLS.get(character) or unicodedata.name(character, "") or f"U+{ord(character):04X}"
    if not character.isprintable() or character.isspace() or unicodedata.combining(character):
        return name
    return f"{character} ({name})"


def first_difference(pattern: Pattern, text: str, masks: Masks, most: int) -> Place:
    """Of a text that does not fit. `masks` are the text's; `most` is what a value may have at most."""
    elements = _elements(pattern)
    befores = _befores(elements, masks, most)
    return _edited(elements, text, befores, _afters(elements, masks, most)) or _furthest(elements, text, masks, befores)


def _edited(elements: list[str], text: str, befores: list[int], afters: list[int]) -> Place | None:
    """Where one character of the fixed text was changed, left out, or one added. None: more than that is wrong.

    Of several such places a change within one class (a quotation mark for another, a capital for a small letter, a
    blank for a line break) goes before the others, and then the last: up to there the text fits.
    """
    best = (False, -1, -1)
    for index, before in enumerate(befores):
        if extra := before & (afters[index] >> 1):
            best = max(best, (False, highest(extra), index))
        if index == len(elements) or isinstance(elements[index], Kind):
            continue
        if missing := before & afters[index + 1]:
            best = max(best, (False, highest(missing), index))
        if changed := before & (afters[index + 1] >> 1):
            position = highest(changed)
            best = max(best, (_are_alike(elements[index], text[position]), position, index))
    _, position, index = best
    return None if index < 0 else _place(elements, index, position, is_only=True)


def _furthest(elements: list[str], text: str, masks: Masks, befores: list[int]) -> Place:
    """Where the text gets no further into the template."""
    index = max(index for index, before in enumerate(befores) if before)
    ends = befores[index]
    # A value before may end in many places: there, rather, where the fixed text goes on a few characters later.
    found = _going_on(ends, _literal(elements, index), text, masks)
    return _place(elements, index, highest(ends) if found is None else found, is_only=False)


def _going_on(ends: int, literal: str, text: str, masks: Masks) -> int | None:
    """The one of `ends` that the literal stands after but for its first characters; None: it does not."""
    anywhere = (2 << masks.length) - 1
    for width, lost in product(_AHEAD, _LOST):
        piece = literal[lost : lost + width]
        starts = masks.before(anywhere, piece) if len(piece) == width else 0
        found = [highest(mask) for instead in _INSTEAD if (mask := ends & (starts >> instead))]
        if found:
            return next((at for at in found if _are_alike(literal[0], text[at])), max(found))
    return None


def _befores(elements: list[str], masks: Masks, most: int) -> list[int]:
    """For each element, and for the end: where in the text it can stand after all that is before it."""
    befores = [1]
    for element in elements:
        at = befores[-1]
        is_kind = isinstance(element, Kind)
        befores.append(masks.spread(at, Kind(element), most, ahead) if is_kind else masks.past(at, element))
    return befores


def _afters(elements: list[str], masks: Masks, most: int) -> list[int]:
    """For each element, and for the end: where in the text it can stand with all that is after it."""
    afters = [1 << masks.length]
    for element in reversed(elements):
        at = afters[-1]
        is_kind = isinstance(element, Kind)
        afters.append(masks.spread(at, Kind(element), most, back) if is_kind else masks.before(at, element))
    return afters[::-1]


def _elements(pattern: Pattern) -> list[str]:
    """The template's characters, with a Kind where it has a placeholder."""
    rest = zip(pattern.kinds, pattern.literals[1:], strict=True)
    return [*pattern.literals[0], *chain.from_iterable((kind, *literal) for kind, literal in rest)]


def _place(elements: list[str], index: int, position: int, *, is_only: bool) -> Place:
    element = elements[index] if index < len(elements) else None
    kind = element if isinstance(element, Kind) else None
    return Place(position, _literal(elements, index), kind, is_only)


def _literal(elements: list[str], index: int) -> str:
    """Fixed text from there to the next placeholder."""
    end = next((at for at in range(index, len(elements)) if isinstance(elements[at], Kind)), len(elements))
    return "".join(elements[index:end])


def _are_alike(wanted: str, found: str) -> bool:
    if wanted.isalnum() or found.isalnum():
        return wanted.casefold() == found.casefold()
    return True
