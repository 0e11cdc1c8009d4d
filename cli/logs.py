"""The log files of supervised processes: one each, the previous run's kept beside it as `.1`."""

import contextlib
import json
import re
from pathlib import Path

_KEPT_BYTES = 20_000_000
_SHOWN_LENGTH = 300
_SHOWN_FIRST = {"level", "event", "timestamp"}
_NOTABLE = re.compile(
    rb'"level":\s*"(?:warning|error|critical)"|\b(?:WARNING|ERROR|CRITICAL)\b|\[(?:warning|error|critical)\s*\]'
)


def rotate(path: Path) -> None:
    """Begins a new file; what was there becomes `.1`."""
    if path.exists():
        path.replace(previous(path))
    path.touch(mode=0o600)


def previous(path: Path) -> Path:
    return path.with_name(path.name + ".1")


def last_lines(path: Path, since: int = 0, count: int = 12) -> list[str]:
    """The newest lines, none from before the offset `since`."""
    try:
        with path.open("rb") as log:
            log.seek(max(since, path.stat().st_size - 16_384))
            return log.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []


class Follower:
    """Reads what was appended to a log file since the last look, and keeps the file from growing without end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._rest = b""

    def notable_lines(self) -> list[str]:
        """New whole lines that are a warning or worse."""
        try:
            if self.path.stat().st_size == self._offset:
                return []
            with self.path.open("r+b") as log:
                log.seek(self._offset)
                text = self._rest + log.read(1_000_000)
                self._offset = log.tell()
                if self._offset > _KEPT_BYTES:
                    # Writers append, so they go on at the new end. A line written in this instant may be lost.
                    log.seek(0)
                    previous(self.path).write_bytes(log.read())
                    log.truncate(0)
                    self._offset = 0
        except OSError:
            return []
        *lines, self._rest = text.split(b"\n")
        return [pleasant(line.decode(errors="replace")) for line in lines if _NOTABLE.search(line)]


def pleasant(line: str) -> str:
    """A log line as a terminal should show it: of a JSON event the words, its values and the end of a traceback."""
    with contextlib.suppress(ValueError):
        if isinstance(event := json.loads(line), dict):
            error = str(event.pop("exception", "")).strip().splitlines()[-1:]
            values = [f"{name}={value}" for name, value in event.items() if name not in _SHOWN_FIRST]
            line = " ".join([f"{event.get('level', '')}: {event.get('event', '')}", *values, *error])
    return line if len(line) <= _SHOWN_LENGTH else line[: _SHOWN_LENGTH - 1] + "…"
