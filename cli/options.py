"""What commands have in common: options, examples in their help, completion of closed sets, a question before a step
that cannot be taken back."""

import sys
from collections.abc import Callable, Iterable
from typing import Annotated
from uuid import UUID

import typer

from cli.errors import CommandError

AsJson = Annotated[bool, typer.Option("--json", help="The API's answer, for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Most shown.")]
From = Annotated[str | None, typer.Option("--from", help="Not before this time, such as 2027-01-31T09:00:00Z.")]
Until = Annotated[str | None, typer.Option("--until", help="Before this time.")]
BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="Its whole ID.")]

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


def confirm(question: str, is_confirmed: bool) -> None:
    """Asks, on standard error. Errors: CommandError where nobody is there to be asked; typer.Abort for a no."""
    if is_confirmed:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CommandError("there is no terminal to ask on: give --yes to do it without being asked")
    typer.confirm(question, abort=True, err=True)


def say(words: str) -> None:
    """A remark beside what the command prints."""
    print(words, file=sys.stderr, flush=True)
