"""The engine of this process (app.create_app makes it), as routes take it: `database: Database`."""

from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine


def engine_of(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _engine(request: Request) -> Engine:  # async: the framework takes a thread for any other
    return engine_of(request)


Database = Annotated[Engine, Depends(_engine)]
