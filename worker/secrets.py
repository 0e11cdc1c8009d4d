"""Secrets at rest: API keys and webhook tokens, encrypted with the keys in DELIVERY_SECRET_KEYS.

The first key encrypts, all of them decrypt: a new key is put in front, and the old one stays until what it wrote has
been written again.
"""

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from worker.settings import settings


class BadSecretKeys(Exception):
    """DELIVERY_SECRET_KEYS is missing or holds something that is not a Fernet key."""


class SecretUnreadable(Exception):
    """No key in DELIVERY_SECRET_KEYS opens a stored secret."""


def encrypt(text: str) -> bytes:
    return _box().encrypt(text.encode())


def decrypt(sealed: bytes) -> str:
    """Errors: SecretUnreadable where the key that wrote it is gone, BadSecretKeys."""
    try:
        return _box().decrypt(sealed).decode()
    except InvalidToken as error:
        raise SecretUnreadable(
            "A stored secret was written with a key that DELIVERY_SECRET_KEYS no longer holds: add that key at the end"
        ) from error


def check_keys() -> None:
    """Errors: BadSecretKeys, in one line that names the variable."""
    _box()


def _box() -> MultiFernet:
    keys = settings().secret_keys
    return _box_of(keys.get_secret_value() if keys else "")


@lru_cache(maxsize=4)
def _box_of(keys: str) -> MultiFernet:
    parts = [part.strip() for part in keys.split(",") if part.strip()]
    if not parts:
        raise BadSecretKeys("DELIVERY_SECRET_KEYS is not set: give one or more Fernet keys, comma-separated")
    try:
        return MultiFernet([Fernet(part) for part in parts])
    except ValueError as error:
        raise BadSecretKeys(
            "DELIVERY_SECRET_KEYS must hold Fernet keys (32 bytes, URL-safe base64), comma-separated"
        ) from error
