"""Alembic's entry: one transaction, one migration at a time, then what `upgrade` has done last."""

from alembic import context
from sqlalchemy import text
from sqlmodel import SQLModel

import worker.models  # noqa: F401 - fills the metadata
from worker.db import make_engine

_LOCK = 4_711_202_611  # any fixed number: advisory lock of whoever migrates

attributes = context.config.attributes
engine = make_engine(attributes["database_url"], statement_seconds=0)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_server_default=False)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        context.run_migrations()
        if "at_last" in attributes:
            attributes["came_of_it"] = attributes["at_last"](connection)
    connection.commit()
engine.dispose()
