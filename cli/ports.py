"""Ports: free ones, and taken ones found before anything is started, so that the reason is one line and not a child's
traceback."""

import errno
import socket
from collections.abc import Sequence
from typing import NamedTuple

from cli.errors import CommandError


class Port(NamedTuple):
    number: int
    of: str  # what listens there, in words
    option: str  # where to choose another


def free_port() -> int:
    """One of 127.0.0.1 that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_free(ports: Sequence[Port], host: str = "127.0.0.1") -> None:
    """Errors: CommandError naming the first port that is taken, given twice or not allowed."""
    seen: dict[int, Port] = {}
    for port in ports:
        if not 1 <= port.number <= 65535:
            raise CommandError(f"port {port.number} ({port.of}) is not a port number; choose one with {port.option}")
        if port.number in seen:
            other = seen[port.number]
            raise CommandError(
                f"port {port.number} is given to both {other.of} and {port.of}; choose another with {port.option}"
            )
        seen[port.number] = port
        _check_one(port, host)


def _check_one(port: Port, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: a connection of a stopped server in TIME_WAIT is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port.number))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
            raise CommandError(
                f"port {port.number} ({port.of}) {reason}; stop what listens there or choose another with {port.option}"
            ) from error
