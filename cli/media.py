"""`delivery media`: files for MMS, up to Infobip. Imports stand inside, as in main.py."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import typer

from cli.options import AsJson, Limit, examples
from worker.media_rules import MOST_BYTES, TYPES, WHAT_CARRIERS_TAKE

app = typer.Typer(name="media", help="Files for MMS: pictures, sound and film, kept by Infobip.", no_args_is_help=True)

_PATH = "/v1/media"
_COLUMNS = ("id", "name", "content_type", "bytes", "credential", "expires_at")
_PIECE_BYTES = 64 * 1024
_MOST_SILENT_BYTES = 256 * 1024  # what is larger has a bar


@app.command(
    "upload",
    epilog=examples(
        "delivery media upload sale.jpg --credential kite",
        "delivery media upload banner --credential kite --content-type image/png --name banner.png",
    ),
)
def upload(
    file: Annotated[str, typer.Argument(help="The file; - for standard input.")],
    credential: Annotated[
        str, typer.Option("--credential", help="Its account gets the file, and its surfaces may send it.")
    ],
    content_type: Annotated[
        str | None,
        typer.Option("--content-type", help="Such as image/jpeg.", show_default="by the file's name"),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="For people.", show_default="the file's")] = None,
    content_id: Annotated[
        str | None, typer.Option("--content-id", help="What SMIL calls it: letters, digits and dots, at most 20.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Upload a file and show its ID, which `--picture` of `delivery send` takes. The same command again shows the same
    ID and uploads nothing, for as long as its key is kept."""
    from pathlib import Path

    from cli.api_client import ApiClient
    from cli.options import say
    from cli.tables import print_item, print_json

    content = _read(file)
    query = {
        "credential": credential,
        "name": name or (None if file == "-" else Path(file).name),
        "content_id": content_id,
    }
    media_type = content_type or _guess(query["name"] or "")
    with ApiClient() as api, _uploading(len(content)) as moved:
        path = _path_of(query)
        key = _key_of(path, media_type, content)
        answer = api.create(path, key, lambda: _pieces(content, moved), say, media_type).answer
    if as_json:
        print_json(answer)
        return
    print_item({field: value for field, value in answer.items() if field != "warnings"})
    for warning in answer["warnings"]:
        say(f"the file {warning}")


@app.command("list", epilog=examples("delivery media list"))
def list_media(limit: Limit = 100, as_json: AsJson = False) -> None:
    """List uploaded files, newest first."""
    from cli.api_client import ApiClient
    from cli.tables import print_items, print_json

    with ApiClient() as api:
        items = list(api.items(_PATH, most=limit))
    if as_json:
        print_json({"items": items})
    else:
        print_items(_COLUMNS, items, "no file was uploaded yet")


def _read(file: str) -> bytes:
    """Errors: CommandError, also of one that no MMS can carry."""
    from cli.errors import CommandError
    from cli.files import opened

    with opened(file) as source:
        content = source.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise CommandError(f"{file} has more than {MOST_BYTES:,} bytes. Make it smaller: {WHAT_CARRIERS_TAKE}")
    return content


def _guess(name: str) -> str:
    """Errors: CommandError, where the name tells nothing."""
    import mimetypes

    from cli.errors import CommandError

    guessed, _ = mimetypes.guess_type(name)
    if guessed is None:
        raise CommandError(f"the name {name!r} does not tell its type: give --content-type, one of {', '.join(TYPES)}")
    return guessed


def _path_of(query: Mapping[str, str | None]) -> str:
    from urllib.parse import urlencode

    return f"{_PATH}?{urlencode({name: value for name, value in query.items() if value is not None})}"


def _key_of(path: str, media_type: str, content: bytes) -> str:
    """The same for the same file, uploaded in the same way."""
    from hashlib import sha256

    whole = sha256(f"{path}\n{media_type}\n".encode())
    whole.update(content)
    return f"media-{whole.hexdigest()}"


@contextmanager
def _uploading(size: int) -> Iterator[Callable[[int], None]]:
    """Gives what is told how many bytes have gone."""
    if size <= _MOST_SILENT_BYTES:
        yield lambda _: None
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn

    from cli.send_view import progress_bar

    with progress_bar(TextColumn("uploading"), BarColumn(), DownloadColumn()) as progress:
        task = progress.add_task("", total=size)
        yield lambda gone: progress.update(task, completed=gone)


def _pieces(content: bytes, moved: Callable[[int], None]) -> Iterator[bytes]:
    for start in range(0, len(content), _PIECE_BYTES):
        yield content[start : start + _PIECE_BYTES]
        moved(min(start + _PIECE_BYTES, len(content)))
