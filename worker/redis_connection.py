"""Connections to Redis, which give up within a time of ours: what asks Redis can do without the answer."""

from functools import lru_cache

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.settings import settings


def redis_url() -> str:
    """Exits with one line where DELIVERY_REDIS_URL is missing."""
    url = settings().redis_url
    if url is None:
        raise SystemExit("DELIVERY_REDIS_URL is not set: start with `delivery up`, or name a Redis server")
    return url.get_secret_value()


def connect(seconds: float, tries: int = 1) -> "redis.Redis":
    """A client that connects when it is first used. Each try gives up after so long, at the connection and at the
    answer. Errors: ValueError where the URL is none; RedisError is for the use."""
    retry = Retry(NoBackoff(), tries - 1)
    return redis.Redis.from_url(redis_url(), socket_timeout=seconds, socket_connect_timeout=seconds, retry=retry)


@lru_cache(maxsize=1)
def redis_client() -> "redis.Redis":
    """This process's connection."""
    return connect(2, tries=2)  # a connection of before a restart of Redis is found dead at its next use
