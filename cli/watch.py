"""`delivery watch`: what goes on, for as long as somebody looks. Imports stand inside, as in main.py."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import CommandError
from cli.options import AsJson, examples, say, whole_id

if TYPE_CHECKING:
    from cli.watching import Seen

EXAMPLES = examples("delivery watch", "delivery watch --batch BATCH", "delivery watch --once --json")

_FRAMES_A_SECOND = 4
Told = Callable[["Seen | None", str | None], None]


def watch(
    batch: Annotated[str | None, typer.Option("--batch", help="This one alone, until it is over.")] = None,
    interval: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds from one look to the next.")] = 1.0,
    is_once: Annotated[bool, typer.Option("--once", help="One look, and no more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Watch lanes, running batches and failures; leave it open as long as you like, Ctrl-C ends it.

    On a terminal it is drawn; elsewhere each look is a line, with --json an object a line.
    """
    from cli.api_client import ApiClient
    from cli.tables import terminal
    from cli.watching import Watch

    watched = Watch(None if batch is None else whole_id(batch, "batch"))
    console = None if as_json else terminal()
    with ApiClient() as api:
        if is_once:
            _show_once(watched.look(api, time.monotonic()), watched, console, as_json=as_json)
            return
        try:
            with _drawn(console, watched) if console else _printed(as_json) as told:
                _look_on(api, watched, interval, told)
        except KeyboardInterrupt:
            return


def _look_on(api: Any, watched: Any, interval: float, told: Told) -> None:
    """Look after look; with a batch alone, until that is over. The API may go away meanwhile, and what it refuses at
    the first look alone ends it. Errors: CommandError."""
    from cli.api_client import ApiAway
    from cli.tables import printable
    from cli.watching import is_over

    has_seen = False
    while True:
        began = time.monotonic()
        try:
            seen = watched.look(api, began)
        except CommandError as error:
            if not (has_seen or isinstance(error, ApiAway)):
                raise
            told(None, printable(str(error)))
        else:
            has_seen = True
            told(seen, None)
            if watched.batch_id is not None and is_over(seen.batches[0]):
                return
        time.sleep(max(0.0, began + interval - time.monotonic()))


@contextmanager
def _drawn(console: Any, watched: Any) -> Iterator[Told]:
    """The terminal belongs to the view, which draws itself from a thread of its own; afterwards it is as it was."""
    from rich.live import Live
    from rich.text import Text

    from cli.watch_view import batch_view, watch_view

    latest: list[tuple[Seen | None, str | None]] = [(None, None)]

    def draw() -> Any:
        seen, trouble = latest[0]
        if seen is None:
            return Text(f" {trouble}; asking again" if trouble else " looking", "bold yellow" if trouble else "dim")
        return (watch_view if watched.batch_id is None else batch_view)(seen, console.width, trouble)

    def told(seen: "Seen | None", trouble: str | None) -> None:
        latest[0] = (seen or latest[0][0], trouble)

    try:
        with Live(get_renderable=draw, console=console, refresh_per_second=_FRAMES_A_SECOND, screen=True):
            yield told
    finally:
        if latest[0][0] is not None:
            console.print(draw())  # what was seen last stays


@contextmanager
def _printed(as_json: bool) -> Iterator[Told]:
    """Both ends of the API's absence are said on standard error."""
    from cli.watch_view import watch_line

    is_away = False

    def told(seen: "Seen | None", trouble: str | None) -> None:
        nonlocal is_away
        if seen is None:
            if not is_away:
                say(f"{trouble}; asking again until it answers")
            is_away = True
            return
        if is_away:
            say("the API answers again")
        is_away = False
        _print_line(seen) if as_json else print(watch_line(seen), flush=True)

    yield told


def _show_once(seen: "Seen", watched: Any, console: Any, *, as_json: bool) -> None:
    from cli.tables import print_json, print_table
    from cli.watch_view import LANE_ROW, batch_view, lane_rows, watch_line, watch_view

    if as_json:
        print_json(_as_json(seen))
    elif console is not None:
        console.print((watch_view if watched.batch_id is None else batch_view)(seen, console.width))
    elif watched.batch_id is not None:
        print(watch_line(seen))
    else:
        print_table(LANE_ROW, lane_rows(seen))


def _print_line(seen: "Seen") -> None:
    from cli.tables import print_json_line

    print_json_line(_as_json(seen))


def _as_json(seen: "Seen") -> dict[str, Any]:
    """The API's items, each with its rate; null where there was no look before."""
    return {
        "at": seen.at.isoformat(),
        "ended_per_second": seen.rate,
        **{
            name: [{**item, "ended_per_second": seen.rates.get(item["id"])} for item in items]
            for name, items in (("lanes", seen.lanes), ("batches", seen.batches))
        },
        "reasons": [{"reason": reason, "count": count} for reason, count in seen.reasons],
        "reason_seconds": seen.reason_seconds,
    }
