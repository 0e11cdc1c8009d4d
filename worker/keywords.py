"""Keywords: what an inbound message asks for by a word of the credential's lists, in any script. Pure.

The whole message must be the keyword: "no" within a sentence opts nobody out. Letter case, punctuation, symbols,
invisible characters and the Unicode form do not matter, and the four Turkish i's are one letter.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from worker.near_misses import near_miss
from worker.words import Action

FIELDS: Mapping[Action, str] = {  # of a credential; the most protective first
    Action.OPT_OUT: "opt_out_keywords",
    Action.HELP: "help_keywords",
    Action.DOUBLE_OPT_IN: "double_opt_in_keywords",
    Action.OPT_IN: "opt_in_keywords",
    Action.CUSTOM: "custom_keywords",
}
# By law and the carriers' rules, whatever a credential's list holds.
ALWAYS_OPT_OUT = ("STOP", "STOPALL", "UNSUBSCRIBE", "REVOKE", "OPTOUT", "OPT OUT", "END", "QUIT", "CANCEL")
DEFAULTS: Mapping[Action, Sequence[str]] = {
    Action.OPT_OUT: ("STOP", "QUIT", "CANCEL", "END", "UNSUBSCRIBE", "NO"),
    Action.HELP: ("HELP", "INFO", "INFORMATION"),
    Action.OPT_IN: ("SUBSCRIBE", "YES", "UNSTOP", "START", "CONTINUE", "RESUME", "BEGIN"),
}

_LONGEST = 1_000  # characters, ten times a keyword's: Unicode's normal forms can take quadratic time
_MARKS = ("Mn", "Mc")  # accents, and the vowel signs of Indic scripts
_LONE_MARKS = re.compile(r"\s[^\w\s]+")  # what becomes of ´ and ¨, in a text that holds no punctuation
_INVISIBLE = frozenset(
    map(
        chr,
        (
            0x034F,
            0x115F,
            0x1160,
            0x3164,
            0xFFA0,
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)


class Reading(NamedTuple):
    """What a message asks for, and by which keyword, as configured. Of a near miss: the one that was meant."""

    action: Action
    word: str | None = None

    @property
    def stored(self) -> str:
        """The action as it is stored. The custom word is all that follows the first colon, other colons included."""
        return f"{self.action}:{self.word}" if self.action is Action.CUSTOM else self.action.value


@dataclass(frozen=True)
class Keywords:
    """A credential's lists as configured; empty ones mean the defaults. Kept, it reads many messages by one table."""

    opt_in: Sequence[str] = ()
    opt_out: Sequence[str] = ()
    help: Sequence[str] = ()
    double_opt_in: Sequence[str] = ()
    custom: Sequence[str] = ()

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Keywords":
        """From a credential's fields, by their names."""
        return cls(**{action.value: fields[field] for action, field in FIELDS.items()})

    @property
    def configured(self) -> dict[Action, Sequence[str]]:
        """The lists as they are, in the order of FIELDS."""
        return {action: getattr(self, action) for action in FIELDS}

    @property
    def effective(self) -> dict[Action, Sequence[str]]:
        """The lists that count, in the same order: with the defaults, and with what always opts out."""
        lists = {action: words or DEFAULTS.get(action, ()) for action, words in self.configured.items()}
        return lists | {Action.OPT_OUT: (*lists[Action.OPT_OUT], *ALWAYS_OPT_OUT)}

    @cached_property
    def readings(self) -> Mapping[str, Reading]:
        """What each keyword is read as, by its normal form. A word in two lists, as rows may hold, is of the first."""
        found: dict[str, Reading] = {}
        for action, words in self.effective.items():
            for word in words:
                found.setdefault(normalise(word), Reading(action, word))
        found.pop("", None)
        return found


def read(text: str, keywords: Keywords) -> Reading:
    """What the message asks for. Total: whatever the text, and whatever the lists hold."""
    readings = keywords.readings
    whole = normalise(text)
    if whole in readings:
        return readings[whole]
    opt_outs = [word for word, reading in readings.items() if reading.action is Action.OPT_OUT]
    # "opt-out please" and "stop/unsubscribe": punctuation may stand within a word, or for a space.
    for form in (whole, normalise(text, between=" ")):
        if (meant := near_miss(form, opt_outs)) is not None:
            return Reading(Action.NEAR_MISS, readings[meant].word)
    return Reading(Action.NONE)


def normalise(text: str, between: str = "") -> str:
    """The form in which keywords are compared: NFKC, case folded, spaces single. `between` replaces punctuation.

    Empty: it holds no letter or digit, or is longer than any keyword.
    """
    if len(text) > _LONGEST:
        text = _without_punctuation(text, between)
    if len(text) > _LONGEST:
        return ""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("i\u0307", "i").replace("ı", "i")
    # Once more: case folding takes letters apart, and what stood on both sides of punctuation may compose.
    form = unicodedata.normalize("NFKC", _without_punctuation(folded, between))
    return form if any(map(str.isalnum, form)) else ""


def _without_punctuation(text: str, between: str) -> str:
    kept = "".join(
        character
        if character.isalnum() or character.isspace() or unicodedata.category(character) in _MARKS
        else between
        for character in text
        if character not in _INVISIBLE
    )
    return " ".join(_LONE_MARKS.sub(between, kept).split())


def faults(keywords: Keywords, given: Collection[str] = ()) -> list[tuple[str, str]]:
    """What forbids these lists: (field to mend, what to do). Judged on the lists that count.

    `given`: the fields that a change holds. Of two lists with one word, a fault names one that was given, where there
    is one, and one that is configured rather than a default.
    """
    found = [
        (FIELDS[action], f"{word} holds no letter or digit: no message could match it")
        for action, words in keywords.configured.items()
        for word in words
        if not normalise(word)
    ]
    holders: dict[str, dict[Action, str]] = {}  # of each keyword: the lists that hold it, and how they write it
    for action, words in keywords.effective.items():
        for word in words:
            holders.setdefault(normalise(word), {})[action] = word
    holders.pop("", None)
    required = set(map(normalise, ALWAYS_OPT_OUT))
    for form, written in holders.items():
        first, *others = written
        for other in others:
            if form in required:
                field = FIELDS[other]
                how = f"{written[other]} always opts out, by law and carriers' rules: take it out of {field}"
                found.append((field, how))
            else:
                found.append(_shared(keywords, {first: written[first], other: written[other]}, given))
    return found


def _shared(keywords: Keywords, written: Mapping[Action, str], given: Collection[str]) -> tuple[str, str]:
    """Of two lists with one word: which to mend, and how. The second is the less protective one."""
    first, second = written
    configured = keywords.configured
    mend = max(second, first, key=lambda action: (FIELDS[action] in given, bool(configured[action])))
    word, field = written[mend], FIELDS[first if mend is second else second]
    if not configured[mend]:
        how = f"{word} is in it by default, and in {field} too: set it without {word}, or take that out of {field}"
    elif not configured[first] or not configured[second]:
        how = f"{word} is in {field} by default: set {field} without it, or leave it out here"
    else:
        how = f"{word} is in {field} too: take it out of one of them"
    return FIELDS[mend], how
