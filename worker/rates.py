"""How fast a credential may send: a token bucket in Redis, for all workers.

Tokens are taken before messages are claimed, so that nothing claimed outlives its lease waiting for its turn. A grant
may put the bucket into debt, and the next one waits until that is paid: so messages leave in pieces of a tenth of a
second, not in bursts. Time that nobody used is saved for at most half a second, so that slow answers do not cost rate;
after two seconds without a caller nothing is saved, so that a lane that was held or cut off starts slowly.

    marketing       goes while there is no debt
    transactional   goes until the debt is half a second's worth; marketing pays it back
    unasked         halves of a refused request and probes: they go, and everyone pays

What is saved and what is overdrawn make a second together: in any T seconds no more goes than the rate allows in T + 1.
Where it counts segments, a message of more parts than are left goes all the same, and the next ones wait for it: one
message's parts come on top, for each claim under way.
An empty Redis starts the bucket with a piece still to be earned. A Redis that is away grants nothing where there is a
rate, and its return is found by the next tick.

After a 429 the rate is half of what was reached in the busiest of the last seconds, at least a tenth of the configured
one, and grows back within half a minute. Where none is configured, what was reached stands in for it; the rate grows on
beyond, and is none again once a minute has passed without another 429. All of that is Redis' to forget.
"""

from typing import NamedTuple
from uuid import UUID

import redis
import structlog

from worker.logs import Seldom
from worker.words import MessageType

PIECE_SECONDS = 0.1  # worth of messages in one grant, where nothing was saved
SAVED_SECONDS = 0.5
OVERDRAFT_SECONDS = 0.4  # and a piece
QUIET_SECONDS = 2.0
LEAST_SHARE = 0.1  # of the configured rate, whatever Infobip says
RECOVERY_SECONDS = 30.0
UNLEARN_SECONDS = 60.0
BUSIEST_SECONDS = 5.0  # how long the busiest second counts as what was reached
LEAST_LEARNT = 10  # messages a second: a 429 to next to nothing says little of our rate

_AWAY_WAIT = 0.05

# KEYS[1]: hash of one credential.
#   tokens, at        the bucket, and when it was last counted
#   limit, limited_at the rate after a 429, and when that came
#   ceiling           what it grows back to, where no rate is configured
#   second, granted   messages granted in that second, the newest
#   top, top_at       and in the busiest before it, of late
# ARGV: rate ("" for none), time ("" for Redis's own).
_COMMON = f"""
local key = KEYS[1]
local clock = redis.call('TIME')
local now = tonumber(ARGV[2]) or (clock[1] + clock[2] / 1e6)
local configured = tonumber(ARGV[1])
local held = {{}}
local flat = redis.call('HGETALL', key)
for i = 1, #flat, 2 do held[flat[i]] = flat[i + 1] end
local function number(name) return tonumber(held[name]) end
local function keep(...) redis.call('HSET', key, ...) redis.call('EXPIRE', key, 300) end

local function rate()
    local limit, age = number('limit'), now - (number('limited_at') or 0)
    -- A clock of Redis's that was set back must not keep what was learnt for an hour.
    local ceiling = age >= 0 and age < {UNLEARN_SECONDS} and (configured or number('ceiling'))
    if not (limit and ceiling) then return configured end
    local grown = limit + (ceiling - limit) * age / {RECOVERY_SECONDS}
    return configured and math.min(configured, grown) or grown
end

local function reached()
    local is_of_late = math.abs(now - (number('top_at') or 0)) <= {BUSIEST_SECONDS}
    return math.max(number('granted') or 0, is_of_late and number('top') or 0)
end

local function count(n)
    local second, granted = math.floor(now), number('granted') or 0
    if number('second') ~= second then
        -- Only now is that second over: what is given back has come.
        if granted >= reached() then keep('top', granted, 'top_at', number('second') or second) end
        granted = 0
    end
    held['granted'] = math.max(0, granted + n)
    keep('second', second, 'granted', held['granted'])
end

local function piece(rate) return math.max(1, rate * {PIECE_SECONDS}) end

local function most_saved(rate) return rate * {SAVED_SECONDS} end

local function tokens(rate)
    local tokens, at = number('tokens'), number('at')
    if not tokens then return -piece(rate) end
    local most = now - at <= {QUIET_SECONDS} and most_saved(rate) or 0
    return math.min(tokens + math.max(0, now - at) * rate, most)
end

local function set_tokens(n)
    keep('tokens', string.format('%.6f', n), 'at', string.format('%.6f', now))
end
"""

