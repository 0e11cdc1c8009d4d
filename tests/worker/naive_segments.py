"""Parts counted the slow way, unit by unit, from the facts as 3GPP TS 23.038 tells them: to hold worker/segments.py to.

The tables stand here as differences from the default alphabet, as its notes have them, not as the product has them.
"""

DEFAULT = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡¿§ÄÖÑÜäöñüà"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
EXTENSION = set("\f^{}\\[~]|€")
SINGLE = {"TR": set("ĞİŞçğış"), "ES": set("çÁÍÓÚáíóú"), "PT": set("êçÔôÁáΦΓΩΠΨΣΘÊÀÍÓÚÃÕÂíóúãõâ")}
LOCKING_GAINS = {"TR": set("€ıĞğŞşİç"), "ES": set(), "PT": set("êúíóçÔôÁáªÀ∞^\\€Ó|ÂâÊºÍÃÕÚ~ãõ`")}
LOCKING_LOSES = {"TR": set("èìØøÆæ¡¿"), "ES": set(), "PT": set("èùìòØøÅåΦΓΛΩΠΨΣΘΞÆæß¤¡ÄÖÑ¿äöñ")}


def septets(text: str, code: str, is_single: bool, is_locking: bool) -> list[int] | None:
    """What each character takes; None where one is lacking. One of plain GSM-7 takes no less than it takes there."""
    ones, twos = DEFAULT - EXTENSION, set(EXTENSION)
    if is_locking:
        ones = (ones | LOCKING_GAINS[code]) - LOCKING_LOSES[code] - EXTENSION
    if is_single:
        twos |= SINGLE[code]
    widths = [1 if character in ones else 2 if character in twos else 0 for character in text]
    return widths if all(widths) else None


def filled(widths: list[int], single: int, several: int) -> tuple[int, int, int]:
    """Parts, units, and what the last part still holds: one character after the other, none of them split."""
    if sum(widths) <= single:
        return 1, sum(widths), single - sum(widths)
    parts, left = 1, several
    for width in widths:
        if width > left:
            parts, left = parts + 1, several
        left -= width
    return parts, sum(widths), left


def naive_count(
    text: str, code: str = "NONE", is_single: bool = False, is_locking: bool = False
) -> tuple[str, int, int, int]:
    """The encoding, and what `filled` gives."""
    if code == "AUTODETECT":
        plain = naive_count(text)
        others = [naive_count(text, each, is_single, is_locking) for each in ("TR", "ES", "PT")]
        return plain if plain[0] == "GSM-7" else min(others, key=lambda taken: (taken[0] == "UCS-2", *taken[1:3]))
    if code != "NONE" and not is_single and not is_locking:
        is_single, is_locking = code == "ES", code != "ES"
    if code == "NONE":
        is_single = is_locking = False
    widths = septets(text, code, is_single, is_locking)
    if widths is None:
        return "UCS-2", *filled([len(each.encode("utf-16-le", "surrogatepass")) // 2 for each in text], 70, 67)
    headers = is_single + is_locking  # in octets, of 140: one that heads them all, three for each, five for the parts
    octets = 1 + 3 * headers if headers else 0
    return "GSM-7", *filled(widths, (140 - octets) * 8 // 7, (140 - max(octets, 1) - 5) * 8 // 7)
