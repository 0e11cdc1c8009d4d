"""A proxy before PostgreSQL that can lose the answer to a commit, as a network does that breaks at the wrong moment."""

import select
import socket
import threading
from pathlib import Path
from typing import Self

_COMMIT = b"COMMIT\0"
_DONE_AND_IDLE = b"Z\0\0\0\5I"  # ReadyForQuery outside a transaction


class CommitEater:
    """Listens on `port` of 127.0.0.1 and speaks to a server's unix socket. `lose_next` makes it forward the next
    commit, wait until it is done, and break the connection instead of telling."""

    def __init__(self, server_socket: Path) -> None:
        self._server_socket = server_socket
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._is_hungry = threading.Event()
        self._is_fed = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def lose_next(self) -> None:
        self._is_fed.clear()
        self._is_hungry.set()

    @property
    def has_lost(self) -> bool:
        """Since `lose_next`."""
        return self._is_fed.is_set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            try:
                server.connect(str(self._server_socket))
                while self._forward(client, server):
                    pass
            except OSError:
                return  # either side has gone

    def _forward(self, client: socket.socket, server: socket.socket) -> bool:
        """What either side has said by now; False when the connection is to end."""
        for source in select.select([client, server], [], [])[0]:
            data = source.recv(65536)
            if not data:
                return False
            if source is client and _COMMIT in data and self._is_hungry.is_set():
                self._is_hungry.clear()
                self._commit_in_silence(server, data)
                return False
            (server if source is client else client).sendall(data)
        return True

    def _commit_in_silence(self, server: socket.socket, data: bytes) -> None:
        server.sendall(data)
        answer = b""
        while _DONE_AND_IDLE not in answer:
            answer += server.recv(65536)
        self._is_fed.set()
