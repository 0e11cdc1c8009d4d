"""PostgreSQL's error codes (SQLSTATE): those that a decision hangs on."""

LOCK_NOT_AVAILABLE = "55P03"  # waited for a lock for as long as we wait

_GAVE_WAY = {"40P01", "40001"}  # deadlock, serialisation failure
# 08: connection. 53: out of connections, disk or memory.
_NOT_NOW_CLASSES = ("08", "53")
# 57P0x: shutting down or starting. 57014: a statement took longer than we wait. 58030: the disk fails.
_NOT_NOW = {"57P01", "57P02", "57P03", "57014", LOCK_NOT_AVAILABLE, "58030"}


def sqlstate(error: BaseException) -> str | None:
    """The code of an error of SQLAlchemy's or psycopg's; None where it has none, as one of the connection itself."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return state if isinstance(state, str) else None


def has_given_way(error: BaseException) -> bool:
    """The database ended this transaction for another's sake: the same again may well pass."""
    return sqlstate(error) in _GAVE_WAY


def is_not_now(state: str) -> bool:
    """The server cannot do it at present, whatever it was asked."""
    return state.startswith(_NOT_NOW_CLASSES) or state in _NOT_NOW
