"""`delivery event-endpoints`: where events are pushed to. Imports stand inside, as in main.py."""

from typing import Annotated, Any

import typer

from cli.events import KINDS
from cli.options import AsJson, Limit, Yes, confirm, examples
from cli.resources import Field, Name, Resource, add_commands

app = typer.Typer(
    name="event-endpoints", help="Event endpoints: addresses that are told what happens.", no_args_is_help=True
)

ENDPOINT = Resource(
    noun="event endpoint",
    path="/v1/event-endpoints",
    fields=(
        Field("name", "What people call it.", is_needed=True),
        Field("url", "Where its events are posted to, with https.", is_needed=True),
        Field("types", "What it is told, such as message.failed or lane. None: everything.", list, words=KINDS),
        Field("after", "Begin after this cursor of the feed. Unless given: from now on.", is_fixed=True),
        Field("from", "Begin with what was told at this time.", is_fixed=True),
    ),
    columns=("name", "url", "types", "state", "backlog", "failures", "next_try_at", "disabled_reason"),
    example="journeys",
    create_example="--name journeys --url https://example.com/events --types message,inbound",
    update_example="--types message.failed,message.expired",
)
_OF_A_TRY = {"try_at": "at", "status": "status_code", "error": "error"}
_DELIVERIES = ("id", "created_at", "state", "event_count", "tries", "last_try_at", "last_status", "last_error")

add_commands(app, ENDPOINT)


@app.command("enable", epilog=examples("delivery event-endpoints enable journeys"))
def enable(name: Name, as_json: AsJson = False) -> None:
    """Push to a disabled endpoint again, from where it stopped."""
    _do(name, "enable", as_json)


@app.command("disable", epilog=examples("delivery event-endpoints disable journeys"))
def disable(name: Name, as_json: AsJson = False) -> None:
    """Push nothing to an endpoint until it is enabled again."""
    _do(name, "disable", as_json)


@app.command(
    "redeliver",
    epilog=examples(
        "delivery event-endpoints redeliver journeys --from 2027-01-31T09:00:00Z",
        "delivery event-endpoints redeliver journeys --after CURSOR",
    ),
)
def redeliver(
    name: Name,
    after: Annotated[str | None, typer.Option("--after", help="With what follows this cursor of the feed.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="With what was told at this time or later.")] = None,
    as_json: AsJson = False,
) -> None:
    """Go on from another place of the feed, at once. What is told again has the event IDs that it had."""
    given = {"after": after, "from": since}
    _do(name, "redeliver", as_json, {field: value for field, value in given.items() if value is not None})


@app.command("rotate-secret", epilog=examples("delivery event-endpoints rotate-secret journeys"))
def rotate_secret(name: Name, is_confirmed: Yes = False, as_json: AsJson = False) -> None:
    """Make another secret and show it, this once. For a day the one before it signs too."""
    confirm(f"Make another secret for {name}?", is_confirmed)
    _do(name, "rotate-secret", as_json)


@app.command("deliveries", epilog=examples("delivery event-endpoints deliveries journeys --limit 10"))
def deliveries(name: Name, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List what was pushed to an endpoint, newest first, and how its last try went. All tries are in the JSON."""
    from cli.api_client import ApiClient
    from cli.tables import print_items, print_json

    with ApiClient() as api:
        items = list(api.items(f"{ENDPOINT.path_of(name)}/deliveries", limit))
    if as_json:
        print_json({"items": items})
    else:
        print_items(_DELIVERIES, [_with_last_try(item) for item in items], "nothing was pushed to it yet")


def _do(name: str, step: str, as_json: bool, body: Any = None) -> None:
    from cli.api_client import ApiClient

    with ApiClient() as api:
        ENDPOINT.show(api.write("POST", f"{ENDPOINT.path_of(name)}/{step}", body), as_json)


def _with_last_try(delivery: dict[str, Any]) -> dict[str, Any]:
    tries = delivery["tries"]
    last = tries[-1] if tries else {}
    told = {f"last_{name}": last.get(field) for name, field in _OF_A_TRY.items()}
    return {**delivery, "tries": len(tries), **told}
