"""How many parts a text takes: GSM 03.38 alphabet, or UTF-16 where a character lies outside it.

Lengths: one part holds 160 septets, 155 with a national language, 70 in Unicode; of several parts each holds 153, 149
and 67. A character of the extension table costs two septets.
"""

import re
import unicodedata

MAX_PARTS = 25  # Above this a message is refused with status 25.

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = "\f^{}\\[~]|€"
_NATIONAL = {"TR": "ĞğİıŞşç", "ES": "çÁÍÓÚáíóú", "PT": "êçÔôÁáÍíÓóÚúÂâÃãÊÕõÀ"}

_GSM = re.compile(f"[{re.escape(_BASIC + _EXTENDED)}]*")
_EXTENSION = re.compile(f"[{re.escape(_EXTENDED)}]")
_WITH_NATIONAL = {
    code: re.compile(f"[{re.escape(_BASIC + _EXTENDED + letters)}]*") for code, letters in _NATIONAL.items()
}

# Greek capitals that look like Latin ones; the rest of them are in the GSM alphabet.
_GREEK_LOOKALIKES = str.maketrans("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX")


def measure(text: str, language: str | None = None) -> tuple[int, int]:
    """Number of parts, and how many characters still fit in the last. `language` is one of Infobip's codes."""
    if _GSM.fullmatch(text):
        return _split(len(text) + len(_EXTENSION.findall(text)), 160, 153)
    for code in _NATIONAL if language == "AUTODETECT" else (language,):
        if code in _WITH_NATIONAL and _WITH_NATIONAL[code].fullmatch(text):
            return _split(len(text) + len(_EXTENSION.findall(text)), 155, 149)
    return _split(len(text.encode("utf-16-le", "surrogatepass")) // 2, 70, 67)


def _split(length: int, single: int, multiple: int) -> tuple[int, int]:
    if length <= single:
        return 1, single - length
    parts = -(-length // multiple)
    return parts, parts * multiple - length


def transliterate(text: str, alphabet: str) -> str:
    """`text` in letters that cost less: Greek to capitals as Infobip shows it, any other only without its accents."""
    plain = "".join(char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char))
    return plain.upper().translate(_GREEK_LOOKALIKES) if alphabet in ("GREEK", "ALL") else plain
