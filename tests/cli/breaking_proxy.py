"""A proxy before the API that breaks connections, as a network does: before the request has come whole, or when it is
done and nobody has heard so yet."""

import socket

from tests.proxies import Proxy


class BreakingProxy(Proxy):
    """Listens on `url`. `break_requests` and `lose_answers` say of how many of the next connections."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._server_port = int(address.rpartition(":")[2])
        self.url = f"http://127.0.0.1:{self.port}"
        self.break_requests = self.lose_answers = 0

    def reach(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._server_port))

    def is_passed_on(self, data: bytes, server: socket.socket, *, is_of_client: bool) -> bool:
        if is_of_client and self.break_requests:
            self.break_requests -= 1
            server.sendall(data[: len(data) // 2])
            return False
        if not is_of_client and self.lose_answers:
            self.lose_answers -= 1
            return False
        return True
