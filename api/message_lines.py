"""The lines of an NDJSON body that comes in pieces, however it is cut. Pure."""

_BOM = b"\xef\xbb\xbf"


class MessageLines:
    """Blank lines are passed over; of a line that is longer than `most_bytes` nothing is kept: it is None."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._rest = b""
        self._is_in_long_line = False
        self._is_at_start = True

    def feed(self, piece: bytes) -> list[bytes | None]:
        """The lines that end in this piece."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        found = self._read(whole)
        if len(self._rest) > self._most_bytes:
            self._rest, self._is_in_long_line = b"", True
        return found

    def close(self) -> list[bytes | None]:
        """What is left once the body is over."""
        last, self._rest = self._rest, b""
        return self._read([last])

    def _read(self, whole: list[bytes]) -> list[bytes | None]:
        lines: list[bytes | None] = [line if len(line) <= self._most_bytes else None for line in whole]
        if lines and self._is_in_long_line:
            lines[0], self._is_in_long_line = None, False
        if lines and self._is_at_start:
            self._is_at_start = False
            lines[0] = lines[0] and lines[0].removeprefix(_BOM)
        return [line for line in lines if line is None or line.strip()]
