"""A body that is never held as a whole: it comes in pieces worth a thread, within bounds of size and of time.

It is read without a thread, so that a slow client keeps nobody else waiting.
"""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import anyio
from fastapi import Request

from api.problems import TooLarge, TooSlow

_PIECE_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """`silence_seconds`: without a byte from the client; `most_seconds`: for all of it, so that a client that sends a
    byte now and then does not keep others out for ever. `too_large` and `too_slow` say what the body was."""

    most_bytes: int
    silence_seconds: float
    most_seconds: float
    too_large: Callable[[], TooLarge]
    too_slow: Callable[[], TooSlow]


async def pieces_of(request: Request, bounds: Bounds) -> AsyncIterator[bytes]:
    """The body as it comes. Errors: TooLarge, TooSlow; ClientDisconnect, where it breaks off."""
    ends = time.monotonic() + bounds.most_seconds
    size = 0
    piece = bytearray()
    chunks = aiter(request.stream())
    while True:
        try:
            with anyio.fail_after(min(bounds.silence_seconds, ends - time.monotonic())):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise bounds.too_slow() from error
        if chunk is None:
            break
        size += len(chunk)
        if size > bounds.most_bytes:
            raise bounds.too_large()
        piece += chunk
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
