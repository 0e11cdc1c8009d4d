"""`delivery consents`: how people stand, said and read, and all of it as files. Imports stand inside, as in main.py."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import IO, Annotated, Any
from urllib.parse import quote

import typer

from cli.options import AsJson, examples
from worker.words import ConsentState

app = typer.Typer(name="consents", help="Consent: what people have said of marketing.", no_args_is_help=True)

_PIECE_BYTES = 64 * 1024
_STANDING = ("credential", "state", "source", "is_blocked", "changed_at", "pending_until")
_CHANGE = ("changed_at", "credential", "state", "source", "is_blocked", "said_at", "reason", "inbound_id", "message_id")

To = Annotated[str, typer.Argument(help="A phone number with its country code.")]


@app.command("get", epilog=examples("delivery consents get +919876543210"))
def get(to: To, as_json: AsJson = False) -> None:
    """Show how a number stands with each credential."""
    from cli.api_client import ApiClient

    with ApiClient() as api:
        _show_person(api.read(_path(to)), as_json)


@app.command(
    "set",
    epilog=examples(
        'delivery consents set +919876543210 --credential kite --state opted_out --note "said so by phone"'
    ),
)
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


@app.command("history", epilog=examples("delivery consents history +919876543210"))
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


@app.command(
    "import",
    epilog=examples(
        "delivery consents import consents.csv --credential kite",
        "delivery consents import - --json",
    ),
)
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
    from cli.files import opened
    from cli.tables import print_json

    with ApiClient() as api, opened(file) as source:
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


@app.command("export", epilog=examples("delivery consents export consents.csv --credential kite --format csv"))
def export(
    file: Annotated[str, typer.Argument(help="Where to; - for standard output.")] = "-",
    credential: Annotated[
        str | None, typer.Option("--credential", help="By name or id; without it, of all credentials.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="ndjson or csv.")] = "ndjson",
) -> None:
    """Write all consent with its history. Such a file can be imported."""
    from cli.api_client import ApiClient
    from cli.files import written

    with (
        ApiClient() as api,
        written(file) as target,
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
