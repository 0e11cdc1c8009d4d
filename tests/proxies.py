"""A proxy that stands between a client and a server of ours, and breaks connections as its subclass sees fit."""

import select
import socket
import threading
from abc import ABC, abstractmethod
from typing import Self

PIECE = 65536


class Proxy(ABC):
    """Listens on `port` of 127.0.0.1."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @abstractmethod
    def reach(self) -> socket.socket:
        """The server. Errors: OSError."""

    @abstractmethod
    def is_passed_on(self, data: bytes, server: socket.socket, *, is_of_client: bool) -> bool:
        """Whether what one side said goes to the other; the connection ends where it does not."""

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, self.reach() as server:
                while self._forward(client, server):
                    pass
        except OSError:
            return  # either side has gone

    def _forward(self, client: socket.socket, server: socket.socket) -> bool:
        """What either side has said by now; False when the connection is to end."""
        for source in select.select([client, server], [], [])[0]:
            data = source.recv(PIECE)
            if not data or not self.is_passed_on(data, server, is_of_client=source is client):
                return False
            (server if source is client else client).sendall(data)
        return True