# ARGV[3]: wanted. ARGV[4]: the debt, in seconds' worth, within which it goes. Returns {granted, milliseconds to wait}.
_TAKE = (
    _COMMON
    + """
local wanted, overdraft = tonumber(ARGV[3]), tonumber(ARGV[4])
local rate = rate()
if not rate then
    count(wanted)
    return {wanted, 0}
end
local tokens = tokens(rate)
local short = -rate * overdraft - tokens
if short > 0 then
    set_tokens(tokens)
    return {0, math.ceil(short / rate * 1000)}
end
local most = math.max(math.max(tokens, 0) + piece(rate), tokens + rate * overdraft)
local granted = math.min(wanted, math.floor(most))
set_tokens(tokens - granted)
count(granted)
return {granted, 0}
"""
)

# ARGV[3]: how many; negative gives back.
_CHARGE = (
    _COMMON
    + """
local n = tonumber(ARGV[3])
count(n)
local rate = rate()
if rate then set_tokens(math.min(tokens(rate) - n, most_saved(rate))) end
return 0
"""
)

_SLOW_DOWN = (
    _COMMON
    + f"""
local active = rate()
local ceiling = configured or (active and number('ceiling')) or math.max(reached(), {LEAST_LEARNT})
local least = math.max(1, ceiling * {LEAST_SHARE}, configured and 0 or {LEAST_LEARNT})
local limit = math.min(ceiling, math.max(least, reached() / 2))
keep('limit', limit, 'limited_at', string.format('%.6f', now), 'ceiling', ceiling)
set_tokens(math.min(number('tokens') or 0, 0))
return tostring(limit)
"""
)

_log = structlog.get_logger()
_absence = Seldom()


class Grant(NamedTuple):
    """How many messages, or parts of them, may be claimed now; where none, how long to wait before asking again."""

    messages: int
    wait_seconds: float = 0.0


class Rates:
    """The rates of all credentials. `per_second` is always the configured one; None: no limit of ours."""

    def __init__(self, client: "redis.Redis") -> None:
        self._take = client.register_script(_TAKE)
        self._charge = client.register_script(_CHARGE)
        self._slow_down = client.register_script(_SLOW_DOWN)

    def take(
        self,
        credential_id: UUID,
        per_second: int | None,
        wanted: int,
        message_type: str = MessageType.MARKETING,
        *,
        at: float | None = None,
    ) -> Grant:
        """Tokens for up to `wanted` messages, or parts where the rate counts those. `at` in seconds stands in for
        Redis's clock."""
        overdraft = OVERDRAFT_SECONDS if message_type == MessageType.TRANSACTIONAL else 0.0
        try:
            granted, wait = self._take(keys=[_key(credential_id)], args=[*_args(per_second, at), wanted, overdraft])
        except redis.RedisError as error:
            _away(error)
            return Grant(wanted) if per_second is None else Grant(0, _AWAY_WAIT)
        return Grant(int(granted), int(wait) / 1000)

    def charge(self, credential_id: UUID, per_second: int | None, messages: int, *, at: float | None = None) -> None:
        """Account for messages that go without asking: the next ones wait for it. A negative number returns tokens for
        which nothing was due."""
        if messages:
            self._run(self._charge, credential_id, [*_args(per_second, at), messages])

    def slow_down(self, credential_id: UUID, per_second: int | None, *, at: float | None = None) -> None:
        """Infobip answered 429: half of what was reached, from now on."""
        self._run(self._slow_down, credential_id, _args(per_second, at))

    def _run(self, script: "redis.commands.core.Script", credential_id: UUID, args: list[float | str]) -> None:
        """Where Redis is away, the loss is a little of the rate."""
        try:
            script(keys=[_key(credential_id)], args=args)
        except redis.RedisError as error:
            _away(error)


def _args(per_second: int | None, at: float | None) -> list[float | str]:
    return ["" if per_second is None else per_second, "" if at is None else at]


def _away(error: redis.RedisError) -> None:
    if _absence.is_due():
        _log.warning("rate_unknown", error=type(error).__name__)


def _key(credential_id: UUID) -> str:
    return f"delivery:rate:{credential_id}"
