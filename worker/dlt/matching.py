"""India DLT: whether a text fits its template, as the operators' scrubbing compares them, and where it does not. Pure.

Every character counts: spaces, line breaks (CRLF is not LF), quotation marks, dashes, letter case, the Unicode form.
Some operators are said to overlook blanks and punctuation; what fits here fits them too. Lengths and positions are in
code points, since how scrubbers count is not established. Nor is what they make of an empty value: here it is a misfit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from worker.dlt.differences import Place, first_difference, shown
from worker.dlt.faults import DltFault
from worker.dlt.links import Link, as_link, first_stray, links
from worker.dlt.masks import Masks
from worker.dlt.reading import Limits, leftmost, read, shortest
from worker.dlt.templates import LINK_KINDS, TYPES, Kind, Pattern, is_of_kind

_SNIPPET = 16  # characters


@dataclass(frozen=True, slots=True)
class Fit:
    """The value of each placeholder. Of several readings: the first values as short as can be."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Misfit:
    """`position` is the index of the first character that fits no way, the text's length where it ends too early.
    `expected` is what the template has there, `found` what the text has, empty where it ends. `sentence` is for people.
    `is_slip`: but for this one place the text fits.
    """

    position: int
    expected: str
    found: str
    fault: DltFault
    sentence: str
    is_slip: bool


def fit(pattern: Pattern, text: str, most_variable: int, masks: Masks | None = None) -> Fit | Misfit:
    """`most_variable`: characters that one value may have; sources say 20, 30 or 40. Takes time linear in the text.
    `masks`: of the text, where it is held against several templates."""
    masks = masks or Masks(text)
    values = read(pattern, text, masks, most_variable)
    if values is None:
        return _misfit(pattern, text, masks, most_variable)
    if pattern.allow_list and (stray := _stray_link(pattern, text, values)) is not None:
        return _off_the_list(pattern, text, stray)
    return Fit(values)


def fitting(pattern: Pattern, text: str, most_variable: int, masks: Masks) -> Fit | None:
    """As `fit`, for whom it is enough to know whether."""
    values = read(pattern, text, masks, most_variable)
    if values is None or (pattern.allow_list and _stray_link(pattern, text, values) is not None):
        return None
    return Fit(values)


def _stray_link(pattern: Pattern, text: str, values: tuple[str, ...]) -> Link | None:
    """The first address that is not on the allow list: any in the text, and each value that is to be one."""
    own = pattern.own_links
    found = [link for link in links(text) if link.text not in own]
    for number, start in _starts(pattern, values, lambda _, kind: kind in LINK_KINDS):
        found.append(as_link(values[number - 1], start))
    return first_stray(sorted(found), pattern.allow_list)


def _off_the_list(pattern: Pattern, text: str, link: Link) -> Misfit:
    sentence = (
        f"The address {shown(link.text)} at character {link.position + 1} is not on the allow list of template "
        f"{pattern.template.name}. Register it on the DLT portal, add it to the list here, or use one that is on it."
    )
    return Misfit(
        link.position, "an address on the allow list", link.text, DltFault.LINK_NOT_ALLOWED, sentence, is_slip=True
    )


def _misfit(pattern: Pattern, text: str, masks: Masks, most: int) -> Misfit:
    """By what would have to be forgiven for the text to fit: a long value, one of the wrong type, an empty one."""
    if leftmost(pattern, text) is not None:
        longer = shortest(pattern, text, masks, Limits(len(text)))
        if longer is not None:
            return _too_long(pattern, text, longer, most)
        untyped = shortest(pattern, text, masks, Limits(most, is_typed=False))
        if untyped is not None:
            wrong, place = _of_wrong_type(pattern, text, untyped, most), first_difference(pattern, text, masks, most)
            further = place.is_only and place.position > wrong.position
            return _differing(pattern, text, place, most) if further else wrong
    emptier = shortest(pattern, text, masks, Limits(most, least=0))
    if emptier is not None:
        return _empty(pattern, text, emptier, most)
    return _differing(pattern, text, first_difference(pattern, text, masks, most), most)


