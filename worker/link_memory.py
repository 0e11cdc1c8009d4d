"""Which links were found well, for a while; and that many who ask for one at the same time ask its server once."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock

KEPT_SECONDS = 600.0
MOST_KEPT = 10_000

Fault = str | None
Ask = Callable[[Sequence[str]], dict[str, Fault]]


class LinkMemory:
    """For the threads of one process. What is wrong with a link is told to those who wait for it, and not kept."""

    def __init__(self, kept_seconds: float = KEPT_SECONDS, most_kept: int = MOST_KEPT) -> None:
        self._kept_seconds = kept_seconds
        self._most_kept = most_kept
        self._lock = Lock()
        self._well_until: OrderedDict[str, float] = OrderedDict()  # oldest first
        self._asking: dict[str, Future[Fault]] = {}

    def recall(self, urls: Sequence[str], ask: Ask, wait_seconds: float) -> dict[str, Fault]:
        """A fault, or None, for each of these URLs, which differ: remembered, or asked for by `ask`, or by another
        thread that does so just now and is waited for. Errors: what `ask` raises."""
        ends = time.monotonic() + wait_seconds
        ours, others = self._divide(urls)
        found: dict[str, Fault] = dict.fromkeys(urls)
        if ours:
            found |= self._ask(list(ours), ours, ask)
        for url, asked in others.items():
            found[url] = self._wait_for(asked, ends)
        return found

    def _divide(self, urls: Sequence[str]) -> tuple[dict[str, "Future[Fault]"], dict[str, "Future[Fault]"]]:
        """Those that this thread has to ask, and those that another one asks."""
        ours: dict[str, Future[Fault]] = {}
        others: dict[str, Future[Fault]] = {}
        now = time.monotonic()
        with self._lock:
            for url in urls:
                if self._well_until.get(url, now) > now:
                    continue
                if url in self._asking:
                    others[url] = self._asking[url]
                else:
                    ours[url] = self._asking[url] = Future()
        return ours, others

    def _ask(self, urls: Sequence[str], asked: dict[str, "Future[Fault]"], ask: Ask) -> dict[str, Fault]:
        try:
            found = ask(urls)
            self._keep([url for url, fault in found.items() if fault is None])
            for url, fault in found.items():
                asked[url].set_result(fault)
        except BaseException as error:
            for future in asked.values():
                if not future.done():
                    future.set_exception(error)
            raise
        finally:
            with self._lock:
                for url in urls:
                    del self._asking[url]
        return found

    def _keep(self, urls: Sequence[str]) -> None:
        until = time.monotonic() + self._kept_seconds
        with self._lock:
            for url in urls:
                self._well_until.pop(url, None)
                self._well_until[url] = until
            while len(self._well_until) > self._most_kept:
                self._well_until.popitem(last=False)

    def _wait_for(self, asked: "Future[Fault]", ends: float) -> Fault:
        try:
            return asked.result(max(0.0, ends - time.monotonic()))
        except TimeoutError:
            return "is not answered in time"
