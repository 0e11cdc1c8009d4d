"""What stands in for the rates, for the budget of the logs, and for death."""

from collections.abc import Callable
from uuid import UUID

from worker import boundaries
from worker.boundaries import Boundary
from worker.rates import Grant


class EveryToken:
    """Rates without a limit."""

    def take(self, _: UUID, __: int | None, most: int, ___: str) -> Grant:
        return Grant(most)

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_, **__: None


class Budget:
    """Calls of the logs: granted, unless a step says how many are left."""

    left: int | None = None

    def take(self, _: str, *, is_for_doubts: bool) -> float:
        if self.left is None:
            return 0.0
        self.left -= 1
        return 0.0 if self.left >= 0 else 60.0

    def overdrawn(self, _: str, seconds: float) -> None:
        self.left = 0


class Killed(BaseException):
    """The process died."""


def until_death(work: Callable[[], object], dies_at: Boundary | None) -> None:
    """Do this; at the boundary, if it gets there, the process dies."""

    def observe(boundary: Boundary) -> None:
        if boundary is dies_at:
            raise Killed

    boundaries.observe(observe)
    try:
        work()
    except Killed:
        pass
    finally:
        boundaries.observe(lambda _: None)
