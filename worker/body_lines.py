"""The lines of a body that comes in pieces, however it is cut. Pure."""

_BOM = b"\xef\xbb\xbf"


class BodyLines:
    """Lines in their order, without their line feeds; blank ones are lines too. Of one that is longer than `most_bytes`
    nothing is kept: it is None, once it is known to be so long. A byte order mark before the first is no part of it."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._rest = b""
        self._is_in_long_line = False  # which is told already
        self._is_at_start = True

    def feed(self, piece: bytes) -> list[bytes | None]:
        """The lines that end in this piece, or become too long."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        found = self._read(whole)
        if len(self._rest) > self._most_bytes:
            if not self._is_in_long_line:
                found.append(None)
            self._rest, self._is_in_long_line = b"", True
        return found

    def close(self) -> list[bytes | None]:
        """What is left once the body is over; after a line feed that is a blank line."""
        last, self._rest = self._rest, b""
        return self._read([last])

    def _read(self, whole: list[bytes]) -> list[bytes | None]:
        lines: list[bytes | None] = [line if len(line) <= self._most_bytes else None for line in whole]
        if lines and self._is_at_start:
            self._is_at_start = False
            lines[0] = lines[0] and lines[0].removeprefix(_BOM)
        if lines and self._is_in_long_line:
            self._is_in_long_line = False
            del lines[0]
        return lines