def _too_long(pattern: Pattern, text: str, values: tuple[str, ...], most: int) -> Misfit:
    number, start = next(_starts(pattern, values, lambda value, _: len(value) > most))
    kind, length = pattern.kinds[number - 1], len(values[number - 1])
    first, last = _side_by_side(pattern, number)
    room, together = most * (last - first + 1), sum(map(len, values[first - 1 : last]))
    if together > room:  # whichever of them takes what: they are too long together
        start -= sum(map(len, values[first - 1 : number - 1]))
        length = together
    else:
        room = most
    numbers = f"placeholder {number}" if room == most else f"placeholders {first} to {last}, side by side,"
    sentence = (
        f"The value of {numbers} has {length} characters, from character {start + 1} on; {kind.placeholder} takes at "
        f"most {most}. Shorten it, or register a template with more placeholders there."
    )
    found = _snippet(text, start + room)
    return Misfit(start + room, _label(kind, most), found, DltFault.VARIABLE_TOO_LONG, sentence, is_slip=True)


def _side_by_side(pattern: Pattern, number: int) -> tuple[int, int]:
    """The first and last of the placeholders that stand next to this one with nothing between."""
    first = last = number
    while first > 1 and not pattern.literals[first - 1]:
        first -= 1
    while last < len(pattern.kinds) and not pattern.literals[last]:
        last += 1
    return first, last


def _of_wrong_type(pattern: Pattern, text: str, values: tuple[str, ...], most: int) -> Misfit:
    number, start = next(_starts(pattern, values, lambda value, kind: not is_of_kind(value, kind)))
    kind, value = pattern.kinds[number - 1], values[number - 1]
    accepts = TYPES[kind].accepts
    position = start + next((at for at, character in enumerate(value) if not accepts(character)), 0)
    sentence = (
        f"The value of placeholder {number}, {shown(value)} at character {start + 1}, does not suit "
        f"{kind.placeholder}, which takes {TYPES[kind].words}. Correct it, or register a template with {{#var#}} there."
    )
    return Misfit(
        position, _label(kind, most), _snippet(text, position), DltFault.TEMPLATE_NOT_MATCHED, sentence, is_slip=True
    )


def _empty(pattern: Pattern, text: str, values: tuple[str, ...], most: int) -> Misfit:
    number, start = next(_starts(pattern, values, lambda value, _: not value))
    kind = pattern.kinds[number - 1]
    sentence = (
        f"Placeholder {number}, {kind.placeholder}, has an empty value at character {start + 1}. Give it at least one "
        "character, or use a template without it."
    )
    return Misfit(
        start, _label(kind, most), _snippet(text, start), DltFault.TEMPLATE_NOT_MATCHED, sentence, is_slip=True
    )


def _differing(pattern: Pattern, text: str, place: Place, most: int) -> Misfit:
    expected = place.literal[:_SNIPPET]
    if place.kind is not None:
        expected = _label(place.kind, most)
    elif not expected:
        expected = "the end of the text"
    sentence = place.sentence(text, pattern.template.name, expected)
    return Misfit(
        place.position,
        expected,
        _snippet(text, place.position),
        DltFault.TEMPLATE_NOT_MATCHED,
        sentence,
        is_slip=place.is_only,
    )


def _starts(
    pattern: Pattern, values: tuple[str, ...], is_meant: Callable[[str, Kind], bool]
) -> Iterator[tuple[int, int]]:
    """Of the values that are meant: the number of the placeholder, from 1, and where the value begins."""
    at = 0
    for number, (literal, kind, value) in enumerate(zip(pattern.literals, pattern.kinds, values, strict=False), 1):
        at += len(literal)
        if is_meant(value, kind):
            yield number, at
        at += len(value)


def _label(kind: Kind, most: int) -> str:
    words = "" if kind is Kind.VAR else f"{TYPES[kind].words}, "
    return f"{kind.placeholder} ({words}at most {most} character{'s' if most != 1 else ''})"


def _snippet(text: str, position: int) -> str:
    return text[position : position + _SNIPPET]
