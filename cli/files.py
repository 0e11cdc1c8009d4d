"""Files that a command reads and writes; - stands for standard input and output."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cli.errors import CommandError


@contextmanager
def opened(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        source = Path(file).open("rb")  # noqa: SIM115 - closed below; only the opening is ours to explain
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}") from error
    with source:
        yield source


@contextmanager
def written(file: str) -> Iterator[IO[bytes]]:
    """The file appears once it is whole. A pipe or a device is written as it is."""
    path = Path(file)
    try:
        if file == "-":
            with _standard_output() as target:
                yield target
        elif path.is_dir():
            raise CommandError(f"cannot write {file}: it is a directory, name a file in it")
        elif path.exists() and not path.is_file():
            with path.open("wb") as target:
                yield target
        else:
            part = path.with_name(path.name + ".part")
            try:
                with part.open("wb") as target:
                    yield target
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        name = "standard output" if file == "-" else file
        raise CommandError(f"cannot write {name}: {error.strerror}") from error


@contextmanager
def _standard_output() -> Iterator[IO[bytes]]:
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError:
        # What is left in the buffer goes nowhere: Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
