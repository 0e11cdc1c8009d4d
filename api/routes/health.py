"""Alive, ready, measured. Open to all: they hold no data of callers."""

import math
from typing import Literal

import redis
import structlog
from fastapi import APIRouter, Response
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
def metrics(database: Database) -> Response:
    """For Prometheus."""
    feed_lag_seconds.set(_feed_lag(database))
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _feed_lag(database: Engine) -> float:
    """Seconds; not a number where the database does not say."""
    try:
        with glance(database) as connection:
            return lag_seconds(connection)
    except SQLAlchemyError:
        return math.nan


def _is_redis_up() -> bool:
    if settings().redis_url is None:
        return False
    try:
        with connect(_REDIS_SECONDS) as client:
            return bool(client.ping())
    except (redis.RedisError, ValueError):
        return False
