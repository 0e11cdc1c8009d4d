"""A glance: reading outside of any transaction, for what looks every second and mostly finds nothing.

A session and its transaction take two round trips to the database more (BEGIN and COMMIT) and twice the time here,
which was most of what an idle worker did.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine


@contextmanager
def glance(engine: Engine) -> Iterator[Connection]:
    """A connection on which each statement stands alone. Only for reading."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection
