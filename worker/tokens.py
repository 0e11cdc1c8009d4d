"""API tokens: 32 random bytes, of which only the SHA-256 hash is kept. A hash without salt is enough at that length."""

import secrets
from collections.abc import Iterable
from hashlib import sha256

from sqlmodel import Session, col, select

from worker.models import ApiToken
from worker.words import Scope

PREFIX = "dlv_"


def create_token(session: Session, name: str, scopes: Iterable[str]) -> str:
    """Store a new token and COMMIT. Returns the bare token, which nobody can read again.

    Errors: ValueError for an unknown scope, or none.
    """
    wanted = [Scope(scope) for scope in scopes]
    if not wanted:
        raise ValueError("a token needs at least one scope: " + ", ".join(Scope))
    bare = PREFIX + secrets.token_urlsafe(32)
    session.add(ApiToken(name=name, token_hash=token_hash(bare), scopes=sorted(set(wanted))))
    session.commit()
    return bare


def find_token(session: Session, bare: str) -> ApiToken | None:
    """The token's row, unless it is unknown or revoked."""
    found = select(ApiToken).where(ApiToken.token_hash == token_hash(bare), col(ApiToken.revoked_at).is_(None))
    return session.exec(found).one_or_none()


def token_hash(bare: str) -> bytes:
    return sha256(bare.encode()).digest()
