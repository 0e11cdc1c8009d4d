"""How many parts a text is billed as, and what it is encoded in.

Source: provider reference, section 9.3: 160 septets in one part of GSM-7, 153 in each of several; 70 and 67 UTF-16
units in Unicode. The alphabets are those of 3GPP TS 23.038, section 6.2.1; no national language table is in use. Pure.
"""

import re
from dataclasses import dataclass
from typing import Literal

Encoding = Literal["GSM-7", "UCS-2"]

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"  # each is an escape and a septet

SINGLE_PART = {"GSM-7": 160, "UCS-2": 70}
OF_SEVERAL = {"GSM-7": 153, "UCS-2": 67}

_ESCAPE = "\x1b"
_PAIR = "\ud800\udc00"  # stands for any character beyond U+FFFF: its two UTF-16 units
_EXTENSION = re.compile(f"[{re.escape(EXTENSION)}]")
_BEYOND = re.compile("[\U00010000-\U0010ffff]")
_FORCING = re.compile(f"[^{re.escape(BASIC + EXTENSION)}]")


@dataclass(frozen=True, slots=True)
class Segments:
    """What a text takes. `characters` and `left` are in what the encoding counts in: septets (a character of the
    extension table takes two), or UTF-16 units (a character beyond U+FFFF takes two). `left` is what the last part
    still holds. `forcing` is the first character that GSM-7 has not, None where it has all."""

    encoding: Encoding
    parts: int
    characters: int
    left: int
    forcing: str | None


def count(text: str) -> Segments:
    """What `text` takes. A text without characters takes one part."""
    forcing = _FORCING.search(text)
    if forcing is None:
        return _filled("GSM-7", _EXTENSION.sub(lambda found: _ESCAPE + found[0], text), None)
    return _filled("UCS-2", _BEYOND.sub(_PAIR, text), forcing[0])


def _filled(encoding: Encoding, units: str, forcing: str | None) -> Segments:
    characters = len(units)
    if characters <= SINGLE_PART[encoding]:
        return Segments(encoding, 1, characters, SINGLE_PART[encoding] - characters, forcing)
    size, parts, end = OF_SEVERAL[encoding], 1, OF_SEVERAL[encoding]
    while end < characters:
        # What belongs together goes into the next part together.
        end += size - _opens_a_pair(units[end - 1])
        parts += 1
    return Segments(encoding, parts, characters, end - characters, forcing)


def _opens_a_pair(unit: str) -> bool:
    return unit == _ESCAPE or "\ud800" <= unit <= "\udbff"
