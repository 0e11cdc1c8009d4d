"""India DLT: a registered template, and its text read for placeholders. Pure.

`{#var#}` takes anything, line breaks too. The typed placeholders are what operators' portals and aggregators say of
them, not established: digits alone in `{#numeric#}`; letters, digits and spaces, of any script, in `{#alphanumeric#}`;
an address in `{#url#}` and `{#urlott#}`; and so on, as TYPES lists them. Names of placeholders are case sensitive.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from worker.dlt.ids import BadDltId, check_dlt_id
from worker.dlt.links import Allowed, allowed, links

MOST_BYTES = 4_000  # of a template's text, in UTF-8
MOST_PLACEHOLDERS = 100

_PLACEHOLDER = re.compile(r"\{#([^{}#]*+)#\}")
_OPENING = "{#"
_DIGITS = frozenset("0123456789")
_LATIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_IN_ADDRESSES = _LATIN | _DIGITS | frozenset("-._~:/?#[]@!$&'()*+,;=%")  # RFC 3986
_IN_MAILBOXES = _LATIN | _DIGITS | frozenset("-._+%'@")
_IN_PHONE_NUMBERS = _DIGITS | frozenset("+- ")


class BadTemplate(ValueError):
    """No template that can be matched; the text says why, for people."""


class Category(StrEnum):
    TRANSACTIONAL = "transactional"
    SERVICE_IMPLICIT = "service_implicit"
    SERVICE_EXPLICIT = "service_explicit"
    PROMOTIONAL = "promotional"


class Kind(StrEnum):
    """The word in a placeholder."""

    VAR = "var"
    NUMERIC = "numeric"
    NUMBER = "number"
    ALPHA = "alpha"
    ALPHANUMERIC = "alphanumeric"
    URL = "url"
    URLOTT = "urlott"
    EMAIL = "email"
    CBN = "cbn"

    @property
    def placeholder(self) -> str:
        return f"{{#{self.value}#}}"


class Type(NamedTuple):
    """What a value consists of. `mark`: a character that it must hold between two letters or digits, of any script."""

    words: str
    accepts: Callable[[str], bool]
    mark: str | None = None


def _is_letter(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] in "LM"


def _is_letter_or_digit(character: str) -> bool:
    return _is_letter(character) or character.isdecimal()


_ADDRESS = Type("a web address", _IN_ADDRESSES.__contains__, ".")
TYPES: Mapping[Kind, Type] = {
    Kind.VAR: Type("anything", lambda _: True),
    Kind.NUMERIC: Type("digits only", _DIGITS.__contains__),
    Kind.NUMBER: Type("digits only", _DIGITS.__contains__),
    Kind.ALPHA: Type("letters and spaces only", _is_letter),
    Kind.ALPHANUMERIC: Type("letters, digits and spaces only", _is_letter_or_digit),
    Kind.URL: _ADDRESS,
    Kind.URLOTT: _ADDRESS,
    Kind.EMAIL: Type("an e-mail address", _IN_MAILBOXES.__contains__, "@"),
    Kind.CBN: Type("a phone number: digits, +, - and spaces only", _IN_PHONE_NUMBERS.__contains__),
}
LINK_KINDS = frozenset({Kind.URL, Kind.URLOTT})


def is_of_kind(value: str, kind: Kind) -> bool:
    """Whether a value that is not empty is of the placeholder's type, its length aside."""
    if kind is Kind.VAR:
        return True
    _, accepts, mark = TYPES[kind]
    return all(map(accepts, value)) and (mark is None or _holds(value, mark))


def _holds(value: str, mark: str) -> bool:
    return any(
        value[at] == mark and value[at - 1].isalnum() and value[at + 1].isalnum() for at in range(1, len(value) - 1)
    )


@dataclass(frozen=True)
class Registered:
    """A template as the registry holds it. `headers` are the senders linked to it; empty: any. `url_allow_list` holds
    hosts, each perhaps with the beginning of a path; empty: the list is not known here and nothing is held to it.

    Errors: BadTemplate, where an ID cannot be one.
    """

    template_id: str
    entity_id: str
    name: str
    headers: tuple[str, ...]
    category: Category
    text: str
    language: str | None = None
    url_allow_list: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, identifier in (("content template ID", self.template_id), ("principal entity ID", self.entity_id)):
            try:
                check_dlt_id(identifier)
            except BadDltId as error:
                raise BadTemplate(f"{what}: {error}") from error


@dataclass(frozen=True)
class Pattern:
    """A template's text, read: `literals` stand around the placeholders, one more than there are `kinds`."""

    template: Registered
    literals: tuple[str, ...]
    kinds: tuple[Kind, ...]
    allow_list: tuple[Allowed, ...]

    @cached_property
    def fixed_length(self) -> int:
        """Characters outside placeholders."""
        return sum(map(len, self.literals))

    @cached_property
    def whole_words(self) -> frozenset[str]:
        """Words that every text of the template holds whole: no placeholder touches them."""
        joined = "\0 \0".join(self.literals)  # with a mark where a placeholder touches a word, which joins it there
        return frozenset(word for word in joined.split() if "\0" not in word)

    @cached_property
    def own_links(self) -> frozenset[str]:
        """Addresses that the fixed text holds whole: registered with it, they need no allow list."""
        return frozenset(link.text for link in links("\n".join(self.literals)))


def compile_template(template: Registered) -> Pattern:
    """Errors: BadTemplate."""
    text = template.text
    if not text.strip():
        raise BadTemplate("the template has no text")
    if (size := len(text.encode(errors="surrogatepass"))) > MOST_BYTES:
        raise BadTemplate(f"a template's text has at most {MOST_BYTES:,} bytes; this one has {size:,}")
    parts = _PLACEHOLDER.split(text)  # what stands around the placeholders, and between these their words
    kinds = tuple(_kind(word) for word in parts[1::2])
    if len(kinds) > MOST_PLACEHOLDERS:
        raise BadTemplate(f"a template has at most {MOST_PLACEHOLDERS} placeholders; this one has {len(kinds)}")
    if any(_OPENING in literal for literal in parts[::2]):
        raise BadTemplate("a placeholder is opened by {# and not closed: write it as {#var#}")
    return Pattern(template, tuple(parts[::2]), kinds, _allow_list(template))


def _kind(word: str) -> Kind:
    if word in TYPES:
        return Kind(word)
    meant = word.strip().lower()
    if meant in TYPES:
        raise BadTemplate(f"{{#{word}#}} is no placeholder: write {Kind(meant).placeholder}, exactly so")
    known = ", ".join(kind.placeholder for kind in Kind)
    raise BadTemplate(f"{{#{word}#}} is no placeholder that is known: {known}")


def _allow_list(template: Registered) -> tuple[Allowed, ...]:
    entries = []
    for entry in template.url_allow_list:
        if (read := allowed(entry)) is None:
            raise BadTemplate(f"{entry!r} in the allow list is no host, with or without a path, such as bank.in/offers")
        entries.append(read)
    return tuple(entries)
