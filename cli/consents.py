"""`delivery consents`: how people stand, said and read, and all of it as files. Imports stand inside, as in main.py."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Annotated, Any
from urllib.parse import quote

import typer

from cli.errors import CommandError
from worker.words import ConsentState

app = typer.Typer(help="Consent: what people have said of marketing.", no_args_is_help=True)

_PIECE_BYTES = 64 * 1024
_STANDING = ("credential", "state", "source", "is_blocked", "changed_at", "pending_until")
_CHANGE = ("changed_at", "credential", "state", "source", "is_blocked", "said_at", "reason", "inbound_id", "message_id")

To = Annotated[str, typer.Argument(help="A phone number with its country code.")]
AsJson = Annotated[bool, typer.Option("--json", help="The API's answer, for scripts.")]


@app.command("get")
def get(to: To, as_json: AsJson = False) -> None:
    """Show how a number stands with each credential."""
    from cli.api_client import ApiClient

    with ApiClient() as api:
        _show_person(api.read(_path(to)), as_json)


@app.command("set")
def set_(
    to: To,
    credential: Annotated[str, typer.Option("--credential", help="By name or id.")],
    state: Annotated[ConsentState, typer.Option("--state")],
    note: Annotated[str | None, typer.Option("--note", help="Why: kept in the history.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="When it was said, with its offset: a later opt-out then stands.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how a number stands with a credential."""
    from cli.api_client import ApiClient

    with ApiClient() as api:
        answer = api.write("PUT", _path(to), {"credential": credential, "state": state, "note": note, "at": at})
    _show_person(answer, as_json)


@app.command("history")
def history(to: To, as_json: AsJson = False) -> None:
    """Show all that was ever said of a number, newest first."""
    from cli.api_client import ApiClient
    from cli.tables import print_json, print_table

    with ApiClient() as api:
        items = list(api.items(_path(to) + "/history"))
    if as_json:
        print_json({"items": items})
    else:
        print_table(_CHANGE, items)


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(help="NDJSON, or CSV with a header; - for standard input.")],
    credential: Annotated[
        str | None, typer.Option("--credential", help="By name or id, for the rows that name none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Apply a file of consent: rows with to, state and, where known, credential, at and note. Exit code 1 where rows
    were rejected."""
    from cli.api_client import ApiClient
    from cli.tables import print_json

    with ApiClient() as api, _opened(file) as source:
        first = source.read(_PIECE_BYTES)
        is_json = first.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
        media_type = "application/x-ndjson" if is_json else "text/csv"
        with _progress(source) as moved:
            report = api.upload("/v1/consents/import", _pieces(first, source, moved), media_type, credential=credential)
    if as_json:
        print_json(report)
    else:
        _show_report(report)
    raise typer.Exit(1 if report["rejected_count"] else 0)


@app.command("export")
def export(
    file: Annotated[str, typer.Argument(help="Where to; - for standard output.")] = "-",
    credential: Annotated[
        str | None, typer.Option("--credential", help="By name or id; without it, of all credentials.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="ndjson or csv.")] = "ndjson",
) -> None:
    """Write all consent with its history. Such a file can be imported."""
    from cli.api_client import ApiClient

    with (
        ApiClient() as api,
        _written(file) as target,
        api.download("/v1/consents/export", credential=credential, format=form) as pieces,
    ):
        for piece in pieces:
            target.write(piece)


def _path(to: str) -> str:
    return f"/v1/consents/{quote(to, safe='')}"


def _show_person(answer: dict[str, Any], as_json: bool) -> None:
    from cli.tables import print_json, print_table

    if as_json:
        print_json(answer)
    elif answer["items"]:
        print_table(_STANDING, answer["items"])
    else:
        print(f"nothing is known of {answer['to']}")


def _show_report(report: dict[str, Any]) -> None:
    from cli.tables import print_table

    counts = ", ".join(f"{report[name]} {name}" for name in ("changed", "unchanged", "kept"))
    print(f"{report['rows']} rows: {counts}, {report['rejected_count']} rejected")
    for heading, columns in (("kept_rows", ("line", "to", "reason")), ("rejected", ("line", "to", "field", "reason"))):
        rows = report[heading]
        if rows:
            count = report["kept" if heading == "kept_rows" else "rejected_count"]
            print(f"\n{heading.removesuffix('_rows')}{f', the first {len(rows)}' if len(rows) < count else ''}:")
            print_table(columns, rows)


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        source = Path(file).open("rb")  # noqa: SIM115 - closed below; only the opening is ours to explain
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}") from error
    with source:
        yield source


@contextmanager
def _written(file: str) -> Iterator[IO[bytes]]:
    """The file appears once it is whole. A pipe or a device is written as it is."""
    path = Path(file)
    try:
        if file == "-":
            with _standard_output() as target:
                yield target
        elif path.is_dir():
            raise CommandError(f"cannot write {file}: it is a directory, name a file in it")
        elif path.exists() and not path.is_file():
            with path.open("wb") as target:
                yield target
        else:
            part = path.with_name(path.name + ".part")
            try:
                with part.open("wb") as target:
                    yield target
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        name = "standard output" if file == "-" else file
        raise CommandError(f"cannot write {name}: {error.strerror}") from error


@contextmanager
def _standard_output() -> Iterator[IO[bytes]]:
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError:
        # What is left in the buffer goes nowhere: Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _pieces(first: bytes, source: IO[bytes], moved: Any) -> Iterator[bytes]:
    for piece in chain([first], iter(lambda: source.read(_PIECE_BYTES), b"")):
        yield piece
        moved(len(piece))  # the API has taken it


@contextmanager
def _progress(source: IO[bytes]) -> Iterator[Any]:
    """Gives what is told how many bytes went. Drawn on a terminal only; the API reads as fast as it applies."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    size = None if source is sys.stdin.buffer else os.fstat(source.fileno()).st_size or None  # 0: a pipe
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=size)
        yield lambda count: progress.advance(task, count)
