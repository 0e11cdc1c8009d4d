"""The API: `uvicorn --factory api.app:create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from api import audiences, auth, problems, uploads
from api.announcing import announce
from api.bodies import MOST_LARGE_AT_ONCE
from api.documentation import DESCRIPTION, TAGS, complete
from api.edge import Edge
from api.figures import DatabaseFigures
from api.group_commit import GroupCommit
from api.recent import Recent
from api.routes import (
    batches,
    consents,
    credentials,
    dlt_templates,
    event_endpoints,
    events,
    health,
    inbound,
    lanes,
    media,
    messages,
    previews,
    replays,
    reports,
    steering,
    surfaces,
    webhooks,
)
from api.shortcut import Shortcut
from api.single_sends import write_sends
from api.traces import traced
from worker import nudges, traces
from worker.db import at_home, database_url, make_engine
from worker.memory import settle_memory
from worker.metrics import begin_at_zero
from worker.secrets import BadSecretKeys, check_keys

ROUTERS = (
    messages.router,
    previews.router,
    batches.router,
    steering.router,
    replays.router,
    reports.router,
    events.router,
    event_endpoints.router,
    inbound.router,
    lanes.router,
    consents.router,
    media.router,
    dlt_templates.router,
    surfaces.router,
    credentials.router,
    webhooks.router,
    health.router,
)
_shortcut = Shortcut(ROUTERS, (messages.send_message, webhooks.take_reports))
_THREADS = 40
_WAITING_THREADS = 16  # beside them, for sends that wait for their idempotency key, up to 10 s
_CONSENT_THREADS = 8  # and for consent that is said, which waits for its turn, up to 5 s
_GROUPS = 3  # group commits, each with its thread
_FIGURES = 1  # the database's figures, with their thread
_CONNECTIONS = 20  # kept; in a rush there is one for each thread, the group commits' and the figures'


class _Api(FastAPI):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._outermost = traced(self._serve)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._outermost(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _shortcut.leads(scope):
            scope["app"] = self
            await _shortcut(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            self.openapi_schema = complete(super().openapi(), ROUTERS)
        return self.openapi_schema


def create_app() -> FastAPI:
    """The application, its settings read from the environment. Exits with one line where a setting is missing."""
    try:
        check_keys()
    except BadSecretKeys as error:
        raise SystemExit(str(error)) from None
    engine = at_home(
        make_engine(
            database_url(),
            pool_size=_CONNECTIONS,
            max_overflow=_THREADS + _WAITING_THREADS + _CONSENT_THREADS + _GROUPS + _FIGURES - _CONNECTIONS,
            lock_seconds=5,  # a request that waits longer would take a thread from others
            statement_seconds=30,
        )
    )
    app = _Api(
        title="Infobip delivery",
        version="0.1.0",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.engine = engine
    app.state.database_figures = DatabaseFigures(engine)
    groups: tuple[GroupCommit[Any, Any], ...] = (
        # About a second's worth: a flood of single sends must not keep a one-time password waiting for longer.
        GroupCommit(engine, write_sends, after_commit=announce, most_waiting=2_000),
        GroupCommit(engine, webhooks.write_reports),
        GroupCommit(engine, webhooks.write_inbound, after_commit=webhooks.nudge_replies),
    )
    app.state.group_commits = {group.work: group for group in groups}
    app.state.known_callers = Recent(auth.KNOWN_SECONDS)
    app.state.known_webhook_tokens = Recent(webhooks.KNOWN_SECONDS)
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(Edge)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
    app.state.lone_sends = anyio.CapacityLimiter(_WAITING_THREADS)
    app.state.audiences = anyio.CapacityLimiter(audiences.MOST_AT_ONCE)
    app.state.uploads = anyio.CapacityLimiter(uploads.MOST_AT_ONCE)
    app.state.large_bodies = anyio.CapacityLimiter(MOST_LARGE_AT_ONCE)
    app.state.said_consents = anyio.CapacityLimiter(_CONSENT_THREADS)
    groups = app.state.group_commits.values()
    for group in groups:
        group.start()
    begin_at_zero()
    settle_memory()
    try:
        yield
    finally:
        for group in groups:
            await anyio.to_thread.run_sync(group.stop)
        await anyio.to_thread.run_sync(nudges.stop)
        await anyio.to_thread.run_sync(traces.end)
        app.state.engine.dispose()
