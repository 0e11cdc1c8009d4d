"""The blows, as they fall on the processes of a running stack. None waits for what follows: the stack's watch does."""

import contextlib
import os
import signal

import httpx
import redis

from cli.processes import command_lines, send_signal
from cli.stack import Stack
from tests.chaos.plan import Blow, Strike

OUTAGE_SECONDS = 2.0


def fall(stack: Stack, strike: Strike) -> bool:
    """Let a strike fall. False where its target is not there now: it may be on its way back from another one."""
    match strike.blow:
        case Blow.FLUSH_REDIS:
            return _flush(stack)
        case Blow.CLOSE_SANDBOX:
            return _close_port(stack.sandbox_url)
        case Blow.KILL_CHILD:
            return _kill_pool_process(stack.pid_of(strike.target))
        case Blow.KILL_GROUP:
            return _signal_group(stack.pid_of(strike.target), signal.SIGKILL)
        case Blow.RESTART_POSTGRES:
            return _signal(stack.pid_of(strike.target), signal.SIGINT)  # PostgreSQL's fast shutdown
        case _:
            return _signal(stack.pid_of(strike.target), signal.SIGKILL)


def pool_processes(leader: int) -> list[int]:
    """The other processes of a worker's group."""
    found = []
    for pid, _ in command_lines():
        with contextlib.suppress(ProcessLookupError):
            if pid != leader and os.getpgid(pid) == leader:
                found.append(pid)
    return sorted(found)


def _kill_pool_process(leader: int | None) -> bool:
    pool = pool_processes(leader) if leader is not None else []
    if not pool:
        return False
    send_signal(pool[0], signal.SIGKILL)  # the one that has been working longest
    return True


def _signal_group(leader: int | None, number: int) -> bool:
    try:
        if leader is not None:
            os.killpg(leader, number)
        return leader is not None
    except ProcessLookupError:
        return False


def _signal(pid: int | None, number: int) -> bool:
    try:
        if pid is not None:
            os.kill(pid, number)
        return pid is not None
    except ProcessLookupError:
        return False


def _flush(stack: Stack) -> bool:
    try:
        with redis.Redis.from_url(stack.redis_url, socket_timeout=2) as client:
            return bool(client.flushall())
    except redis.RedisError:
        return False


def _close_port(sandbox_url: str) -> bool:
    try:
        answer = httpx.post(f"{sandbox_url}/sandbox/outage", json={"seconds": OUTAGE_SECONDS}, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.is_success
