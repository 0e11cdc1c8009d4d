"""`delivery messages`: find them, and read what happened to each. Imports stand inside, as in main.py."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from cli.options import AsJson, From, Limit, Until, examples, whole_id
from worker.states import State

app = typer.Typer(name="messages", help="Messages: find them, and read what happened to each.", no_args_is_help=True)

_COLUMNS = ("id", "created_at", "to", "state", "attempts", "next_attempt_at", "callback_data", "reason")
_TIMELINE = ("at", "event", "details")
_IN_THE_EVENT = ("at", "kind", "number")


@app.command(
    "list",
    epilog=examples(
        "delivery messages list --to +919876543210",
        "delivery messages list --batch BATCH --state failed --error no_final_report",
        "delivery messages list --prefix order-55 --json",
    ),
)
def list_(
    batch: Annotated[str | None, typer.Option("--batch", help="Of this batch, by its whole ID.")] = None,
    state: Annotated[State | None, typer.Option("--state", metavar="STATE", help="In this state.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="To this number.")] = None,
    callback_data: Annotated[str | None, typer.Option("--callback-data", help="With exactly this.")] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", help="With callback data that begin with this: 1 to 64 characters.")
    ] = None,
    error: Annotated[str | None, typer.Option("--error", help="With this reason, such as no_final_report.")] = None,
    journey: Annotated[str | None, typer.Option("--journey", help="Of the journey with this ID.")] = None,
    since: From = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List messages, newest first."""
    from cli.api_client import ApiClient
    from cli.tables import print_items, print_json

    query = {
        "batch": None if batch is None else whole_id(batch, "batch"),
        "state": state,
        "to": to,
        "callback_data": callback_data,
        "callback_data_prefix": prefix,
        "error": error,
        "journey": journey,
        "from": since,
        "until": until,
    }
    with ApiClient() as api:
        items = list(api.items("/v1/messages", limit, **query))
    if as_json:
        print_json({"items": items})
    else:
        print_items(_COLUMNS, items, "there is no such message")


@app.command("get", epilog=examples("delivery messages get MESSAGE"))
def get(
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="Its whole ID.")], as_json: AsJson = False
) -> None:
    """Show a message: where it stands and what happens next, then all that happened to it."""
    from cli.api_client import ApiClient
    from cli.tables import cell, print_item, print_json

    with ApiClient() as api:
        answer = api.read(f"/v1/messages/{whole_id(message, 'message')}")
    if as_json:
        print_json(answer)
        return
    print(cell("reason", answer.pop("reason")) or "The message is delivered.")
    print()
    timeline = [_told(event) for event in answer["timeline"]]
    print_item({**answer, "timeline": timeline}, {"timeline": _TIMELINE})


def _told(event: dict[str, Any]) -> dict[str, Any]:
    number = f" {event['number']}" if "number" in event and event["kind"] == "attempt" else ""
    return {"at": event["at"], "event": event["kind"].replace("_", " ") + number, "details": "; ".join(_details(event))}


def _details(event: dict[str, Any]) -> Iterable[str]:
    """What else is known: a sentence as it is, anything else with its name."""
    from cli.tables import cell, clock

    if "number" in event and event["kind"] != "attempt":
        yield f"attempt {event['number']}"
    for name, value in event.items():
        if name in _IN_THE_EVENT or value in (None, False):
            continue
        if name in ("sentence", "detail"):
            yield str(value)
        else:
            yield f"{name.replace('_', ' ')} {clock(value) if name.endswith('_at') else cell(name, value)}"
