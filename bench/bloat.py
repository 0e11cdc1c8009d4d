"""How tables stand after much went through them: sizes, dead rows, updates that stayed in their page."""

from dataclasses import asdict, dataclass
from typing import Any

import psycopg

_READ = """
    SELECT relname, n_live_tup, n_dead_tup, n_tup_upd, n_tup_hot_upd, autovacuum_count,
           pg_table_size(relid), pg_indexes_size(relid)
    FROM pg_stat_user_tables
"""


@dataclass(frozen=True)
class TableState:
    """One table's counters since its database was made; sizes in bytes."""

    live_rows: int
    dead_rows: int
    updates: int
    hot_updates: int
    autovacuums: int
    table_bytes: int
    index_bytes: int

    @property
    def all_bytes(self) -> int:
        return self.table_bytes + self.index_bytes

    @property
    def hot_share(self) -> float:
        """Of its updates, in percent: those that wrote no index. 100 where there were none."""
        return self.hot_updates / self.updates * 100 if self.updates else 100.0


@dataclass(frozen=True)
class DatabaseState:
    """After `messages` went through it. `wal_bytes` is a position: only differences mean something."""

    messages: int
    wal_bytes: int
    tables: dict[str, TableState]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def read_database(dsn: str, messages: int) -> DatabaseState:
    """Whoever wrote has to have disconnected: a session's counters count once it is idle or gone."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        tables = {str(row[0]): TableState(*map(int, row[1:])) for row in connection.execute(_READ)}
        row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").fetchone()
    assert row is not None  # a function has its row
    return DatabaseState(messages, int(row[0]), tables)
