"""Which links were found well, for a while, and of which type; and that many who ask for one at the same time ask its
server once."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import NamedTuple

KEPT_SECONDS = 600.0
MOST_KEPT = 10_000


class Found(NamedTuple):
    """What came of asking a link: what is wrong with it, as a sentence, or None and its file's type as media_rules.py
    names it."""

    fault: str | None
    media_type: str | None = None


Ask = Callable[[Sequence[str]], dict[str, Found]]


class LinkMemory:
    """For the threads of one process. What is wrong with a link is told to those who wait for it, and not kept."""

    def __init__(self, kept_seconds: float = KEPT_SECONDS, most_kept: int = MOST_KEPT) -> None:
        self._kept_seconds = kept_seconds
        self._most_kept = most_kept
        self._lock = Lock()
        self._well: OrderedDict[str, tuple[Found, float]] = OrderedDict()  # until when; oldest first
        self._asking: dict[str, Future[Found]] = {}

    def recall(self, urls: Sequence[str], ask: Ask, wait_seconds: float) -> dict[str, Found]:
        """What is known of each of these URLs, which differ: remembered, or asked for by `ask`, or by another
        thread that does so just now and is waited for. Errors: what `ask` raises."""
        ends = time.monotonic() + wait_seconds
        found, ours, others = self._divide(urls)
        if ours:
            found |= self._ask(list(ours), ours, ask)
        for url, asked in others.items():
            found[url] = self._wait_for(asked, ends)
        return found

    def _divide(
        self, urls: Sequence[str]
    ) -> tuple[dict[str, Found], dict[str, "Future[Found]"], dict[str, "Future[Found]"]]:
        """Those that are remembered, that this thread has to ask, and that another one asks."""
        known: dict[str, Found] = {}
        ours: dict[str, Future[Found]] = {}
        others: dict[str, Future[Found]] = {}
        now = time.monotonic()
        with self._lock:
            for url in urls:
                kept = self._well.get(url)
                if kept is not None and kept[1] > now:
                    known[url] = kept[0]
                elif url in self._asking:
                    others[url] = self._asking[url]
                else:
                    ours[url] = self._asking[url] = Future()
        return known, ours, others

    def _ask(self, urls: Sequence[str], asked: dict[str, "Future[Found]"], ask: Ask) -> dict[str, Found]:
        try:
            found = ask(urls)
            self._keep({url: one for url, one in found.items() if one.fault is None})
            for url, one in found.items():
                asked[url].set_result(one)
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

    def _keep(self, well: Mapping[str, Found]) -> None:
        until = time.monotonic() + self._kept_seconds
        with self._lock:
            for url, found in well.items():
                self._well.pop(url, None)
                self._well[url] = found, until
            while len(self._well) > self._most_kept:
                self._well.popitem(last=False)

    def _wait_for(self, asked: "Future[Found]", ends: float) -> Found:
        try:
            return asked.result(max(0.0, ends - time.monotonic()))
        except TimeoutError:
            return Found("is not answered in time")
