"""The ASGI application: Infobip's calls, the sandbox's own, and a sign of life."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.account import Account
from sandbox.media import media_routes
from sandbox.routes_mms import mms_routes
from sandbox.routes_sandbox import ClosePort, SandboxCalls
from sandbox.routes_sms import sms_routes


async def _healthz(request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


def create_app(account: Account, close_port: ClosePort) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await account.pushes.start()
        yield
        await account.pushes.stop()

    routes = [
        *sms_routes(account),
        *mms_routes(account),
        *SandboxCalls(account, close_port).routes(),
        *media_routes(),
        Route("/healthz", _healthz, methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)
