"""A proxy before PostgreSQL that can lose the answer to a commit, as a network does that breaks at the wrong moment."""

import socket
import threading
from pathlib import Path

from tests.proxies import PIECE, Proxy

_COMMIT = b"COMMIT\0"
_DONE_AND_IDLE = b"Z\0\0\0\5I"  # ReadyForQuery outside a transaction


class CommitEater(Proxy):
    """Speaks to a server's unix socket. `lose_next` makes it forward the next commit, wait until it is done, and break
    the connection instead of telling."""

    def __init__(self, server_socket: Path) -> None:
        super().__init__()
        self._server_socket = server_socket
        self._is_hungry = threading.Event()
        self._is_fed = threading.Event()

    def lose_next(self) -> None:
        self._is_fed.clear()
        self._is_hungry.set()

    @property
    def has_lost(self) -> bool:
        """Since `lose_next`."""
        return self._is_fed.is_set()

    def reach(self) -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self._server_socket))
        return server

    def is_passed_on(self, data: bytes, server: socket.socket, *, is_of_client: bool) -> bool:
        if not (is_of_client and _COMMIT in data and self._is_hungry.is_set()):
            return True
        self._is_hungry.clear()
        self._commit_in_silence(server, data)
        return False

    def _commit_in_silence(self, server: socket.socket, data: bytes) -> None:
        server.sendall(data)
        answer = b""
        while _DONE_AND_IDLE not in answer:
            answer += server.recv(PIECE)
        self._is_fed.set()
