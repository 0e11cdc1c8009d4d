"""A batch as NDJSON: its first line the batch, then a message a line, up to a million in one request.

The body is checked while it comes, in pieces, each in a thread; what is good waits in a temporary file that has no name
and so goes with its process (worker/audience.py). Only when the body is over, one transaction stores it all. Whatever
breaks off before that has stored nothing.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from tempfile import TemporaryFile
from typing import IO, TypeVar, cast

import structlog
from anyio import to_thread
from fastapi import Request, Response
from pydantic import ValidationError
from sqlalchemy import Engine
from sqlmodel import Session

from api.auth import Caller
from api.bodies import MEBIBYTE, Posted, announced_bytes, check_encoding, key_of, place_among
from api.database import engine_of
from api.links import check_links
from api.once import Done, once
from api.orders import MOST_LINE_BYTES, head_order, read_lines
from api.pieces import Bounds, pieces_of
from api.problems import TooLarge, TooSlow, Unavailable, refusal_of
from api.schemas.sends import BatchHead
from worker import idempotency
from worker.audience import Audience
from worker.body_lines import BodyLines
from worker.db import open_session
from worker.enqueue import Accepted
from worker.enqueue_batch import enqueue_audience, open_audience
from worker.idempotency import Key
from worker.orders import BatchOrder
from worker.refusals import Conflict, Refusal

MOST_ROWS = 1_000_000
MOST_BYTES = 1024 * MEBIBYTE
MOST_AT_ONCE = 4  # such bodies in one process
MOST_COUNTED = 10_000  # bad rows, where one is enough to refuse all: the rest is not looked at
SILENCE_SECONDS = 60.0  # without a byte from the client
_MOST_SECONDS = 3600.0
_FILE_BUFFER_BYTES = 256 * 1024

_log = structlog.get_logger()
T = TypeVar("T")


async def take_audience(request: Request, done: Callable[[Accepted], Done]) -> Response:
    """Read the body, store the batch and answer. `done`: what to answer for what was accepted.

    Errors: Refusal; ClientDisconnect, where the body breaks off.
    """
    check_encoding(request)
    caller: Caller = request.state.caller
    named = key_of(request, caller, b"")  # a name that cannot be one is told before a million rows have come
    if announced_bytes(request) > MOST_BYTES:
        raise _too_large()
    with place_among(request.app.state.audiences, request, "NDJSON batches"), ExitStack() as files:
        upload = Upload(engine_of(request), files)
        if named is not None:
            await to_thread.run_sync(upload.look_for_answer, named)
        async for piece in pieces_of(request, _bounds()):
            await to_thread.run_sync(on_disk, partial(upload.feed, piece))
        store = partial(upload.store, caller, partial(key_of, request, caller), done)
        return await to_thread.run_sync(on_disk, store)


class Upload:
    """One body, fed with its pieces. Not for two threads at once."""

    def __init__(self, engine: Engine, files: ExitStack) -> None:
        """`files` closes what is open once it is over."""
        self._engine = engine
        self._files = files
        self._hash = sha256()
        self._lines = BodyLines(MOST_LINE_BYTES)
        self._begun: tuple[BatchOrder, Audience] | None = None
        self._count = 0
        self._is_answered = False

    def look_for_answer(self, key: Key) -> None:
        """Before anything is fed. Where there is an answer under the key, of whatever body, the rows are not looked at:
        the surface may have become another since."""
        with open_session(self._engine) as session:
            self._is_answered = idempotency.is_answered(session, key)

    def feed(self, piece: bytes) -> None:
        """Errors: Refusal, where it cannot be accepted whatever comes yet; OSError of the temporary file."""
        self._hash.update(piece)
        if not self._is_answered:
            self._take(self._lines.feed(piece))

    def store(self, caller: Caller, key: Callable[[bytes], Key | None], done: Callable[[Accepted], Done]) -> Response:
        """The body is over. `key`: the idempotency key that came with a body of this hash. Errors: as `feed`."""
        work = _answer_gone if self._is_answered else self._work(done)
        return once(Posted(None, caller, self._engine, key(self._hash.digest())), work)

    def _work(self, done: Callable[[Accepted], Done]) -> Callable[[Session], Done]:
        self._take(self._lines.close())
        if self._begun is None:
            raise _no_batch("the body is empty")
        order, audience = self._begun
        return lambda session: done(enqueue_audience(session, order, audience))

    def _take(self, found: list[bytes | None]) -> None:
        lines = [line for line in found if line is None or line.strip()]
        if self._begun is None:
            if not lines:
                return
            self._begun = self._begin(lines.pop(0))
        _, audience = self._begun
        audience.add(*read_lines(lines, self._count))
        self._count += len(lines)
        if audience.is_refused and audience.rejected_count >= MOST_COUNTED:
            audience.refuse_wrong(is_more=True)

    def _begin(self, line: bytes | None) -> tuple[BatchOrder, Audience]:
        if line is None:
            raise _no_batch(f"it is longer than {MOST_LINE_BYTES:,} bytes")
        try:
            head = BatchHead.model_validate_json(line)
        except ValidationError as error:
            wrong = refusal_of(error)
            if {"surface", "to"} <= {fault.field for fault in wrong.faults}:
                raise _no_batch("this one is a message") from error
            raise _no_batch(wrong.detail, wrong) from error
        order = head_order(head)
        check_links(self._engine, None, order.mms)
        with open_session(self._engine) as session:  # over at once: nothing is open while the rows come
            order, audience = open_audience(session, order, MOST_ROWS, _make_file)
        return order, self._files.enter_context(audience)


def _answer_gone(_: Session) -> Done:
    raise Conflict(
        "The answer under this Idempotency-Key was forgotten while the body came (it is kept 7 days), and nothing was "
        "stored: send it again"
    )


def _make_file() -> IO[bytes]:
    return cast(IO[bytes], TemporaryFile(buffering=_FILE_BUFFER_BYTES))


def on_disk(work: Callable[[], T]) -> T:
    """Errors: Unavailable, where the disk does not take it."""
    try:
        return work()
    except OSError as error:
        _log.error("audience_not_kept", error=error.strerror or type(error).__name__)
        raise Unavailable(
            "The disk on which the rows are kept while they come does not take them "
            f"({error.strerror or 'it fails'}), and nothing was stored: repeat it later, in parts if need be",
            retry_after_seconds=60,
        ) from error


def _bounds() -> Bounds:
    return Bounds(MOST_BYTES, SILENCE_SECONDS, _MOST_SECONDS, _too_large, _too_slow)


def _too_slow() -> TooSlow:
    return TooSlow(
        f"No byte of the body came for {SILENCE_SECONDS:.0f} s, or not all of it within "
        f"{_MOST_SECONDS / 60:.0f} min, and nothing was stored: send it again"
    )


def _too_large() -> TooLarge:
    return TooLarge(f"The body is larger than {MOST_BYTES // MEBIBYTE:,} MiB, and nothing was stored: send several")


def _no_batch(reason: str, refusal: Refusal | None = None) -> Refusal:
    return Refusal(
        f"The first line must be the batch as a JSON object, without its messages, which follow a line each: {reason}",
        refusal.faults if refusal else (),
    )
