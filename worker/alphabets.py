"""The alphabets that a text may be encoded in: GSM 7-bit, with a language's tables or without, and Unicode. Pure.

Source: 3GPP TS 23.038, sections 6.2.1 and 6.2.1.1, and of Annex A the tables of Turkish, Spanish and Portuguese, the
languages that Infobip takes. A single shift table replaces the extension table, a locking shift table the default
alphabet. Each table that is used is announced in a header, which takes room in every part; of the lengths, provider
reference, section 9.3.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, NamedTuple

Encoding = Literal["GSM-7", "UCS-2"]
Code = Literal["NONE", "TR", "ES", "PT", "AUTODETECT"]

ESCAPE = "\x1b"  # what announces a character of the extension or single shift table; none itself

# Each by its septet, 0x00 first.
DEFAULT_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
LOCKING_SHIFT: dict[str, str] = {  # Spanish has none
    "TR": (
        "@£$¥€éùıòÇ\nĞğ\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bŞşßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
        "İABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§çabcdefghijklmnopqrstuvwxyzäöñüà"
    ),
    "PT": (
        "@£$¥êéúíóç\nÔô\rÁáΔ_ªÇÀ∞^\\€Ó|\x1bÂâÊÉ !\"#º%&'()*+,-./0123456789:;<=>?"
        "ÍABCDEFGHIJKLMNOPQRSTUVWXYZÃÕÚÜ§~abcdefghijklmnopqrstuvwxyzãõ`üà"
    ),
}

# Each by the septet that follows the escape.
DEFAULT_EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
SINGLE_SHIFT: dict[str, dict[int, str]] = {
    "TR": DEFAULT_EXTENSION | {0x47: "Ğ", 0x49: "İ", 0x53: "Ş", 0x63: "ç", 0x67: "ğ", 0x69: "ı", 0x73: "ş"},
    "ES": DEFAULT_EXTENSION
    | {0x09: "ç", 0x41: "Á", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú", 0x61: "á", 0x69: "í", 0x6F: "ó", 0x75: "ú"},
    "PT": DEFAULT_EXTENSION
    | {0x05: "ê", 0x09: "ç", 0x0B: "Ô", 0x0C: "ô", 0x0E: "Á", 0x0F: "á", 0x12: "Φ", 0x13: "Γ", 0x15: "Ω", 0x16: "Π"}
    | {0x17: "Ψ", 0x18: "Σ", 0x19: "Θ", 0x1F: "Ê", 0x41: "À", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú", 0x5B: "Ã", 0x5C: "Õ"}
    | {0x61: "Â", 0x69: "í", 0x6F: "ó", 0x75: "ú", 0x7B: "ã", 0x7C: "õ", 0x7F: "â"},
}

BASIC = DEFAULT_ALPHABET.replace(ESCAPE, "")
EXTENSION = "".join(DEFAULT_EXTENSION.values())


class Language(NamedTuple):
    """Whose national tables a text is to be encoded with, as Infobip takes it.

    The code alone stands for one table: the locking shift table of Turkish and of Portuguese, the single shift table
    of Spanish. With flags: those tables, and no others. AUTODETECT: that of any of the three languages.
    """

    code: Code
    single_shift: bool = False
    locking_shift: bool = False


@dataclass(frozen=True)
class Alphabet:
    """What one encoding holds, and how much of it one part takes: `single` units where it is the only one, `several`
    in each of more. A character of `ones` takes one unit, one of `twos` two; of Unicode both are empty, and any
    character is held. `tables`: the national tables in use, None where there are none."""

    encoding: Encoding
    single: int
    several: int
    tables: str | None = None
    ones: str = ""
    twos: str = ""

    @cached_property
    def lacking(self) -> re.Pattern[str]:
        """A character that it has not."""
        return re.compile(f"[^{re.escape(self.ones + self.twos)}]")

    @cached_property
    def wide(self) -> re.Pattern[str]:
        """A character that takes two units."""
        return re.compile(f"[{re.escape(self.twos)}]" if self.twos else "[\U00010000-\U0010ffff]")

    @cached_property
    def ascii_ones(self) -> bytes:
        return _ascii(self.ones)

    @cached_property
    def ascii_twos(self) -> bytes:
        return _ascii(self.twos)


def _ascii(characters: str) -> bytes:
    return "".join(filter(str.isascii, characters)).encode()


def _national(language: Language) -> Alphabet:
    """With these tables. A character of the plain alphabet never takes less than it takes there: the Turkish locking
    table has the euro sign as one septet, and whether an encoder takes that or the escape's two is its own choice.

    The locking table of Spanish, which does not exist, is taken for the default alphabet; its header counts.
    """
    code, is_single, is_locking = language
    ones = LOCKING_SHIFT.get(code, DEFAULT_ALPHABET) if is_locking else DEFAULT_ALPHABET
    ones = _without(ones, ESCAPE + EXTENSION)
    twos = SINGLE_SHIFT[code] if is_single else DEFAULT_EXTENSION
    single, several = (152, 146) if is_single and is_locking else (155, 149)
    kind = "both" if is_single and is_locking else "single" if is_single else "locking"
    return Alphabet("GSM-7", single, several, f"{code} {kind}", ones, _without(twos.values(), ones))


def _without(characters: Iterable[str], others: str) -> str:
    return "".join(character for character in characters if character not in others)


PLAIN = Alphabet("GSM-7", 160, 153, None, BASIC, EXTENSION)
UNICODE = Alphabet("UCS-2", 70, 67)

_CODES: tuple[Code, ...] = ("TR", "ES", "PT")
_NATIONAL = {
    language: _national(language)
    for code in _CODES
    for language in (Language(code, True), Language(code, False, True), Language(code, True, True))
}
_ALONE: dict[Code, Alphabet] = {
    "TR": _NATIONAL[Language("TR", locking_shift=True)],
    "ES": _NATIONAL[Language("ES", single_shift=True)],
    "PT": _NATIONAL[Language("PT", locking_shift=True)],
}
TABLES = frozenset(alphabet.tables for alphabet in _NATIONAL.values())  # all that `tables` may say, beside None


@cache
def alphabets_for(language: Language | None) -> tuple[Alphabet, ...]:
    """Those of GSM-7 that a text may go out in, the preferred one first. Errors: KeyError of an unknown code."""
    if language is None or language.code == "NONE":
        return (PLAIN,)
    if language.code == "AUTODETECT":
        return PLAIN, *(_of(language._replace(code=code)) for code in _CODES)
    return (_of(language),)


def _of(language: Language) -> Alphabet:
    return _NATIONAL[language] if language.single_shift or language.locking_shift else _ALONE[language.code]
