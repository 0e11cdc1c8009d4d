"""Alive, ready, measured. Open to all: they hold no data of callers."""

from typing import Literal

import redis
import structlog
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy import text

from api.database import Database
from api.figures import DatabaseFigures
from api.problems import Unavailable
from worker.db import advice, open_session
from worker.redis_connection import connect
from worker.settings import settings

router = APIRouter(tags=["Health"])
_log = structlog.get_logger()

_REDIS_SECONDS = 0.5


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
    figures: DatabaseFigures = request.app.state.database_figures
    of_database = await figures.exposition()  # first: it counts what it misses
    return Response(generate_latest() + of_database, media_type=CONTENT_TYPE_LATEST)


def _is_redis_up() -> bool:
    if settings().redis_url is None:
        return False
    try:
        with connect(_REDIS_SECONDS) as client:
            return bool(client.ping())
    except (redis.RedisError, ValueError):
        return False
