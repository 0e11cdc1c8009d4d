"""A file as the body of a request: counted, checked and kept in a temporary file while it comes.

It comes in pieces (pieces.py), each of which takes a thread for the disk alone.
"""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import IO, TypeVar

import structlog
from anyio import to_thread
from fastapi import Request

from api.bodies import announced_bytes, check_encoding
from api.pieces import Bounds, pieces_of
from api.problems import TooLarge, TooSlow, Unavailable, UnsupportedBody
from worker.media_rules import MOST_BYTES, WHAT_CARRIERS_TAKE, BadMedia, FileCheck, media_type_of
from worker.refusals import Refusal

MOST_AT_ONCE = 8  # in one process: each takes a thread while it goes on to Infobip
SILENCE_SECONDS = 30.0  # without a byte from the client
_MOST_SECONDS = 120.0

_log = structlog.get_logger()
T = TypeVar("T")


class FileBody:
    """What came of a file, in `file`; once it is whole that stands at its beginning."""

    def __init__(self, media_type: str, file: IO[bytes]) -> None:
        self.media_type = media_type
        self.file = file
        self._check = FileCheck(media_type)
        self._hash = sha256()

    @property
    def byte_count(self) -> int:
        return self._check.byte_count

    def hash_with(self, words: bytes) -> bytes:
        """SHA-256 of the file and of what else the request says."""
        whole = self._hash.copy()
        whole.update(words)
        return whole.digest()

    def feed(self, piece: bytes) -> None:
        """Errors: BadMedia; OSError of the temporary file."""
        self._check.feed(piece)
        self._hash.update(piece)
        self.file.write(piece)

    def close(self) -> None:
        """Errors: as `feed`."""
        self._check.close()
        self.file.seek(0)


async def read_file(request: Request, file: IO[bytes]) -> FileBody:
    """The request's body, written to `file`. Errors: Refusal; ClientDisconnect, where it breaks off."""
    check_encoding(request)
    try:
        media_type = media_type_of(request.headers.get("content-type", ""))
    except BadMedia as error:
        raise UnsupportedBody(f"Send the file with its own Content-Type: {error}") from error
    if announced_bytes(request) > MOST_BYTES:
        raise _too_large()
    body = FileBody(media_type, file)
    async for piece in pieces_of(request, _bounds()):
        await to_thread.run_sync(_checked, partial(body.feed, piece))
    await to_thread.run_sync(_checked, body.close)
    return body


def _checked(work: Callable[[], T]) -> T:
    """Errors: Refusal; Unavailable, where the disk does not take it."""
    try:
        return work()
    except BadMedia as error:
        raise Refusal.of_field("body", str(error)) from error
    except OSError as error:
        _log.error("media_not_kept", error=error.strerror or type(error).__name__)
        raise Unavailable(
            "The disk on which the file is kept while it comes does not take it "
            f"({error.strerror or 'it fails'}), and nothing was uploaded: repeat it later",
            retry_after_seconds=60,
        ) from error


def _bounds() -> Bounds:
    return Bounds(MOST_BYTES, SILENCE_SECONDS, _MOST_SECONDS, _too_large, _too_slow)


def _too_slow() -> TooSlow:
    return TooSlow(
        f"No byte of the file came for {SILENCE_SECONDS:.0f} s, or not all of it within {_MOST_SECONDS:.0f} s, "
        "and nothing was uploaded: send it again"
    )


def _too_large() -> TooLarge:
    return TooLarge(
        f"The file is larger than {MOST_BYTES:,} bytes, and nothing was uploaded. Make it smaller: {WHAT_CARRIERS_TAKE}"
    )
