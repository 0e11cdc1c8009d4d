"""India DLT: the web addresses in a text, and which of them a template's allow list covers. Pure.

What a scrubber takes for an address is not published. Here it is what handsets turn into a link:

- anything after `://`, whatever the scheme;
- an IPv4 address;
- a host followed by a path, also after a user and an @ (without a path that is an e-mail address, and none);
- a host that begins with `www.`, or ends in a common domain, in a country's or in a word of small letters.

So a full stop between two words is none where a capital or a digit follows, or an abbreviation stands before: "Rs.500",
"done.Please", "St.Mary", "No.of items", "a.m.", "version 1.2". Nor is the name of a file. Hosts are compared without
letter case, paths with it.
"""

import re
from collections.abc import Iterable, Iterator
from string import ascii_letters, digits
from typing import NamedTuple

# Possessive: each character is looked at once, whatever the text holds.
_LINK = re.compile(r"([\w.@:%+-]++)((?<=:)//[\w.@:%+-]++)?+([/?#][^\s<>\"]*+)?+")
_ENTRY = re.compile(r"(?:https?://)?([\w-]+(?:\.[\w-]+)+)(/\S*)?", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*+://", re.IGNORECASE)
_CLOSING = ".,;:!?)]}'’”"  # ends a sentence more often than an address
_COMMON = re.compile(
    "ai|app|biz|co|com|dev|edu|gov|in|info|io|link|live|ly|me|mobi|net|online|org|shop|site|store|to|tv|us|xyz|xn--.*"
)
_COUNTRY = re.compile(
    "a[c-glmor-uwxz]|b[abd-jm-or-twyz]|c[acdf-ik-nru-z]|d[ejkmoz]|e[cegr-u]|f[i-kmor]|g[ad-il-np-uwy]|h[kmnrtu]|"
    "i[delmq-t]|j[emop]|k[eg-imnprwyz]|l[a-cikr-v]|m[acdghk-z]|n[ace-gilopruz]|om|p[ae-hk-nr-twy]|qa|r[eosuw]|"
    "s[a-eg-ik-or-vx-z]|t[cdf-hj-nrtwz]|u[agkyz]|v[aceginu]|w[fs]|y[et]|z[amw]"
)
_LONGEST_DOMAIN = 24  # letters, of those there are
_FILE = re.compile("csv|docx?|gif|html?|jpe?g|mp[34]|pdf|png|pptx?|txt|xlsx?")
_ABBREVIATION = re.compile("amt|dr|dt|inr|mrs?|ms|nos?|ph|pvt|qty|ref|rs|sl|sr|st|tel|txn|vs")


class Link(NamedTuple):
    """`host` is in lower case, with the port where one is given. `path` begins with its slash, or is empty."""

    position: int
    text: str
    host: str
    path: str


class Allowed(NamedTuple):
    """An entry of an allow list: a host, its subdomains not implied; of its paths those under `path`."""

    host: str
    path: str

    def covers(self, link: Link) -> bool:
        if link.host != self.host or not link.path.startswith(self.path):
            return False
        rest = link.path[len(self.path) :]
        return not rest or not self.path or self.path.endswith("/") or rest[0] in "/?#"


def allowed(entry: str) -> Allowed | None:
    """`bank.in`, `bank.in/offers` or either after `https://`, which does not count. None: it is not of that form."""
    if (found := _ENTRY.fullmatch(entry)) is None:
        return None
    path = found[2] or ""
    return Allowed(found[1].lower(), "" if path == "/" else path)


def links(text: str) -> Iterator[Link]:
    """What looks like an address, in order. Takes time linear in the text."""
    for found in _LINK.finditer(text):
        host = found[1]
        scheme = _scheme_at_end(host[:-1]) if found[2] else ""
        if scheme or "." in host:
            start = len(host) - 1 - len(scheme) if scheme else 0
            link = as_link(found[0][start:].rstrip(_CLOSING), found.start() + start)
            if scheme or _looks_like_a_link(link, is_mailbox="@" in host):
                yield link


def as_link(text: str, position: int = 0) -> Link:
    """All of `text` as an address: what stands before the path, without the user that may stand before an @."""
    rest = _SCHEME.sub("", text, count=1) if _SCHEME.match(text) else text
    cut = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    return Link(position, text, rest[:cut].rpartition("@")[2].lower(), rest[cut:])


def first_stray(found: Iterable[Link], entries: Iterable[Allowed]) -> Link | None:
    """The first that no entry covers."""
    return next((link for link in found if not any(entry.covers(link) for entry in entries)), None)


def _scheme_at_end(text: str) -> str:
    """What of it stands directly before a `://`, whatever is written before that without a blank."""
    characters = text[len(text.rstrip(ascii_letters + digits + "+.-")) :]
    return characters.lstrip(digits + "+.-")


def _looks_like_a_link(link: Link, *, is_mailbox: bool) -> bool:
    """Of one without a scheme. `is_mailbox`: an @ stands before the path."""
    host, has_path = link.host.partition(":")[0], link.path.startswith("/")
    labels = host.split(".")
    if len(labels) < 2 or not all(labels) or (is_mailbox and not has_path):
        return False
    if _is_ipv4(labels):
        return True
    last = labels[-1]
    if _COMMON.fullmatch(last):
        return True
    if len(last) < 2 or not last.isalpha():
        return False
    return labels[0] == "www" or bool(link.path) or _ends_in_a_domain(link.text, labels)


def _is_ipv4(labels: list[str]) -> bool:
    return len(labels) == 4 and all(it.isascii() and it.isdigit() and len(it) <= 3 and int(it) <= 255 for it in labels)


def _ends_in_a_domain(text: str, labels: list[str]) -> bool:
    """Whether a host that nothing follows is one, rather than two words with a full stop between. `labels`: its parts,
    in small letters; `text`: as it is written."""
    *before, last = labels
    written = text.partition(":")[0][-len(last) :]
    if (
        not (last.isascii() and written.islower())
        or _FILE.fullmatch(last)
        or len(before[-1]) < 2
        or not any(map(str.isalpha, before[-1]))
    ):
        return False
    if len(before) == 1 and _ABBREVIATION.fullmatch(before[0]):
        return False
    return _COUNTRY.fullmatch(last) is not None or 3 <= len(last) <= _LONGEST_DOMAIN
