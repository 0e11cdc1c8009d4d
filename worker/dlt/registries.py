"""India DLT: registries in memory, one for all who need the same templates, and no more than can be kept. Pure."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from worker.dlt.choice import Registry

K = TypeVar("K", bound=Hashable)


class Registries(Generic[K]):
    """Those last asked for, by which templates they hold. For several threads: others wait for one that is made."""

    def __init__(self, most_templates: int) -> None:
        """`most_templates`: that all of them hold together. The one last asked for stays, however large."""
        self._most = most_templates
        self._held: OrderedDict[K, Registry] = OrderedDict()  # the one last asked for is the last
        self._weight = 0
        self._lock = threading.Lock()

    def get(self, key: K, make: Callable[[], Registry]) -> Registry:
        with self._lock:
            registry = self._held.get(key)
            if registry is None:
                registry = self._held[key] = make()
                self._weight += _weight(registry)
            self._held.move_to_end(key)
            while self._weight > self._most and len(self._held) > 1:
                _, oldest = self._held.popitem(last=False)
                self._weight -= _weight(oldest)
            return registry

    def held(self) -> list[tuple[K, Registry]]:
        """The one last asked for is the last."""
        with self._lock:
            return list(self._held.items())


def _weight(registry: Registry) -> int:
    return registry.size + 1  # an empty one takes room too
