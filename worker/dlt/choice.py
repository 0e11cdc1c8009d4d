"""India DLT: which of an entity's templates a text follows, and if none, which it is nearest to. Pure.

Templates are found by a word of their fixed text that few others have, so that a text is held against one or two of
hundreds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nsmallest

from worker.dlt.masks import Masks
from worker.dlt.matching import Fit, Misfit, fit, fitting
from worker.dlt.templates import Pattern, Registered

_LOOKED_AT = 3  # candidates for the nearest that are compared in full
_COMMONEST = 1_000_000  # templates that share a word; a whole number, so that sums do not depend on their order


@dataclass(frozen=True, slots=True)
class Chosen:
    template: Registered
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Nearest:
    template: Registered
    misfit: Misfit


class Registry:
    """Templates, read once, for many texts. Their order does not matter."""

    def __init__(self, patterns: Iterable[Pattern], most_variable: int) -> None:
        """`most_variable`: characters that one value may have."""
        self._most = most_variable
        # The most specific first: whoever fits first is chosen.
        self._patterns = sorted(patterns, key=lambda it: (-it.fixed_length, len(it.kinds), it.template.template_id))
        words = [pattern.whole_words for pattern in self._patterns]
        having = Counter(word for of_one in words for word in of_one)
        self._by_rarest: dict[str, list[int]] = defaultdict(list)
        self._wordless: list[int] = []
        self._by_word: dict[str, list[int]] = defaultdict(list)
        for index, of_one in enumerate(words):
            if of_one:
                self._by_rarest[min(of_one, key=lambda word: (having[word], -len(word), word))].append(index)
            else:
                self._wordless.append(index)
            for word in of_one:
                if having[word] < len(words):  # one that all of them have tells nothing
                    self._by_word[word].append(index)

    @property
    def size(self) -> int:
        return len(self._patterns)

    def choose(self, text: str) -> Chosen | None:
        """The template that the text fits, of several the one with the most fixed text. None: it fits none."""
        masks = Masks(text)
        for index in self._candidates(text):
            pattern = self._patterns[index]
            if (outcome := fitting(pattern, text, self._most, masks)) is not None:
                return Chosen(pattern.template, outcome.values)
        return None

    def nearest(self, text: str) -> Nearest | None:
        """Of a text that fits none: the template it departs from in one place, else the one it shares the most words
        with. None: it fits one, or there are none."""
        first: Nearest | None = None
        masks = Masks(text)
        for index in self._most_alike(text):
            pattern = self._patterns[index]
            outcome = fit(pattern, text, self._most, masks)
            if isinstance(outcome, Fit):
                return None
            if outcome.is_slip:
                return Nearest(pattern.template, outcome)
            first = first or Nearest(pattern.template, outcome)
        return first

    def _candidates(self, text: str) -> list[int]:
        """All that the text may fit, the most specific first."""
        found = self._wordless.copy()
        for word in self._by_rarest.keys() & text.split():
            found += self._by_rarest[word]
        found.sort()
        return found

    def _most_alike(self, text: str) -> list[int]:
        """The few that share the most words with the text, rare words counting more; they first."""
        likeness = dict.fromkeys((*range(min(_LOOKED_AT, len(self._patterns))), *self._wordless), 0)
        for word in self._by_word.keys() & text.split():
            having = self._by_word[word]
            for index in having:
                likeness[index] = likeness.get(index, 0) + _COMMONEST // len(having)
        return nsmallest(_LOOKED_AT, likeness, key=lambda index: (-likeness[index], index))
