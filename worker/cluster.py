"""The PostgreSQL cluster that the database is at home in: feeds are ordered by its transaction IDs.

Dumped and restored, a database is in a cluster that counts its transactions anew, from below the marks that the rows
bring along: what is told there would stand before what was told long ago, and reach nobody. So nobody works with a
database that is away from home (db.py refuses its connections) until a migration has moved it in there.

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

_HERE = text("SELECT system_identifier FROM pg_control_system()")
_HOME = text("SELECT system_identifier FROM cluster")
# By how much the newest mark is not below the oldest running transaction; 0 or less: all are.
_AHEAD = text(f"""
    SELECT coalesce(max(mark), 0) - (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)
    FROM ({" UNION ALL ".join(f"SELECT max({mark}) FROM {table}" for table, marks in MARKS.items() for mark in marks)})
        AS newest (mark)
""")
_LOWER = (
    text("UPDATE event SET transaction_id = transaction_id - :by"),
    text("UPDATE event_endpoint SET told_transaction = told_transaction - :by"),
    text("""
        UPDATE event_delivery SET
            after_transaction = after_transaction - :by, through_transaction = through_transaction - :by
    """),
    text("UPDATE delivery_report SET transaction_id = transaction_id - :by"),
)
# IDs of events go on from the clock's microseconds, which no count of events keeps up with: so none that was given, and
# then lost with what came after the backup, is given again to another event.
_BEGIN_ERA = text("""
    SELECT setval('event_id_seq', greatest(last_value + 1, CAST(extract(epoch FROM clock_timestamp()) * 1e6 AS bigint)))
    FROM event_id_seq
""")
_LEAVE = text("DELETE FROM cluster")
_ARRIVE = text("INSERT INTO cluster (system_identifier, era) VALUES (:here, :era)")


def move_in(connection: Connection, *, is_restored: bool = False) -> bool:
    """Make the database at home where it is. True where a new era has begun: cursors from before are refused.

    `is_restored`: it was put back to an earlier time, which nothing shows within one cluster. Where its marks are ahead
    of this cluster's transactions, all of them are lowered alike, below zero if need be: their order stays. Nobody else
    may be writing. Does not commit.
    """
    here = connection.execute(_HERE).scalar_one()
    home = connection.execute(_HOME).scalar_one_or_none()
    if home == here and not is_restored:
        return False
    ahead = connection.execute(_AHEAD).scalar_one()
    if ahead > 0:
        for statement in _LOWER:
            connection.execute(statement, {"by": ahead})
    is_first = home is None and ahead <= 0 and not is_restored
    era = here if is_first else connection.execute(_BEGIN_ERA).scalar_one()
    connection.execute(_LEAVE)
    connection.execute(_ARRIVE, {"here": here, "era": era})
    return not is_first
