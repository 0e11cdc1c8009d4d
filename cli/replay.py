"""`delivery replay`: see what would go out again, then send it, once. Imports stand inside, as in main.py."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.batches import Validity
from cli.options import AsJson, BatchId, From, Until, Yes, checked_key, completed, confirm, examples, say, whole_id
from worker.states import UNDELIVERED, State

if TYPE_CHECKING:
    from cli.api_client import ApiClient

_GROUPS = ("count", "state", "reason", "sentence")
_LEFT_OUT = ("count", "reason")

EXAMPLES = examples(
    "delivery replay BATCH",
    "delivery replay BATCH --dry-run",
    "delivery replay BATCH --state expired --error validity_over --validity PT6H --yes --wait",
)


def replay(
    batch: BatchId,
    states: Annotated[
        list[State] | None,
        typer.Option(
            "--state",
            help="In this state; may be given several times.",
            metavar="STATE",
            show_default="failed and expired",
            autocompletion=completed(UNDELIVERED),
        ),
    ] = None,
    errors: Annotated[
        list[str] | None,
        typer.Option("--error", help="With this reason, such as validity_over; may be given several times."),
    ] = None,
    since: From = None,
    until: Until = None,
    include_unconfirmed: Annotated[
        bool, typer.Option("--include-unconfirmed", help="Also those that Infobip may have delivered.")
    ] = False,
    validity: Validity = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")] = False,
    is_confirmed: Yes = False,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            help="Idempotency key: the same one twice replays once.",
            show_default="a new one",
            callback=checked_key,
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until all are final. Exit code 4 where some were not delivered.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send the failed part of a batch again, as a new batch linked to it: each message once, ever.

    Shows first what would be sent, why it failed, what is left out and what it costs.
    """
    from cli.api_client import ApiClient
    from cli.tables import print_json

    path = f"/v1/batches/{whole_id(batch, 'batch')}/replay"
    choice = {
        "states": states,
        "error_names": errors,
        "from": since,
        "until": until,
        "include_unconfirmed": include_unconfirmed,
        "validity_period": validity,
    }
    body = {name: value for name, value in choice.items() if value}
    with ApiClient() as api:
        preview = api.write("POST", path, {**body, "dry_run": True})
        if as_json and dry_run:
            print_json(preview)
        elif not as_json:
            _show_preview(preview)
        if dry_run:
            return
        count = preview["would_replay"]
        if count:
            confirm(f"Send {count:,} message{'s' * (count != 1)} again?", is_confirmed)
        _replay(api, path, body, key, wait=wait, as_json=as_json)


def _replay(api: "ApiClient", path: str, body: dict[str, Any], key: str | None, *, wait: bool, as_json: bool) -> None:
    from cli.batches import show
    from cli.tables import counted, print_json
    from cli.waiting import exit_code, wait_for_batch

    answer = _post(api, path, body, key)
    ended = wait_for_batch(api, answer["id"]) if wait and answer["id"] else None
    if as_json:
        print_json(answer if ended is None else answer | ended)
    elif not answer["accepted"]:
        print("nothing was left to replay")
        print(f"the newest replay of this batch is {answer['id']}" if answer["id"] else "it has no replay yet")
    else:
        left_out = counted({group["reason"]: group["count"] for group in answer["left_out"]})
        print(f"replayed as batch {answer['id']}: {answer['accepted']:,} accepted; left out: {left_out or 'none'}")
    if ended is not None:
        if not as_json:
            show(ended)
        raise typer.Exit(exit_code(ended))


def _post(api: "ApiClient", path: str, body: dict[str, Any], key: str | None) -> dict[str, Any]:
    import json
    from uuid import uuid4

    from cli.api_client import ApiAway

    key = key or str(uuid4())
    try:
        return dict(api.create(path, key, json.dumps(body).encode, say).answer)
    except ApiAway:
        say(f"whether the replay was made is not known: the same options with --key {key} find out, and do it once")
        raise


def _show_preview(preview: dict[str, Any]) -> None:
    from cli.tables import cell, print_table

    count = preview["would_replay"]
    if count:
        cost = cell("cost", preview["cost"]) or "not known, since nothing here has a price yet"
        print(f"{count:,} message{'s' * (count != 1)} to send again, {preview['segments']:,} segments; cost: {cost}")
        print_table(_GROUPS, preview["groups"])
    if preview["left_out"]:
        print("left out:")
        print_table(_LEFT_OUT, preview["left_out"])
