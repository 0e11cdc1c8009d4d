"""What commands have in common: options, examples in their help, completion of closed sets, a question before a step
that cannot be taken back."""

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Annotated
from uuid import UUID

import typer

from cli.errors import CommandError
from cli.tables import printable

AsJson = Annotated[bool, typer.Option("--json", help="The API's answer, for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Most shown.")]
From = Annotated[str | None, typer.Option("--from", help="Not before this time, such as 2027-01-31T09:00:00Z.")]
Until = Annotated[str | None, typer.Option("--until", help="Before this time.")]
BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="Its whole ID.")]

_LONGEST_KEY = 255

SET_UP, RUN, SEND, LOOK, STEER = "Set up", "Run", "Send", "Look", "Steer"  # panels of `delivery --help`


def examples(*commands: str) -> str:
    """The end of a command's help."""
    return "\n".join(["Example:" if len(commands) == 1 else "Examples:", *(f"$ {command}" for command in commands)])


def completed(words: Iterable[str]) -> Callable[[str], list[str]]:
    """For an option of such words: what the shell offers, also after a comma."""
    known = list(words)

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [before + comma + word for word in known if word.startswith(last)]

    return complete


def whole_id(text: str, noun: str) -> str:
    """An ID for a path. Errors: CommandError."""
    try:
        return str(UUID(text))
    except ValueError as error:
        raise CommandError(f"{text!r} is not the ID of a {noun}: give it whole, as lists show it") from error


def checked_key(key: str | None) -> str | None:
    """An idempotency key of the caller's own, as HTTP and the API take it. Errors: BadParameter."""
    if key is None or (key.isascii() and key.isprintable() and key == key.strip() and 1 <= len(key) <= _LONGEST_KEY):
        return key
    raise typer.BadParameter(f"must be 1 to {_LONGEST_KEY} printable ASCII characters; leave it out for one of ours")


def confirm(question: str, is_confirmed: bool) -> None:
    """Asks, on standard error. Errors: CommandError where nobody is there to be asked; typer.Abort for a no."""
    if is_confirmed:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CommandError("there is no terminal to ask on: give --yes to do it without being asked")
    typer.confirm(question, abort=True, err=True)


def say(words: str) -> None:
    """A remark beside what the command prints. Files and providers may have written parts of it."""
    if sys.stderr is not None:
        with suppress(OSError):  # nobody is left to be told
            print(printable(words), file=sys.stderr, flush=True)
