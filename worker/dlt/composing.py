"""India DLT: a text made of a template and values, so that it fits by construction. Pure."""

from collections.abc import Sequence
from itertools import chain, zip_longest

from worker.dlt.differences import shown
from worker.dlt.matching import Misfit, fit
from worker.dlt.templates import TYPES, Kind, Pattern, is_of_kind


class BadValues(ValueError):
    """Values that the template does not take; the text says which and why, for people."""


def compose(pattern: Pattern, values: Sequence[str], most_variable: int) -> str:
    """The text with the values in their places, in order; it fits the pattern with the same `most_variable`.

    Errors: BadValues, naming the placeholder by its number, from 1.
    """
    if len(values) != len(pattern.kinds):
        raise BadValues(f"the template has {_counted(len(pattern.kinds))}, and {len(values)} values are given")
    for number, (kind, value) in enumerate(zip(pattern.kinds, values, strict=True), 1):
        if fault := _fault(kind, value, most_variable):
            raise BadValues(f"placeholder {number}, {kind.placeholder}: {fault}")
    text = "".join(chain.from_iterable(zip_longest(pattern.literals, values, fillvalue="")))
    outcome = fit(pattern, text, most_variable)
    if isinstance(outcome, Misfit):  # an address that is not on the list, of one value or of what stands around it
        raise BadValues(_placed(pattern, values, outcome))
    return text


def _fault(kind: Kind, value: str, most: int) -> str | None:
    if not value:
        return "the value is empty; it needs at least one character"
    if len(value) > most:
        return f"the value has {len(value)} characters; at most {most} are taken"
    if not is_of_kind(value, kind):
        return f"{shown(value)} is of the wrong type; it takes {TYPES[kind].words}"
    return None


def _placed(pattern: Pattern, values: Sequence[str], misfit: Misfit) -> str:
    """The misfit's sentence, with the placeholder whose value the fault begins in, or stands next after."""
    end = 0
    for number, (literal, kind, value) in enumerate(zip(pattern.literals, pattern.kinds, values, strict=False), 1):
        end += len(literal) + len(value)
        if misfit.position < end:
            return f"placeholder {number}, {kind.placeholder}: {misfit.sentence}"
    return misfit.sentence


def _counted(count: int) -> str:
    return f"{count} placeholder{'s' if count != 1 else ''}"
