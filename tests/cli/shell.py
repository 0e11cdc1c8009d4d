"""What a command did, as a shell sees it."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Delivery = Callable[..., Done]


def failure(done: Done) -> str:
    """The one line."""
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("delivery: ")
    assert done.err.count("\n") == 1
    return done.err.removeprefix("delivery: ")
