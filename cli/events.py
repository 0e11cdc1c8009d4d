"""`delivery events`: what happened, in its order, and as it happens. Imports stand inside, as in main.py."""

import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Limit, completed, examples, say
from worker.words import EventType

if TYPE_CHECKING:
    from cli.api_client import ApiClient

_LOOK_SECONDS = 1.0
_PAGE = 1_000
KINDS = [*dict.fromkeys(kind.partition(".")[0] for kind in EventType), *EventType]
EXAMPLES = examples(
    "delivery events --limit 20",
    "delivery events --follow --types message.failed,message.expired,lane",
    "delivery events --after CURSOR --json",
)

Types = Annotated[
    str | None,
    typer.Option(
        "--types",
        metavar="TYPE,...",
        help="Of these types, such as message.failed, or lane for all of a lane.",
        autocompletion=completed(KINDS),
    ),
]


def events(
    after: Annotated[str | None, typer.Option("--after", help="After this cursor, as an earlier call gave it.")] = None,
    types: Types = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what happens from now on, or after the cursor.")
    ] = False,
    limit: Limit = 50,
    as_json: Annotated[bool, typer.Option("--json", help="The API's items, one object a line.")] = False,
) -> None:
    """List events, oldest first, or follow them. The last one's cursor, on standard error, goes on from there."""
    from cli.api_client import ApiClient
    from cli.tables import print_json_line

    last = None
    try:
        with ApiClient() as api:
            found = (
                _followed(api, after, types) if follow else api.items("/v1/events", limit, cursor=after, types=types)
            )
            for event in found:
                if as_json:
                    print_json_line(event)
                else:
                    print(in_a_line(event), flush=True)
                last = event["cursor"]
    finally:
        if last is not None:
            say(f"go on with --after {last}")


def in_a_line(event: dict[str, Any]) -> str:
    """When, what, to whom, why, and what the caller knows it by."""
    from cli.tables import cell, clock

    data = event["data"]
    subject, _, _ = event["type"].partition(".")
    match subject:
        case "message" | "attempt":
            what = [data["to"], _attempt(data), data["callback_data"], data["sentence"] or data["reason"]]
        case "inbound":
            what = [data["from"], data["to"] and f"to {data['to']}", data["text"]]
        case "lane":
            lane = " ".join(data[name] or "?" for name in ("credential", "channel", "message_type"))
            what = [lane, data["kind"], data["held_until"] and f"until {clock(data['held_until'])}", data["reason"]]
        case _:
            what = [data["name"], data["reason"]]
    return "  ".join([clock(event["at"]), event["type"], *(cell("", words) for words in what if words)])


def _attempt(data: dict[str, Any]) -> str | None:
    from cli.tables import clock

    if "attempt" not in data:
        return None
    then = f", again at {clock(data['next_attempt_at'])}" if data["next_attempt_at"] else ""
    return f"attempt {data['attempt']}{then}"


def _followed(api: "ApiClient", after: str | None, types: str | None) -> Iterator[dict[str, Any]]:
    from cli.waiting import patiently

    read = partial(api.read, "/v1/events", types=types, limit=_PAGE)
    page = read(after=after or "end")
    say(f"following after {after or page['cursor']}")
    while True:
        yield from page["items"]
        if page["next_cursor"] is None:
            time.sleep(_LOOK_SECONDS)
        page = patiently(partial(read, after=page["cursor"]))
