"""Alive, ready, measured. Open to all: they hold no data of callers."""

import asyncio
import contextlib
import math
from threading import Thread
from typing import Literal

import redis
import structlog
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from api.database import Database
from api.problems import Unavailable
from worker.db import advice, open_session
from worker.feeds import lag_seconds
from worker.glance import glance
from worker.metrics import feed_lag_seconds
from worker.redis_connection import connect
from worker.settings import settings

router = APIRouter(tags=["Health"])
_log = structlog.get_logger()

_REDIS_SECONDS = 0.5
_LAG_SECONDS = 1.0  # so long a scrape waits for the database: Prometheus gives up on the whole of it after 10


class FeedLag:
    """How long feeds are held back, asked of the database by one thread at a time, a daemon: neither scrapes nor the
    end of the process wait for a database that hangs, and no second question is put before the first is answered."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked: asyncio.Future[float] | None = None

    async def seconds(self) -> float:
        """Not a number where the database does not say, or not in time."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.get_running_loop().create_future()
            Thread(target=self._ask, args=(self._asked,), name="feed_lag", daemon=True).start()
        asked = self._asked
        await asyncio.wait({asked}, timeout=_LAG_SECONDS)
        return asked.result() if asked.done() else math.nan

    def _ask(self, asked: asyncio.Future[float]) -> None:
        seconds = math.nan
        try:
            with contextlib.suppress(SQLAlchemyError), glance(self._engine) as connection:
                seconds = lag_seconds(connection)
        finally:
            with contextlib.suppress(RuntimeError):  # a closed loop: nobody waits any more
                asked.get_loop().call_soon_threadsafe(asked.set_result, seconds)


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    status: Literal["ready", "degraded"]
    postgres: Literal["up"]
    redis: Literal["up", "away"]


@router.get("/healthz")
async def healthz() -> Alive:
    """This process answers."""
    return Alive()


@router.get("/readyz")
def readyz(database: Database) -> Ready:
    """Requests can be accepted. Without Redis messages leave later, but none is lost: degraded, not unready."""
    try:
        with open_session(database) as session:
            session.execute(text("SELECT 1"))
    except Exception as error:
        _log.warning("database_away", error=type(error).__name__, detail=advice(error))
        raise Unavailable(advice(error) or "PostgreSQL cannot be reached", retry_after_seconds=2) from error
    is_up = _is_redis_up()
    return Ready(status="ready" if is_up else "degraded", postgres="up", redis="up" if is_up else "away")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:  # async: requests that hang may have all threads
    """For Prometheus."""
    lag: FeedLag = request.app.state.feed_lag
    feed_lag_seconds.set(await lag.seconds())
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _is_redis_up() -> bool:
    if settings().redis_url is None:
        return False
    try:
        with connect(_REDIS_SECONDS) as client:
            return bool(client.ping())
    except (redis.RedisError, ValueError):
        return False
