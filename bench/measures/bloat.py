"""Tables, indexes and write-ahead log while millions of messages go through: what grows beyond what is kept.

Driven with the floor's statements, which write the same rows as the product several times as fast. Each turn copies,
claims and records all its messages before it reports them, so that reports come late, as in life. Only the tally is
written otherwise: each connection keeps to one shard, where the product spreads over eight.
"""

import itertools
from collections.abc import Callable

from bench.bench import Bench
from bench.bloat import DatabaseState, TableState, read_database
from bench.figures import Figure, ratio
from bench.floor_run import FloorRate, drive_floor, floor_database

_DATABASE = "bloat"
_CONNECTIONS = 2
_UPDATED = ("message", "attempt", "submission", "tally")
_ADDED = ("delivery_report",)  # to these rows are only added


def measure(bench: Bench) -> list[Figure]:
    sizes = bench.sizes
    with bench.stage() as stage:
        dsn = floor_database(stage, _DATABASE)
        states, turns = [read_database(dsn, 0)], list[FloorRate]()
        while states[-1].messages < sizes.bloat_messages:
            turn = drive_floor(stage, dsn, sizes.bloat_turn, sizes.batch_rows, _CONNECTIONS)
            turns.append(turn)
            states.append(read_database(dsn, states[-1].messages + turn.messages))
            bench.tell(f"{states[-1].messages:,} through: {turn.server_cpu_us:,.0f} us of PostgreSQL a message")
    return [*_costs(states, turns), *(figure for name in (*_UPDATED, *_ADDED) for figure in _table(name, states))]


def _costs(states: list[DatabaseState], turns: list[FloorRate]) -> list[Figure]:
    """Of a message in the last turn, beside the first."""
    wal = [
        (after.wal_bytes - before.wal_bytes) / (after.messages - before.messages)
        for before, after in itertools.pairwise(states)
    ]
    cpu = [turn.server_cpu_us for turn in turns]
    rival = _first(states)
    return [
        Figure(
            f"write-ahead log, a message, after {states[-1].messages:,}",
            wal[-1],
            "bytes",
            (),
            ratio(wal[-1], wal[0]),
            rival,
            {"bytes_by_turn": wal, "states": [state.as_json() for state in states]},
        ),
        Figure("PostgreSQL, a message", cpu[-1], "us", (), ratio(cpu[-1], cpu[0]), rival, {"us_by_turn": cpu}),
    ]


def _table(name: str, states: list[DatabaseState]) -> list[Figure]:
    first, last = states[1], states[-1]
    now = last.tables[name]
    figures = [
        _size(f"{name}: table, a message", name, states, lambda table: table.table_bytes),
        _size(f"{name}: indexes, a message", name, states, lambda table: table.index_bytes),
    ]
    if name in _UPDATED:
        dead, before = float(now.dead_rows), float(first.tables[name].dead_rows)
        figures += [
            Figure(f"{name}: dead rows", dead, "rows", (), ratio(dead, before), _first(states)),
            Figure(f"{name}: updates that stayed in their page", now.hot_share, "%"),
        ]
    return figures


def _size(what: str, name: str, states: list[DatabaseState], bytes_of: Callable[[TableState], int]) -> Figure:
    each = [bytes_of(state.tables[name]) / state.messages for state in states[1:]]
    return Figure(what, each[-1], "bytes", (), ratio(each[-1], each[0]), _first(states))


def _first(states: list[DatabaseState]) -> str:
    return f"that after {states[1].messages:,}"
