"""A proxy before the API that breaks connections, as a network does: before the request has come whole, or when it is
done and nobody has heard so yet."""

import select
import socket
import threading
from typing import Self


class BreakingProxy:
    """Listens on `url`. `break_requests` and `lose_answers` say of how many of the next connections."""

    def __init__(self, address: str) -> None:
        self._port = int(address.rpartition(":")[2])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.break_requests = self.lose_answers = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            try:
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
            if source is client and self.break_requests:
                self.break_requests -= 1
                server.sendall(data[: len(data) // 2])
                return False
            if source is server and self.lose_answers:
                self.lose_answers -= 1
                return False
            (server if source is client else client).sendall(data)
        return True
