"""Transliteration: a text in letters that GSM-7 holds, as Infobip would send it. Pure.

For counting and previewing only: what is stored stays as it was written, and Infobip does the transliteration itself.
Of its tables it publishes one example, of GREEK, which is met. All else here is our estimate, from what each language
has published: where ways differ, the longer one, so that no fewer parts are promised than may be billed. Only letters
of the alphabet named change, of NON_UNICODE also punctuation and spaces; a letter that GSM-7 holds stays, except where
Greek capitals look like Latin ones. Whatever no table holds stays too, and still forces Unicode: so do accents that
stand as characters of their own.
"""

import unicodedata
from collections.abc import Iterable
from typing import Literal, get_args

from worker.alphabets import BASIC

Transliteration = Literal[
    "NONE",
    "TURKISH",
    "GREEK",
    "CYRILLIC",
    "SERBIAN_CYRILLIC",
    "BULGARIAN_CYRILLIC",
    "CENTRAL_EUROPEAN",
    "BALTIC",
    "PORTUGUESE",
    "COLOMBIAN",
    "NON_UNICODE",
    "ALL",
]
TRANSLITERATIONS: tuple[Transliteration, ...] = get_args(Transliteration)


def transliterate(text: str, transliteration: Transliteration) -> str:
    """`text` as it would go out. Errors: KeyError of an unknown transliteration."""
    return text.translate(_TABLES[transliteration])


def _pairs(written: str) -> dict[str, str]:
    """From "ж=zh щ=shch"; capitals with them: Zh, Shch."""
    small = dict(pair.split("=") for pair in written.split())
    return {_capital(letter): latin.capitalize() for letter, latin in small.items()} | small


def _bare(letters: Iterable[str]) -> dict[str, str]:
    """Without their accents, where that leaves a letter of A to Z; capitals with them."""
    bare = {letter: unicodedata.normalize("NFD", letter)[0] for each in letters for letter in (each, _capital(each))}
    return {letter: base for letter, base in bare.items() if base != letter and base.isascii()}


def _capital(letter: str) -> str:
    """Itself where it has none of one character that is beyond ASCII."""
    capital = letter.upper()
    return letter if len(capital) > 1 or capital.isascii() else capital


def _block(first: int, last: int) -> str:
    return "".join(map(chr, range(first, last + 1)))


# As Infobip's example has it: capitals, those that look like Latin ones as Latin, no accents.
_GREEK_CAPITALS = dict(zip("ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ", "ABΓΔEZHΘIKΛMNΞOΠPΣTYΦXΨΩ", strict=True))
_GREEK = {
    letter: _GREEK_CAPITALS[capital]
    for letter in _block(0x0370, 0x03FF) + _block(0x1F00, 0x1FFF)
    if (capital := unicodedata.normalize("NFD", letter)[0].upper()) in _GREEK_CAPITALS
}

# ICAO Doc 9303, part 3, section 6 B: what passports have, of all languages in Cyrillic; but ё, ї and the soft sign,
# for which passports write less than others do, as in the tables of BGN/PCGN.
_CYRILLIC = _pairs(
    "а=a б=b в=v г=g д=d е=e ж=zh з=z и=i й=i к=k л=l м=m н=n о=o п=p р=r с=s т=t у=u ф=f х=kh ц=ts ч=ch ш=sh щ=shch "
    "ъ=ie ы=y ь=' э=e ю=iu я=ia ё=yo є=ie і=i ї=yi ґ=g ў=u ђ=dj ј=j љ=lj њ=nj ћ=c џ=dz ѓ=g ѕ=dz ќ=k ѐ=e ѝ=i"
)
# The Serbian Latin alphabet, in which each letter has one of its own; then without accents.
_SERBIAN_CYRILLIC = _pairs(
    "а=a б=b в=v г=g д=d ђ=dj е=e ж=z з=z и=i ј=j к=k л=l љ=lj м=m н=n њ=nj о=o п=p р=r с=s т=t ћ=c у=u ф=f х=h ц=c "
    "ч=c џ=dz ш=s"
)
# The Transliteration Act of Bulgaria, 2009.
_BULGARIAN_CYRILLIC = _pairs(
    "а=a б=b в=v г=g д=d е=e ж=zh з=z и=i й=y к=k л=l м=m н=n о=o п=p р=r с=s т=t у=u ф=f х=h ц=ts ч=ch ш=sh щ=sht ъ=a "
    "ь=y ю=yu я=ya ѝ=i"
)

# What Unicode does not take apart into a letter and an accent.
_STROKED = _pairs("ı=i đ=d ħ=h ł=l ŧ=t ŀ=l ŋ=ng œ=oe þ=th ð=d ĳ=ij ŉ=n ſ=s ƒ=f ĸ=k") | {"ẞ": "SS"}

_TURKISH = _bare("ğşç") | {"ı": "i", "İ": "I"}
_POLISH = "ąćęńóśźż"
_CZECH_AND_SLOVAK = "áäčďéěíĺľňóôŕřšťúůýž"
_HUNGARIAN = "áéíóőúű"
_ROMANIAN = "ăâîșțşţ"
_SOUTH_SLAVIC = "čćšž"
_CENTRAL_EUROPEAN = _bare(_POLISH + _CZECH_AND_SLOVAK + _HUNGARIAN + _ROMANIAN + _SOUTH_SLAVIC) | {
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
}
_BALTIC = _bare("ąčęėįšųūž" + "āčēģīķļņōŗšūž" + "õäöüšž")  # of Lithuanian, Latvian, Estonian
_PORTUGUESE = _bare("áâãàçéêíóôõúü") | {"ª": "a", "º": "o"}
_COLOMBIAN = _bare("áéíóúüñ")

_PUNCTUATION = (
    dict.fromkeys("‘’‚‛′ʼ‹›", "'")
    | dict.fromkeys("“”„‟″«»", '"')
    | dict.fromkeys("‐‑‒–—―−", "-")
    | dict.fromkeys(_block(0x2000, 0x200A) + "\u00a0\u202f\u205f\u3000\t", " ")
    | {"…": "...", "•": "*", "·": ".", "×": "x", "÷": ":", "`": "'", "´": "'", "ª": "a", "º": "o", "№": "No"}
    | {"©": "(c)", "®": "(r)", "™": "TM", "½": "1/2", "¼": "1/4", "¾": "3/4"}
)
_LATIN = _bare(_block(0x00C0, 0x024F) + _block(0x1E00, 0x1EFF)) | _STROKED
_NON_UNICODE = _LATIN | _PUNCTUATION


def _lacking(letters: dict[str, str]) -> dict[str, str]:
    """Without those that GSM-7 holds."""
    return {letter: latin for letter, latin in letters.items() if letter not in BASIC}


_TABLES: dict[str, dict[int, str]] = {
    name: str.maketrans(letters)
    for name, letters in {
        "NONE": {},
        "TURKISH": _lacking(_TURKISH),
        "GREEK": _GREEK,
        "CYRILLIC": _CYRILLIC,
        "SERBIAN_CYRILLIC": _SERBIAN_CYRILLIC,
        "BULGARIAN_CYRILLIC": _BULGARIAN_CYRILLIC,
        "CENTRAL_EUROPEAN": _lacking(_CENTRAL_EUROPEAN),
        "BALTIC": _lacking(_BALTIC),
        "PORTUGUESE": _lacking(_PORTUGUESE),
        "COLOMBIAN": _lacking(_COLOMBIAN),
        "NON_UNICODE": _lacking(_NON_UNICODE),
        "ALL": _GREEK | _CYRILLIC | _lacking(_NON_UNICODE),
    }.items()
}
