"""Who calls, and what they may do: bearer tokens with scopes. `admin` implies all others.

Each route declares its caller (`caller: MayRead`), and with it the scope; tests/api/test_routes_have_scopes.py walks
them all. The scope is checked before the body is read.
"""

import hmac
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Engine

from api.database import engine_of
from api.problems import Forbidden, Unauthorized
from api.recent import Recent
from worker.db import open_session
from worker.settings import settings
from worker.tokens import find_token
from worker.words import Scope

_bearer = HTTPBearer(auto_error=False, description="A token made by `delivery token create`.")


@dataclass(frozen=True, slots=True)
class Caller:
    token_id: UUID
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes


_BOOTSTRAP = Caller(UUID(int=0), frozenset(Scope))

# A revoked token works for at most this long.
KNOWN_SECONDS = 2.0
KnownCallers = Recent[str, Caller]


class Needs:
    """The dependency that lets a caller with `scope` in, and leaves them in `request.state.caller`."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(
        self, request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Caller:
        if bearer is None:
            raise Unauthorized("Send a token: Authorization: Bearer TOKEN")
        caller = await _find_caller(request, bearer.credentials)
        if caller is None:
            raise Unauthorized("This token is unknown or revoked")
        if not caller.may(self.scope):
            raise Forbidden(f'This call needs a token with the scope "{self.scope}"')
        request.state.caller = caller
        return caller


MaySend = Annotated[Caller, Depends(Needs(Scope.SEND))]
MayRead = Annotated[Caller, Depends(Needs(Scope.READ))]
MayReplay = Annotated[Caller, Depends(Needs(Scope.REPLAY))]
MayAdmin = Annotated[Caller, Depends(Needs(Scope.ADMIN))]


async def _find_caller(request: Request, bare: str) -> Caller | None:
    bootstrap = settings().bootstrap_token
    if bootstrap and hmac.compare_digest(bootstrap.get_secret_value().encode(), bare.encode()):
        return _BOOTSTRAP
    known: KnownCallers = request.app.state.known_callers
    return await known.get(bare, lambda: _read_caller(engine_of(request), bare))


def _read_caller(engine: Engine, bare: str) -> Caller | None:
    with open_session(engine) as session:
        token = find_token(session, bare)
        return Caller(token.id, frozenset(Scope(scope) for scope in token.scopes)) if token else None
