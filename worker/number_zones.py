"""The time zones in which a phone number's holder may be. Pure.

By the longest prefix of the number in the table that comes with phonenumbers (Google's, by country and area code). A
number that names no area has all zones of its country, such as toll-free ones of the United States. A mobile number of
the United States or Canada stands for its area, wherever its holder lives now; for those of Australia, Russia and Spain
the table has the one zone in which most holders live.
"""

from phonenumbers.tzdata import TIMEZONE_DATA

# Satellite and international services: nobody can say where such a number rings, and no clock is nearer than another.
NOWHERE = ("Etc/UTC",)

_SHORTEST = 2  # of the beginnings by which _LENGTHS is asked


def _lengths() -> dict[str, tuple[int, ...]]:
    """How long the table's prefixes are that begin so, longest first: a number is compared with no others."""
    lengths: dict[str, set[int]] = {}
    for prefix in TIMEZONE_DATA:
        lengths.setdefault(prefix[:_SHORTEST], set()).add(len(prefix))
    for country in [beginning for beginning in lengths if len(beginning) < _SHORTEST]:
        for digit in "0123456789":
            lengths.setdefault(country + digit, set()).update(lengths[country])
    return {beginning: tuple(sorted(found, reverse=True)) for beginning, found in lengths.items()}


_LENGTHS = _lengths()


def zones_of(recipient: str) -> tuple[str, ...]:
    """IANA names for E.164 digits: `919876543210` -> ("Asia/Calcutta",). One tuple for all numbers of a prefix.

    ("Etc/UTC",) where the table has none.
    """
    for length in _LENGTHS.get(recipient[:_SHORTEST], ()):
        zones = TIMEZONE_DATA.get(recipient[:length])
        if zones is not None:
            return zones
    return NOWHERE
