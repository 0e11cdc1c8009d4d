"""`delivery worker`, in a process that dies where a test orders it to.

An order is a file in the folder CHAOS_ORDERS, named for a boundary; in it stands who dies: the pool process that gets
there, or its whole group. Whoever renames the file carries the order out, so it is carried out once.
"""

import os
import signal
from enum import StrEnum
from pathlib import Path

from cli import main
from worker import boundaries
from worker.boundaries import Boundary

ORDERS = "CHAOS_ORDERS"


class Victim(StrEnum):
    PROCESS = "process"
    GROUP = "group"


def order(folder: Path, boundary: Boundary, victim: Victim) -> None:
    """Have the next process die that reaches this boundary."""
    draft = folder / f"{boundary.name}.draft"
    draft.write_text(victim)
    draft.rename(folder / boundary.name)


def is_carried_out(folder: Path, boundary: Boundary) -> bool:
    return not (folder / boundary.name).exists()


def withdraw(folder: Path, boundary: Boundary) -> None:
    (folder / boundary.name).unlink(missing_ok=True)


def _die_where_ordered(boundary: Boundary) -> None:
    standing = Path(os.environ[ORDERS]) / boundary.name
    mine = standing.with_suffix(f".{os.getpid()}")
    try:
        standing.rename(mine)
    except FileNotFoundError:
        return
    if Victim(mine.read_text()) is Victim.GROUP:
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    boundaries.observe(_die_where_ordered)
    main.run()
