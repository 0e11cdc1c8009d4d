"""One run of measures: its sizes, the stack that stands, and what was found."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.figures import Figure
from bench.machine import describe_servers
from bench.sizes import Sizes
from bench.stage import Stage, open_stage

WORKERS = 2  # pool processes for each send queue


@dataclass
class Bench:
    """`tell` shows a line at once. `costs` are what a message cost, by run; `servers` are known from the first stage.

    With `shares_stage` one stack serves all measures: a smoke run is not to be precise.
    """

    sizes: Sizes
    tell: Callable[[str], None]
    shares_stage: bool = False
    servers: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, list[Figure]] = field(default_factory=dict)
    costs: dict[str, Mapping[str, float]] = field(default_factory=dict)
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _shared: Stage | None = None

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @contextlib.contextmanager
    def stage(self, workers: int = WORKERS) -> Iterator[Stage]:
        """A stack that nobody used before, but for a smoke run's."""
        if self.shares_stage and workers == WORKERS:
            if self._shared is None:
                self._shared = self._known(self._open.enter_context(open_stage(workers)))
            self._shared.faults()
            yield self._shared
        else:
            with open_stage(workers) as stage:
                yield self._known(stage)

    def _known(self, stage: Stage) -> Stage:
        self.servers = self.servers or describe_servers(stage.stack)
        return stage
