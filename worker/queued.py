"""How many tasks of one name stand in a queue, counted in Redis: one tick of a kind, few nudges of a lane.

Workers may be busy with what takes longer than a second; without a limit, what comes every second would pile up. Who
queues a task reserves its place, and who takes it from the queue says that it arrived. Counts run out by themselves,
since some get lost with their queue; and a Redis that is away counts nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import redis
import structlog

from worker.logs import Seldom
from worker.redis_connection import redis_client

QUEUED_MILLISECONDS = 5_000  # then a count is forgotten, unless another was reserved meanwhile
_log = structlog.get_logger()
_loss = Seldom()

# KEYS: how many of each name are queued. ARGV: how many may be, and for how long they count.
_RESERVE = """
local are_free = {}
for i, key in ipairs(KEYS) do
    local is_free = tonumber(redis.call('GET', key) or '0') < tonumber(ARGV[1])
    if is_free then
        redis.call('INCR', key)
        redis.call('PEXPIRE', key, ARGV[2])
    end
    are_free[i] = is_free and 1 or 0
end
return are_free
"""
_ARRIVED = "if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end"


def tick_name(task: str, args: Iterable[str] = ()) -> str:
    """The name of a tick here; that of a nudge is its lane's ID."""
    return " ".join((task, *args))


def reserve(name: str, most: int) -> bool:
    """Whether one more task of this name may be queued. Errors: RedisError."""
    return reserve_each([name], most)[0]


def reserve_each(names: Sequence[str], most: int = 1) -> list[bool]:
    """The same of several names at once."""
    keys = [_key(name) for name in names]
    return [bool(is_free) for is_free in redis_client().eval(_RESERVE, len(keys), *keys, most, QUEUED_MILLISECONDS)]


def arrived(name: str) -> None:
    """A worker has taken it from its queue. Never raises."""
    with _uncounted(name):
        redis_client().eval(_ARRIVED, 1, _key(name))


@contextmanager
def alone(name: str, most_seconds: float) -> Iterator[None]:
    """While this runs, it counts as still queued, so that no other of its name is; at most that long, should it die."""
    with _uncounted(name):
        redis_client().set(_key(name), 1, px=round(most_seconds * 1000))
    try:
        yield
    finally:
        with _uncounted(name):
            redis_client().delete(_key(name))


@contextmanager
def _uncounted(name: str) -> Iterator[None]:
    """What is not counted costs a task too many or a tick too few."""
    try:
        yield
    except redis.RedisError as error:
        if _loss.is_due():
            _log.warning("nudges_uncounted", name=name, error=type(error).__name__)


def _key(name: str) -> str:
    return f"delivery:queued:{name}"
