"""`delivery batches`: how far each is, and a hand on those that run. Imports stand inside, as in main.py."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from cli.errors import CommandError
from cli.options import AsJson, BatchId, From, Limit, Until, Yes, completed, confirm, examples, say, whole_id
from worker.states import WAITING

app = typer.Typer(
    name="batches", help="Batches: find them, wait for them, pause, resume, cancel, reschedule.", no_args_is_help=True
)

_COLUMNS = ("id", "created_at", "surface", "state", "total", "counts", "journey", "callback_data")
_STATES = ("scheduled", "running", "paused", "cancelled", "done")
_REASONS = ("count", "reason", "sentence")
_REJECTED = ("index", "to", "field", "reason")

BatchIds = Annotated[list[str], typer.Argument(metavar="BATCH...", help="Their whole IDs.")]
Validity = Annotated[str | None, typer.Option("--validity", help="How long a message is worth sending, such as PT6H.")]


class Form(StrEnum):
    CSV = "csv"
    TABLE = "table"


@app.command(
    "list",
    epilog=examples("delivery batches list --state running,paused", "delivery batches list --journey spring-sale"),
)
def list_(
    state: Annotated[
        str | None,
        typer.Option(
            "--state",
            metavar="STATE,...",
            help="In one of these: scheduled, running, paused, cancelled, done.",
            autocompletion=completed(_STATES),
        ),
    ] = None,
    journey: Annotated[str | None, typer.Option("--journey", help="Of the journey with this ID.")] = None,
    callback_data: Annotated[str | None, typer.Option("--callback-data", help="With exactly this.")] = None,
    surface: Annotated[str | None, typer.Option("--surface", help="Through this one, by name or id.")] = None,
    since: From = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List batches, newest first."""
    from cli.api_client import ApiClient
    from cli.tables import print_items, print_json

    query = {"state": state, "journey": journey, "callback_data": callback_data, "surface": surface}
    query |= {"from": since, "until": until}
    with ApiClient() as api:
        items = list(api.items("/v1/batches", limit, **query))
    if as_json:
        print_json({"items": items})
    else:
        print_items(_COLUMNS, items, "there is no such batch")


@app.command("get", epilog=examples("delivery batches get BATCH"))
def get(batch: BatchId, as_json: AsJson = False) -> None:
    """Show a batch: how many messages are in which state, and why those ended that were not delivered."""
    from cli.api_client import ApiClient
    from cli.tables import print_json

    with ApiClient() as api:
        answer = api.read(_path(batch))
    if as_json:
        print_json(answer)
    else:
        show(answer)


@app.command("pause", epilog=examples("delivery batches pause BATCH"))
def pause(batches: BatchIds, as_json: AsJson = False) -> None:
    """Hold back what has not left yet. What is on its way to Infobip ends as it would."""
    _steer(batches, "pause", as_json)


@app.command("resume", epilog=examples("delivery batches resume BATCH"))
def resume(batches: BatchIds, as_json: AsJson = False) -> None:
    """Let paused batches go on where they stopped; their validity has run meanwhile."""
    _steer(batches, "resume", as_json)


@app.command("cancel", epilog=examples("delivery batches cancel BATCH", "delivery batches cancel BATCH --yes"))
def cancel(batches: BatchIds, is_confirmed: Yes = False, as_json: AsJson = False) -> None:
    """End what has not left yet, for good. Asks first, and says how many messages wait."""
    from cli.api_client import ApiClient

    if not is_confirmed:
        with ApiClient() as api:
            for batch in batches:
                found = api.read(_path(batch))
                waiting = sum(found["counts"].get(state, 0) for state in WAITING)
                say(f"{found['id']}: {waiting:,} of {found['total']:,} messages wait, and would never be sent")
    confirm(f"Cancel {'this batch' if len(batches) == 1 else f'these {len(batches)} batches'}?", is_confirmed)
    _steer(batches, "cancel", as_json)


@app.command("reschedule", epilog=examples("delivery batches reschedule BATCH --send-at 2027-01-31T09:00:00+05:30"))
def reschedule(
    batch: BatchId,
    send_at: Annotated[str, typer.Option("--send-at", help="A time with its offset; the past means now.")],
    validity: Validity = None,
    as_json: AsJson = False,
) -> None:
    """Move what has not left yet to another time; its validity counts from then."""
    body = {"send_at": send_at} | ({} if validity is None else {"validity_period": validity})
    _steer([batch], "reschedule", as_json, body)


@app.command(
    "rejected", epilog=examples("delivery batches rejected BATCH", "delivery batches rejected BATCH rejected.csv")
)
def rejected(
    batch: BatchId,
    file: Annotated[
        str | None, typer.Argument(help="Where to write all of them as CSV; - for standard output.")
    ] = None,
    form: Annotated[Form | None, typer.Option("--format", help="A table shows the first of them.")] = None,
    limit: Limit = 1_000,
    as_json: AsJson = False,
) -> None:
    """Show the rows of a batch that were left out, and why, or write them to a file."""
    from cli.api_client import ApiClient
    from cli.files import written
    from cli.tables import print_items, print_json

    if file is not None and form == Form.TABLE:
        raise CommandError("a file is written as CSV: leave out --format table, or the file")
    path = f"{_path(batch)}/rejected"
    with ApiClient() as api:
        if file is not None or form == Form.CSV:
            with written(file or "-") as target, api.download(path, format="csv") as pieces:
                for piece in pieces:
                    target.write(piece)
            return
        items = list(api.items(path, limit))
    if as_json:
        print_json({"items": items})
    else:
        print_items(_REJECTED, items, "no row was rejected")


@app.command("wait", epilog=examples("delivery batches wait BATCH"))
def wait(batch: BatchId, as_json: AsJson = False) -> None:
    """Wait until every message of a batch is final. Exit code 0: all delivered; 4: some were not."""
    from cli.api_client import ApiClient
    from cli.tables import print_json
    from cli.waiting import exit_code, wait_for_batch

    with ApiClient() as api:
        ended = wait_for_batch(api, whole_id(batch, "batch"))
    if as_json:
        print_json(ended)
    else:
        show(ended)
    raise typer.Exit(exit_code(ended))


def show(batch: dict[str, Any]) -> None:
    """A batch as people read it."""
    from cli.tables import print_item
    from worker.sentences import explain

    reasons = [{**reason, "sentence": _other_words(explain(reason["reason"]), reason)} for reason in batch["reasons"]]
    print_item({**batch, "reasons": reasons}, {"reasons": _REASONS})


def _other_words(sentence: str, reason: dict[str, Any]) -> str | None:
    return None if sentence == reason["reason"] else sentence


def _path(batch: str) -> str:
    return f"/v1/batches/{whole_id(batch, 'batch')}"


def _steer(batches: Sequence[str], step: str, as_json: bool, body: Any = None) -> None:
    """One after the other; what one of them cannot do keeps no other from it. Exit code 1 where one could not."""
    from cli.api_client import ApiClient
    from cli.tables import print_json_line
    from cli.waiting import in_words

    paths = [_path(batch) for batch in batches]
    failed = 0
    with ApiClient() as api:
        for path in paths:
            try:
                answer = api.write("POST", f"{path}/{step}", body)
            except CommandError as error:
                if len(paths) == 1:
                    raise
                failed += 1
                say(f"delivery: {path.rpartition('/')[2]}: {error}")
                continue
            if as_json:
                print_json_line(answer)
            else:
                print(f"{answer['id']} {in_words(answer)}")
    if failed:
        raise typer.Exit(1)
