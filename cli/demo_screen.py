"""The terminal while a demo runs: a live view where it can draw one, plain lines elsewhere."""

import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console, RenderableType
from rich.live import Live

from cli import demo_view as view
from cli.demo_plan import Plan
from cli.demo_progress import Progress

_LINE_SECONDS = 1.0
_FRAMES_A_SECOND = 8


class Notes(io.StringIO):
    """What the supervisor says while the screen belongs to the live view."""

    @property
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()

    @property
    def worth_telling(self) -> list[str]:
        """Deaths and warnings, not where the logs are."""
        return [line for line in self.lines if view.is_news(line)]


def demo_console() -> Console:
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # an ASCII terminal shows ?
    return Console(highlight=False, markup=False, emoji=False, force_terminal=None if sys.stdout.isatty() else False)


def _is_live(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal


@contextlib.contextmanager
def captured_stderr(console: Console) -> Iterator[Notes]:
    """On a live screen the supervisor's lines become notes; elsewhere they go where they always go."""
    notes = Notes()
    if not _is_live(console):
        yield notes
        return
    with contextlib.redirect_stderr(notes):
        yield notes


@contextlib.contextmanager
def shown_progress(console: Console, progress: Progress, plan: Plan, notes: Notes) -> Iterator[Callable[[], None]]:
    """Gives what is to be called often. The live view draws itself from a thread of its own, and goes away at the end;
    without a terminal a line is printed each second."""
    if _is_live(console):

        def draw() -> RenderableType:
            progress.notes = notes.lines
            return view.live_view(progress.snapshot(), plan)

        live = Live(
            get_renderable=draw,
            console=console,
            refresh_per_second=_FRAMES_A_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with live:
            yield lambda: None
        return
    print_at = 0.0

    def line() -> None:
        nonlocal print_at
        if time.monotonic() >= print_at:
            print_at = time.monotonic() + _LINE_SECONDS
            console.print(view.progress_line(progress.snapshot()), soft_wrap=True)

    yield line
    print_at = 0.0
    line()


@contextlib.contextmanager
def status(console: Console, words: str) -> Iterator[None]:
    if _is_live(console):
        with console.status(f" {words}"):
            yield
    else:
        yield
