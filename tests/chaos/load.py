"""The journeys: they hand the planned sends to the API and ask again, with the same key, until each is accepted."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.chaos.plan import Send

_POSTERS = 3
_TIMEOUT_SECONDS = 15.0
_PAUSE_SECONDS = 0.2
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Promise:
    """A send with every answer that promised it: all that were given to its idempotency key. Empty: none was."""

    send: Send
    answers: Sequence[dict[str, Any]]


class Load:
    """Posts in the background, from threads of its own, until all is sent or `stop` is called."""

    def __init__(self, api_url: str, token: str, sends: Iterable[Send]) -> None:
        self.promises: list[Promise] = []
        self.troubles: Counter[str] = Counter()  # what made us ask again
        self._api_url = api_url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._waiting: queue.SimpleQueue[Send] = queue.SimpleQueue()
        for send in sends:
            self._waiting.put(send)
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._post_all, name="journey", daemon=True) for _ in range(_POSTERS)]

    def start(self) -> None:
        self._started_at = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    @property
    def is_running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    @property
    def accepted_count(self) -> int:
        return sum(len(promise.send.recipients) for promise in list(self.promises) if promise.answers)

    def _post_all(self) -> None:
        with httpx.Client(
            base_url=self._api_url, headers=self._headers, timeout=_TIMEOUT_SECONDS, trust_env=False
        ) as client:
            while not self._stopped.is_set():
                try:
                    send = self._waiting.get_nowait()
                except queue.Empty:
                    return
                if self._stopped.wait(max(0.0, self._started_at + send.at - time.monotonic())):
                    return
                answers = [self._insist(client, send) for _ in range(1 + send.repeats)]
                self.promises.append(Promise(send, [answer for answer in answers if answer is not None]))

    def _insist(self, client: httpx.Client, send: Send) -> dict[str, Any] | None:
        """The 202's body; None where the API does not accept it for longer than anybody would ask."""
        ends = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < ends and not self._stopped.is_set():
            try:
                answer = client.post(send.path, json=send.body, headers={"Idempotency-Key": send.key})
            except httpx.TransportError as error:
                self.troubles[type(error).__name__] += 1
            else:
                if answer.status_code == 202:
                    return dict(answer.json())
                self.troubles[f"HTTP {answer.status_code}"] += 1
            time.sleep(_PAUSE_SECONDS)
        return None
