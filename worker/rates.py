"""The rate of a credential: one token bucket in Redis for all workers.

Tokens are taken before messages are claimed, so that nothing claimed outlives its lease waiting for its turn. An empty
Redis starts the bucket empty; a Redis that is away grants nothing, and its return is found by the next tick.
"""

from functools import lru_cache
from uuid import UUID

import redis
import structlog

from worker.settings import settings

# KEYS[1]: hash {tokens, at} of one credential. ARGV: rate (tokens a second, also the bucket's size), wanted.
_TAKE = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1e6
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local rate, wanted = tonumber(ARGV[1]), tonumber(ARGV[2])
local tokens = math.min(rate, (tonumber(held[1]) or 0) + math.max(0, now - (tonumber(held[2]) or now)) * rate)
local granted = math.max(0, math.floor(math.min(wanted, tokens)))
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens - granted), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], 60)
return granted
"""

_log = structlog.get_logger()


class Rates:
    def __init__(self, client: "redis.Redis") -> None:
        self._client = client
        self._take = client.register_script(_TAKE)

    def take(self, credential_id: UUID, per_second: int | None, wanted: int) -> int:
        """How many messages may be claimed now, at most `wanted` and at most one second's worth. No rate: all."""
        if per_second is None:
            return wanted
        try:
            granted: int = self._take(keys=[_key(credential_id)], args=[per_second, min(wanted, per_second)])
        except redis.RedisError as error:
            _log.warning("rate_unknown", credential_id=str(credential_id), error=type(error).__name__)
            return 0
        return granted

    def give_back(self, credential_id: UUID, per_second: int | None, unused: int) -> None:
        """Return tokens for which nothing was due. A failure costs only a little of the rate."""
        if per_second is None or unused <= 0:
            return
        try:
            self._client.hincrbyfloat(_key(credential_id), "tokens", unused)
        except redis.RedisError as error:
            _log.warning("rate_unknown", credential_id=str(credential_id), error=type(error).__name__)


def _key(credential_id: UUID) -> str:
    return f"delivery:rate:{credential_id}"


@lru_cache(maxsize=1)
def redis_client() -> "redis.Redis":
    """This process's connection to Redis, giving up within seconds."""
    url = settings().redis_url
    if url is None:
        raise SystemExit("DELIVERY_REDIS_URL is not set: start with `delivery up`, or name a Redis server")
    return redis.Redis.from_url(url.get_secret_value(), socket_timeout=2, socket_connect_timeout=2)
