"""Uvicorn, calmer: its own ten looks a second whether it is to stop are most of what an idle API takes."""

import asyncio
import sys
from typing import Any

import uvicorn

_LOOK_SECONDS = 0.5
_START_FAILED = 3  # the exit status that uvicorn.run gives


class ApiServer(uvicorn.Server):
    async def main_loop(self) -> None:
        # Each look counts as a full second, for which the date header is made anew.
        while not await self.on_tick(0):  # noqa: ASYNC110 - uvicorn says by a flag that it is to stop
            await asyncio.sleep(_LOOK_SECONDS)


def serve(app: str, **options: Any) -> None:
    """As uvicorn.run does: serve until SIGTERM or Ctrl-C. Errors: SystemExit where the application does not start."""
    config = uvicorn.Config(app, **options)
    config.load_app()  # before there is a loop, so that a bad setting is one line
    server = ApiServer(config)
    try:
        server.run()
    except KeyboardInterrupt:
        return
    if not server.started:
        sys.exit(_START_FAILED)
