"""Waiting for what the API works on: a batch until its end, and the API itself while it is away."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import typer

from cli.api_client import ApiAway, ApiClient
from cli.options import say
from cli.tables import printable
from worker.states import LIVE, State

SOME_UNDELIVERED = 4  # the exit code
INTERRUPTED = 130
_FIRST_LOOK_SECONDS, _LOOK_SECONDS = 0.2, 2.0
_AWAY_SECONDS = 1.0

T = TypeVar("T")


def patiently(call: Callable[[], T]) -> T:
    """What a call gives, asked again for as long as the API is away. Both ends of that are said."""
    is_away = False
    while True:
        try:
            value = call()
        except ApiAway as error:
            if not is_away:
                say(f"{error}; asking again until it answers")
            is_away = True
            time.sleep(_AWAY_SECONDS)
            continue
        if is_away:
            say("the API answers again")
        return value


@contextmanager
def interruptible(words: str) -> Iterator[None]:
    """What follows something that is done: Ctrl-C ends it with these words, and undoes nothing."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"delivery: {words}")
        raise typer.Exit(INTERRUPTED) from None


def wait_for_batch(api: ApiClient, batch_id: str) -> dict[str, Any]:
    """The batch once each of its messages is final. Progress is drawn on a terminal; a pause is said."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False, markup=False)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    batch = api.read(f"/v1/batches/{batch_id}")
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=batch["total"])
        pause, seconds = _pause(batch), _FIRST_LOOK_SECONDS
        while True:
            progress.update(task, completed=batch["total"] - live_count(batch), description=_in_colours(batch))
            if pause:
                progress.console.print(pause) if console.is_terminal else say(pause)
            if not live_count(batch):
                return dict(batch)
            time.sleep(seconds)
            seconds = min(1.5 * seconds, _LOOK_SECONDS)
            before = _pause(batch)
            batch = patiently(lambda: api.read(f"/v1/batches/{batch_id}"))
            pause = None if _pause(batch) == before else _pause(batch)


def live_count(batch: dict[str, Any]) -> int:
    """How many messages are not final."""
    return sum(batch["counts"].get(state, 0) for state in LIVE)


def exit_code(batch: dict[str, Any]) -> int:
    return 0 if batch["counts"].get(State.DELIVERED, 0) == batch["total"] else SOME_UNDELIVERED


def in_words(batch: dict[str, Any]) -> str:
    from cli.tables import counted

    return f"{batch['state']}: {counted(batch['counts']) or 'no messages'}"


def _in_colours(batch: dict[str, Any]) -> str:
    """The same as markup."""
    from cli.tables import COLOURS

    counts = [f"[{COLOURS[state]}]{count:,} {state}[/]" for state, count in batch["counts"].items() if count]
    return f"{batch['state']}: {', '.join(counts) or 'no messages'}"


def _pause(batch: dict[str, Any]) -> str | None:
    """What to say of a batch that does not go on by itself."""
    if batch["state"] != "paused":
        return None
    reason = batch["pause_reason"] or "a person paused it"
    return printable(f"the batch is paused ({reason}): `delivery batches resume {batch['id']}` lets it go on")
