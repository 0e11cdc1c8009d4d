"""Near misses: messages that are no keyword, though their writer may well want to opt out.

They never change consent, since nobody knows whether that was meant: the writer is told the exact word. Pure.
"""

import re
from collections.abc import Iterable

_MOST_WORDS = 5
_SHORTEST = 4  # letters: END and NO stand in too many sentences, and are too like other words
_LONG = 8
_FILLERS = re.compile(
    r"(?<!\S)(?:all|it|just|kindly|me|messages|more|msgs|now|ok|okay|please|pls|plz|sir|sms|texts|"
    r"thank you|thank|thanks|them|these|this|thx|ty)(?!\S)"
)


def near_miss(text: str, opt_outs: Iterable[str]) -> str | None:
    """The opt-out keyword that `text` is a near miss of; None: of none. Both in the form in which they are compared.

    It is one if
    - it has at most 5 words, and a keyword of 4 letters or more as whole words among them ("please stop"); the longest
      is meant;
    - or it is a keyword once fillers and spaces are left out ("no thanks", "s t o p");
    - or it is then one slip away from a keyword of 4 letters or more ("stpo"), or two from one of 8 or more with the
      same first letter ("unsuscrib", but not "subscribe"); the nearest is meant. A slip is a letter left out, added,
      taken for another or swapped with the next.
    """
    is_short = len(text.split()) <= _MOST_WORDS
    rest = _FILLERS.sub("", text).replace(" ", "")
    held: list[str] = []
    slips: dict[str, int] = {}
    for keyword in opt_outs:
        letters = keyword.replace(" ", "")
        if is_short and len(letters) >= _SHORTEST and f" {keyword} " in f" {text} ":
            held.append(keyword)
        elif (count := _slips(rest, letters)) <= _forgiven(rest, letters):
            slips[keyword] = count
    return max(held, key=len, default=None) or min(slips, key=slips.__getitem__, default=None)


def _forgiven(text: str, word: str) -> int:
    if len(word) < _SHORTEST:
        return 0
    return 2 if len(word) >= _LONG and text[:1] == word[:1] else 1


def _slips(text: str, word: str) -> int:
    """The optimal string alignment distance, which is told in full only where the lengths are alike."""
    if abs(len(text) - len(word)) > 2:
        return abs(len(text) - len(word))
    before: list[int] = []
    above = list(range(len(word) + 1))
    for i, letter in enumerate(text, 1):
        row = [i]
        for j, wanted in enumerate(word, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != wanted)))
            if i > 1 and j > 1 and letter == word[j - 2] and wanted == text[i - 2]:
                row[j] = min(row[j], before[j - 2] + 1)
        before, above = above, row
    return above[-1]
