"""India DLT: the web addresses in a text, and which of them a template's allow list covers. Pure.

What a scrubber takes for an address is not published. Here it is what handsets turn into a link: anything after
`http://` or `https://`, and a host that begins with `www.`, is followed by a path or ends in a common domain. "Rs.500"
and "done.Please" are none, nor is an e-mail address. Hosts are compared without letter case, paths with it.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# Possessive: each character is looked at once, whatever the text holds.
_LINK = re.compile(r"(https?://)?+([\w.@:%+-]++)([/?#][^\s<>\"]*+)?+", re.IGNORECASE)
_ENTRY = re.compile(r"(?:https?://)?([\w-]+(?:\.[\w-]+)+)(/\S*)?", re.IGNORECASE)
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_CLOSING = ".,;:!?)]}'’”"  # ends a sentence more often than an address
_COMMON = re.compile(
    "app|biz|co|com|edu|gov|in|info|io|link|live|ly|me|mobi|net|online|org|shop|site|store|to|tv|us|xyz"
)


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
        scheme, host, _ = found.groups()
        if scheme or ("." in host and "@" not in host):
            link = as_link(found[0].rstrip(_CLOSING), found.start())
            if scheme or _looks_like_a_host(link):
                yield link


def as_link(text: str, position: int = 0) -> Link:
    """All of `text` as an address: what stands before the path, without the user that may stand before an @."""
    rest = _SCHEME.sub("", text, count=1) if _SCHEME.match(text) else text
    cut = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    return Link(position, text, rest[:cut].rpartition("@")[2].lower(), rest[cut:])


def first_stray(found: Iterable[Link], entries: Iterable[Allowed]) -> Link | None:
    """The first that no entry covers."""
    return next((link for link in found if not any(entry.covers(link) for entry in entries)), None)


def _looks_like_a_host(link: Link) -> bool:
    name = link.host.partition(":")[0]
    last = name.rpartition(".")[2]
    if "." not in name or len(last) < 2 or not last.isalpha():
        return False
    return name.startswith("www.") or bool(link.path) or _COMMON.fullmatch(last) is not None
