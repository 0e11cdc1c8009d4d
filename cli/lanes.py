"""`delivery lanes`: what waits where, and which lanes are held. Imports stand inside, as in main.py."""

from cli.options import AsJson

_COLUMNS = (
    *("credential", "channel", "message_type", "counts", "due", "oldest_due_seconds"),
    *("kind", "held_until", "reason"),
)


def lanes(as_json: AsJson = False) -> None:
    """Show each lane: how many messages are in which state, how long the oldest is due, whether it is held and why."""
    from cli.api_client import ApiClient
    from cli.tables import print_items, print_json

    with ApiClient() as api:
        answer = api.read("/v1/lanes")
    if as_json:
        print_json(answer)
    else:
        print_items(_COLUMNS, answer["items"], "there is no lane yet: it comes with the first credential")
