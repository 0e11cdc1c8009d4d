"""The sweeps: what was left open, settled by the clock. Each is a line, with the condition under which it is due."""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from worker import cancelling, endings, inbound, moving, recovery, setting_aside
from worker.settings import Settings


class Sweep(NamedTuple):
    """`is_due` tells at a glance (glance.py) whether `step` may find anything; one run of that settles a bounded group
    and says how many, 0 where nothing is left."""

    name: str
    is_due: Callable[[Connection, Settings], bool]
    step: Callable[[Engine, Settings], int]


SWEEPS = (
    Sweep("abandon", lambda connection, _: recovery.is_due(connection), recovery.abandon),
    Sweep("expire", endings.is_due, lambda engine, _: endings.expire(engine)),
    Sweep("give_up", endings.is_due, endings.give_up),
    Sweep(
        "hold_and_free",
        lambda connection, _: setting_aside.is_due(connection),
        lambda engine, _: setting_aside.hold_and_free(engine),
    ),
    Sweep("clear", lambda connection, _: cancelling.is_due(connection), lambda engine, _: cancelling.clear(engine)),
    Sweep("give_turns", lambda connection, _: moving.is_due(connection), lambda engine, _: moving.give_turns(engine)),
    Sweep("settle_inbound", lambda connection, _: inbound.is_due(connection), inbound.settle_stored),
)


def is_any_due(connection: Connection, settings: Settings) -> bool:
    """Whether one of them would find anything."""
    conditions = dict.fromkeys(sweep.is_due for sweep in SWEEPS)  # where two share one, it is asked once
    return any(is_due(connection, settings) for is_due in conditions)
