"""Which URLs of others may be asked: https to a public host, or what the administrator of the installation names.

Where events are pushed is written by whoever has a token of scope admin, and a link of an MMS by whoever may send; both
are asked from within our network. So an address that is not public is refused, unless DELIVERY_ALLOWED_EVENT_HOSTS, or
DELIVERY_ALLOWED_MEDIA_HOSTS, names its host. What a name leads to is known only when it is looked up, which the request
does (pinned_http.py).
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

LONGEST_URL = 2_000  # characters
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_INNER_NAMES = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa", ".home", ".corp")
_UNICAST = ip_network("2000::/3")  # what is outside of it leads inwards, or wraps an IPv4 address


class Purpose(NamedTuple):
    """What a refusal says of URLs that are asked for one purpose."""

    setting: str  # names the hosts that may be private
    example: str
    why_no_login: str

    @property
    def way_out(self) -> str:
        return f"name the host in {self.setting}, if it is meant"


EVENTS = Purpose(
    "DELIVERY_ALLOWED_EVENT_HOSTS", "https://journeys.example.com/events", "who pushes is shown by the signature"
)


def check_url(text: str, allowed: Sequence[str], purpose: Purpose = EVENTS) -> str:
    """The URL as it is kept. `allowed` holds `host[:port]`: they may be private, and asked over http. Errors:
    ValueError, with what to change."""
    if not text.isascii() or any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError("must be a URL in plain ASCII without spaces: write other characters percent-encoded")
    if len(text) > LONGEST_URL:
        raise ValueError(f"must be at most {LONGEST_URL:,} characters long")
    url = _split(text, purpose)
    if is_named(url.hostname or "", port_of(url), allowed):
        return text
    if url.scheme != "https":
        raise ValueError(f"must begin with https://; {purpose.way_out}")
    fault = _fault_of(url.hostname or "")
    if fault:
        raise ValueError(f"{fault}; {purpose.way_out}")
    return text


def port_of(url: SplitResult) -> int:
    return url.port or _DEFAULT_PORTS[url.scheme]


def is_named(host: str, port: int, allowed: Sequence[str]) -> bool:
    """Whether the list names this host. An entry without a port means the ports of http and https."""
    for entry in allowed:
        name, named_port = _host_and_port(entry.lower())
        if name == host.lower() and (port in _DEFAULT_PORTS.values() if named_port is None else port == named_port):
            return True
    return False


def is_public(address: str) -> bool:
    """Whether an IP address may be asked by whoever may write a URL."""
    ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip not in _UNICAST or ip.sixtofour is not None or ip.teredo is not None:
            return False
    return ip.is_global and not ip.is_multicast


def _split(text: str, purpose: Purpose) -> SplitResult:
    try:
        url = urlsplit(text)
        url.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from error
    if url.scheme not in _DEFAULT_PORTS or not url.hostname or "\\" in text:
        raise ValueError(f"must be a URL such as {purpose.example}")
    if "@" in url.netloc:
        raise ValueError(f"must hold no user and no password: {purpose.why_no_login}")
    if url.fragment or "#" in text:
        raise ValueError("must hold no fragment (#...): it would not be sent")
    return url


def _fault_of(host: str) -> str | None:
    """Why a host is none of the public ones, as far as its name tells."""
    try:
        return None if is_public(host) else "must not be a private address"
    except ValueError:
        pass
    name = host.lower().rstrip(".")
    last = name.rpartition(".")[2]
    if "." not in name or name.endswith(_INNER_NAMES) or last.isdigit() or last.startswith("0x"):
        return "must name a public host"
    return None


def _host_and_port(entry: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[IPv6]:port`, and an IPv6 address alone."""
    host, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        return host.strip("[]"), int(port)
    return entry.strip("[]"), None
