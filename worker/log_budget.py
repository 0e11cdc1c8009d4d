"""How often Infobip's logs may be asked: a token bucket in Redis for each account, for all workers."""

import redis
import structlog

from worker.logs import Seldom

CALLS_A_MINUTE = 120  # Infobip's limit
CALLS_SAVED = 20  # these and what comes back within a minute stay under the limit
CALLS_A_SECOND = (CALLS_A_MINUTE - CALLS_SAVED - 4) / 60
CALLS_FOR_DOUBTS = 10  # tokens that looks for missing reports leave to the doubts

# KEYS[1]: hash {tokens, at}. ARGV[1]: tokens that must be left. Returns milliseconds to wait; 0: one was taken.
_TAKE = f"""
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local earned = math.max(0, now - (tonumber(held[2]) or now)) * {CALLS_A_SECOND}
local tokens = math.min({CALLS_SAVED}, (tonumber(held[1]) or 0) + earned)
local short = tonumber(ARGV[1]) + 1 - tokens
if short <= 0 then tokens = tokens - 1 end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], 3600)
return short <= 0 and 0 or math.ceil(short / {CALLS_A_SECOND} * 1000)
"""

_log = structlog.get_logger()
_absence = Seldom()


class LogBudget:
    """Calls of Infobip's logs by one account (`Account.identity`): 120 a minute, whichever credentials share it.

    An empty Redis starts an account without any call to make. A Redis that is away grants none.
    """

    def __init__(self, client: "redis.Redis") -> None:
        self._client = client
        self._take = client.register_script(_TAKE)

    def take(self, account: str, *, is_for_doubts: bool) -> float:
        """0 where one call may be made now, else the seconds until it may. Doubts go before missing reports."""
        try:
            wait: int = self._take(keys=[_key(account)], args=[0 if is_for_doubts else CALLS_FOR_DOUBTS])
        except redis.RedisError as error:
            _away(error)
            return 1.0
        return wait / 1000

    def overdrawn(self, account: str, seconds: float) -> None:
        """Infobip itself says that it is too much: nothing for that long. Another may be asking the same account."""
        try:
            self._client.hset(_key(account), "tokens", -seconds * CALLS_A_SECOND)
        except redis.RedisError as error:
            _away(error)


def _away(error: redis.RedisError) -> None:
    if _absence.is_due():
        _log.warning("rate_unknown", error=type(error).__name__)


def _key(account: str) -> str:
    return f"delivery:logs:{account}"
