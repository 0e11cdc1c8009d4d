"""Which addresses a credential may name as its base URL: only the provider's, or those an administrator added.

A base URL is where API keys and numbers go, so it is checked against a list and not merely for its form.
"""

from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from worker.settings import INFOBIP_HOSTS

_DEFAULT_PORTS = {"https": 443, "http": 80}


def check_base_url(text: str, allowed: Sequence[str]) -> str:
    """The URL as it is kept: lower case, no trailing slash, no default port. A bare host gets https.

    `allowed` holds `host[:port]`; http passes only for hosts in it that are not Infobip's own. Errors: ValueError.
    """
    url = _split(text.strip())
    host, port = (url.hostname or "").lower(), url.port or _DEFAULT_PORTS[url.scheme]
    base = f"{url.scheme}://{host}" + ("" if port == _DEFAULT_PORTS[url.scheme] else f":{port}")
    if any(_is_named(host, port, url.scheme, entry) for entry in allowed if entry not in INFOBIP_HOSTS):
        return base
    if not any(_fits(host, pattern) for pattern in INFOBIP_HOSTS):
        raise ValueError(
            "must be the base URL of an Infobip account (https://xxxxx.api.infobip.com); "
            "other hosts need DELIVERY_ALLOWED_PROVIDER_HOSTS"
        )
    if base != f"https://{host}":
        raise ValueError("must begin with https:// and name no port")
    return base


def _split(text: str) -> SplitResult:
    text = text if "://" in text else f"https://{text}"
    if not text.isascii() or any(character.isspace() for character in text):
        raise ValueError("must be a URL in plain ASCII")
    try:
        url = urlsplit(text)
        url.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from error
    if url.scheme not in _DEFAULT_PORTS or not url.hostname:
        raise ValueError("must be a URL such as https://xxxxx.api.infobip.com")
    if url.path not in ("", "/") or url.query or url.fragment or "@" in url.netloc or "?" in text or "#" in text:
        raise ValueError("must hold only scheme and host: no user, path, query or fragment")
    return url


def _is_named(host: str, port: int, scheme: str, entry: str) -> bool:
    name, _, named_port = entry.lower().rpartition(":") if ":" in entry else (entry.lower(), "", "")
    return _fits(host, name) and port == (int(named_port) if named_port.isdigit() else _DEFAULT_PORTS[scheme])


def _fits(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) and len(host) >= len(pattern) if pattern.startswith("*.") else host == pattern
