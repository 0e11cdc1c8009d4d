"""The lines of the send path between which a process may die, by name.

Nothing happens at them, but for the tests that kill a process at each in turn and look at what becomes of its messages
(tests/chaos). What follows a death at each stands in docs/architecture.md.
"""

from collections.abc import Callable
from enum import StrEnum


class Boundary(StrEnum):
    """In the order in which a submission passes them; each `written` is the moment before the commit of that name. What
    is released unsent passes all of the first five but `answer received`."""

    CLAIM_WRITTEN = "claim written"  # messages, attempts, submission; first attempts and resubmissions alike
    CLAIM_COMMITTED = "claim committed"  # next: the request
    ANSWER_RECEIVED = "answer received"  # or an error; nothing of it is written yet
    ANSWER_WRITTEN = "answer written"
    ANSWER_COMMITTED = "answer committed"
    LEASE_WRITTEN = "lease written"  # an abandoned submission, its attempts in doubt
    LEASE_COMMITTED = "lease committed"
    LOOK_TAKEN = "look taken"  # committed; next: Infobip's logs
    LOGS_READ = "logs read"
    LOOK_WRITTEN = "look written"  # what the logs tell, and what follows for what they do not show
    LOOK_COMMITTED = "look committed"


def _pass_by(_: Boundary) -> None:
    return


_observer: Callable[[Boundary], None] = _pass_by


def observe(observer: Callable[[Boundary], None]) -> None:
    """Have `observer` called at each boundary that this process, and those it forks from now on, reach."""
    global _observer
    _observer = observer


def reached(boundary: Boundary) -> None:
    _observer(boundary)
