"""A CSV of the rows that cannot be sent, for whoever corrects them."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

import orjson

from cli.audience import Wrong
from cli.errors import CommandError
from cli.files import written

_COLUMNS = ("line", "field", "reason", "value")


@contextmanager
def rejecting(file: str | None, people: str) -> Iterator[Callable[[Wrong, object], None]]:
    """Gives what takes each wrong row, with what stands in its field. The file appears once it is whole; None: none is
    wanted. `people`: the file that is read. Errors: CommandError."""
    if file is None:
        yield lambda *_: None
        return
    if file == "-" or (Path(file).exists() and Path(people).exists() and Path(file).samefile(people)):
        raise CommandError(f"--rejected {file}: name a file for the rejected rows, and not that of the people")
    with written(file) as target, TextIOWrapper(target, "utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(_COLUMNS)
        yield lambda wrong, value: writer.writerow((wrong.line, wrong.field, wrong.reason, _as_text(value)))


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else orjson.dumps(value).decode()
