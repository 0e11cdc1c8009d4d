"""`delivery inbound`: what handsets wrote. Imports stand inside, as in main.py."""

from typing import Annotated

import typer

from cli.options import AsJson, Limit, completed, examples
from worker.words import Action

_COLUMNS = ("id", "received_at", "credential", "channel", "from", "to", "action", "consent", "reply_id", "text")

EXAMPLES = examples("delivery inbound --action opt_out", "delivery inbound --from +919876543210 --json")


def inbound(
    sender: Annotated[str | None, typer.Option("--from", help="Written by this number.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Written to this number of yours.")] = None,
    action: Annotated[
        str | None,
        typer.Option("--action", help="Such as opt_out, help or near_miss.", autocompletion=completed(Action)),
    ] = None,
    credential: Annotated[str | None, typer.Option("--credential", help="By name or id.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List what handsets wrote, newest first."""
    from cli.api_client import ApiClient
    from cli.tables import print_items, print_json

    with ApiClient() as client:
        query = {"from": sender, "to": to, "action": action, "credential": credential}
        items = list(client.items("/v1/inbound", limit, **query))
    if as_json:
        print_json({"items": items})
    else:
        print_items(_COLUMNS, items, "nobody wrote that")
