"""Standard output as it may be: full, or closed by whoever read it.

A command that only looks ends there, and says why. One that has changed something goes on to its end, as it must not
say "not done" of what is done: its exit code says that the output is lost.
"""

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from typing import Any, TextIO, TypeVar, cast

from cli.errors import CommandError

LOST = 5  # the exit code of what is done, though its output is lost
_UNDONE = 1

T = TypeVar("T")


class GuardedOutput:
    """Stands in for sys.stdout."""

    def __init__(self, stream: TextIO | None) -> None:
        """`stream`: None where it was closed before the command began."""
        self._lost: OSError | None = None
        self._is_closed = stream is None
        self._stream = open(os.devnull, "w") if stream is None else stream  # noqa: SIM115, PTH123 - until the end
        self._is_told = False
        self.goes_on = False

    def write(self, text: str) -> int:
        return self._guarded(lambda: self._write(text), len(text))

    def _write(self, text: str) -> int:
        if self._is_closed and text:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._stream.write(text)

    def flush(self) -> None:
        self._guarded(self._stream.flush, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def end(self, code: int) -> tuple[int, str | None]:
        """The exit code of a command that ends with `code`, and what is to be said of its output."""
        has_changed, self.goes_on = self.goes_on, True
        self.flush()
        if self._lost is None:
            return code, None
        words = None if self._is_told else self._words()
        return code or (LOST if has_changed else _UNDONE), words

    def _guarded(self, call: Callable[[], T], otherwise: T) -> T:
        if self._lost is None:
            try:
                return call()
            except OSError as error:
                self._lost = error
                # What is left in the buffer goes nowhere: Python would try once more at its end, and complain.
                with suppress(OSError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        if not self.goes_on:
            self._is_told = True
            raise CommandError(self._words())
        return otherwise

    def _words(self) -> str:
        return f"cannot write standard output: {self._lost.strerror if self._lost else ''}"


def guard_output() -> GuardedOutput:
    """From now on; the caller restores sys.stdout. Lines are written as they come, into a pipe too: some commands wait
    long after what they have said."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    guarded = GuardedOutput(sys.stdout)
    sys.stdout = cast(TextIO, guarded)
    return guarded


def go_on_without_output() -> None:
    """Something was changed: what follows is not stopped by an output that fails."""
    if isinstance(sys.stdout, GuardedOutput):
        sys.stdout.goes_on = True
