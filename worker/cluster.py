"""Where the database is at home: a PostgreSQL cluster, whose transaction IDs order the feeds, and its own OIDs there.

Dumped and restored, a database is in a cluster that counts its transactions anew, from below the marks that the rows
bring along: what is told there would stand before what was told long ago, and reach nobody. Within one cluster, what
was told after the backup is lost, and its IDs would be given again. So nobody works with a database that is away from
home (db.py refuses its connections) until a migration has moved it in there.

A dump makes each table anew, and so with another OID, in whatever database it is loaded; a copy by CREATE DATABASE ...
TEMPLATE keeps them, and has another OID itself. Failovers, points in time and VACUUM FULL keep both.

Its era is what cursors name. The first is the cluster's own identifier; another begins with each restore.
"""

from typing import Final

from sqlalchemy import Connection, text

# Every column that holds a transaction ID, or a place in a feed.
MARKS: Final = {
    "event": ("transaction_id",),
    "event_endpoint": ("told_transaction",),
    "event_delivery": ("after_transaction", "through_transaction"),
    "delivery_report": ("transaction_id",),
}

_PLACE = "system_identifier, database_oid, table_oid"
_HERE = """
    SELECT system_identifier, (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database_oid,
        'cluster'::regclass::oid::bigint AS table_oid
    FROM pg_control_system()
"""
_HOME = f"SELECT {_PLACE} FROM cluster"
# For db.py. No row where the database has never moved in.
IS_AT_HOME: Final = f"SELECT ({_PLACE}) = ({_HERE}) FROM cluster"
# By how much the newest mark is not below the oldest running transaction; 0 or less: all are.
_AHEAD = text(f"""
    SELECT coalesce(max(mark), 0) - (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)
    FROM ({" UNION ALL ".join(f"SELECT max({mark}) FROM {table}" for table, marks in MARKS.items() for mark in marks)})
        AS newest (mark)
""")
_LOWER = tuple(
    text(f"UPDATE {table} SET {', '.join(f'{mark} = {mark} - :by' for mark in marks)}")
    for table, marks in MARKS.items()
)
# IDs of events go on from the clock's microseconds, which no count of events keeps up with: so none that was given, and
# then lost with what came after the backup, is given again to another event.
_BEGIN_ERA = text("""
    SELECT setval('event_id_seq', greatest(last_value + 1, CAST(extract(epoch FROM clock_timestamp()) * 1e6 AS bigint)))
    FROM event_id_seq
""")
_LEAVE = text("DELETE FROM cluster")
_ARRIVE = text(f"INSERT INTO cluster ({_PLACE}, era) VALUES (:system_identifier, :database_oid, :table_oid, :era)")


def move_in(connection: Connection, *, is_restored: bool = False) -> bool:
    """Make the database at home where it is. True where a new era has begun: cursors from before are refused.

    `is_restored`: it was put back to an earlier time in a way that nothing shows. Where its marks are ahead of this
    cluster's transactions, all of them are lowered alike, below zero if need be: their order stays. Nobody else may be
    writing. Does not commit.
    """
    here = connection.execute(text(_HERE)).one()
    home = connection.execute(text(_HOME)).one_or_none()
    if home == here and not is_restored:
        return False
    ahead = connection.execute(_AHEAD).scalar_one()
    if ahead > 0:
        for statement in _LOWER:
            connection.execute(statement, {"by": ahead})
    is_first = home is None and ahead <= 0 and not is_restored
    era = here.system_identifier if is_first else connection.execute(_BEGIN_ERA).scalar_one()
    connection.execute(_LEAVE)
    connection.execute(_ARRIVE, {**here._mapping, "era": era})
    return not is_first
