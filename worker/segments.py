"""How many parts a text is billed as, what it is encoded in, and what is too long.

Source: provider reference, section 9.3, and Infobip's own previews. Where those leave open what Infobip does, the
count is the one that never promises fewer parts than may be billed. Pure.
"""

import unicodedata
from typing import NamedTuple

from worker.alphabets import UNICODE, Alphabet, Encoding, Language, alphabets_for
from worker.transliteration import Transliteration, transliterate

MOST_PARTS = 25
MOST_BYTES = 4_000  # in UTF-8; Infobip refuses more of either, as status 25

_CONTROLS = {"\t": "TAB", "\x1b": "ESCAPE", "\x00": "NULL"}  # Unicode names no control character


class Segments(NamedTuple):
    """What a text takes. `characters` and `left` are in what the encoding counts in: septets (a character of the
    extension or single shift table takes two), or UTF-16 units (a character beyond U+FFFF takes two). `left` is what
    the last part still holds.

    `tables`: the national tables in use, as "TR locking"; None without. `forcing` is the first character that GSM-7
    has not, with these tables, as it stands in the text at the index `forcing_at`; None of both where it has all.
    """

    encoding: Encoding
    parts: int
    characters: int
    left: int
    forcing: str | None = None
    forcing_at: int | None = None
    tables: str | None = None

    @property
    def forcing_name(self) -> str | None:
        """For people: U+2019 RIGHT SINGLE QUOTATION MARK."""
        return None if self.forcing is None else name_of(self.forcing)


def count(text: str, language: Language | None = None, transliteration: Transliteration | None = None) -> Segments:
    """What `text` takes when it is sent so. A text without characters takes one part.

    A language that is asked for counts with its tables, and their header in each part, whether or not the text needs
    them: that Infobip leaves them out of a text that plain GSM-7 holds is not established. So a text with a character
    that they lack (è, of Turkish) counts as Unicode. AUTODETECT is plain where that suffices, and otherwise what takes
    the fewest parts, then the fewest units, of Turkish, Spanish and Portuguese, in this order.

    Transliteration comes first. Errors: KeyError of an unknown language or transliteration.
    """
    if transliteration is None:
        return _fewest(text, language)
    found = _fewest(transliterate(text, transliteration), language)
    if found.forcing is None:
        return found
    at = next(at for at, written in enumerate(text) if found.forcing in transliterate(written, transliteration))
    return found._replace(forcing=text[at], forcing_at=at)


def _fewest(text: str, language: Language | None) -> Segments:
    preferred, *others = alphabets = alphabets_for(language)
    found = _within(text, preferred)
    if found is None and others:
        fitting = [fits for alphabet in others if (fits := _within(text, alphabet))]
        found = min(fitting, key=lambda fits: (fits.parts, fits.characters), default=None)
    return found or _in_unicode(text, alphabets)


def _within(text: str, alphabet: Alphabet) -> Segments | None:
    """None where the alphabet lacks a character."""
    if text.isascii():
        others = text.encode().translate(None, alphabet.ascii_ones)
        if others and others.translate(None, alphabet.ascii_twos):
            return None
        return _filled(text, alphabet, len(text) + len(others))
    if alphabet.lacking.search(text):
        return None
    return _filled(text, alphabet, len(text) + len(alphabet.wide.findall(text)))


def _in_unicode(text: str, alphabets: tuple[Alphabet, ...]) -> Segments:
    """What forces it is the character at which the last of the alphabets fails."""
    at = max(found.start() for alphabet in alphabets if (found := alphabet.lacking.search(text)))
    taken = _filled(text, UNICODE, len(text.encode("utf-16-le", "surrogatepass")) // 2)
    return taken._replace(forcing=text[at], forcing_at=at)


def _filled(text: str, alphabet: Alphabet, characters: int) -> Segments:
    encoding, tables = alphabet.encoding, alphabet.tables
    if characters <= alphabet.single:
        return Segments(encoding, 1, characters, alphabet.single - characters, None, None, tables)
    size = alphabet.several
    if characters == len(text):
        parts = -(-characters // size)
        return Segments(encoding, parts, characters, parts * size - characters, None, None, tables)
    # What takes two units goes into the next part whole, where one unit alone is left.
    firsts = {found.start() + before for before, found in enumerate(alphabet.wide.finditer(text))}
    parts, end = 1, size
    while end < characters:
        end += size - (end - 1 in firsts)
        parts += 1
    return Segments(encoding, parts, characters, end - characters, None, None, tables)


def fault(segments: Segments, text: str) -> str | None:
    """What keeps `text`, which takes `segments`, from being sent, and what to do about it."""
    size = len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
    if size > MOST_BYTES:
        return f"has {size:,} bytes in UTF-8: at most {MOST_BYTES:,} fit; shorten it"
    return fault_of(segments)


def fault_of(segments: Segments) -> str | None:
    """The same, of the parts alone."""
    if segments.parts <= MOST_PARTS:
        return None
    wrong = f"takes {segments.parts:,} parts: at most {MOST_PARTS} can be sent; shorten it"
    if segments.forcing_at is None:
        return wrong
    at = f"{segments.forcing_name} at character {segments.forcing_at + 1:,}"
    return f"{wrong}, or replace {at}, for which it goes out as Unicode"


def name_of(character: str) -> str:
    """Its code point and its name in Unicode."""
    name = unicodedata.name(character, None) or _CONTROLS.get(character)
    return f"U+{ord(character):04X} {name}" if name else f"U+{ord(character):04X}"
