"""`delivery credentials`: the Infobip accounts that messages go through. Imports stand inside, as in main.py."""

import typer

from cli.options import AsJson, examples
from cli.resources import Field, Name, Resource, add_commands
from worker.words import RateUnit

app = typer.Typer(name="credentials", help="Credentials: Infobip accounts, with their keywords.", no_args_is_help=True)

_FIELDS = (
    Field("name", "What surfaces call it.", is_needed=True),
    Field("base_url", "The account's address at Infobip.", is_needed=True),
    Field("api_key", "The account's key.", is_needed=True, environment="INFOBIP_API_KEY"),
    Field("opt_in_keywords", "Words that opt in.", list),
    Field("opt_in_message", "The answer to them."),
    Field("opt_out_keywords", "Words that opt out.", list),
    Field("opt_out_message", "The answer to them."),
    Field("help_keywords", "Words that ask for help.", list),
    Field("help_message", "The answer to them."),
    Field("double_opt_in_keywords", "Words that ask to opt in in two steps.", list),
    Field("double_opt_in_message", "The answer to them, which names an opt-in keyword."),
    Field("principal_entity_id", "India DLT, unless a surface or a send says otherwise."),
    Field("content_template_id", "India DLT, unless a surface or a send says otherwise."),
    Field("validity_period_hours", "How long a message is worth sending, 1 to 48.", int, is_kept=True),
    Field("callback_data", "For messages that bring none of their own."),
    Field("inbound_number", "The number or short code that handsets write to."),
    Field("custom_keywords", "Words that are told and ask for nothing else.", list),
    Field("default_reply_message", "The answer to what is no keyword."),
    Field("fuzzy_opt_out_message", "The answer to what is almost an opt-out keyword."),
    Field("inbound_pull", "Whether to fetch inbound messages, rather than have Infobip push them.", bool),
    Field("messages_per_second", "The most that leave in a second; unset: no limit of ours.", int),
    Field("rate_unit", "What that counts: messages, or the segments that they are billed as.", RateUnit, is_kept=True),
)
CREDENTIAL = Resource(
    noun="credential",
    path="/v1/credentials",
    fields=_FIELDS,
    columns=("name", "base_url", "api_key_hint", "messages_per_second", "inbound_number", "created_at"),
    example="kite",
    create_example="--name kite --base-url https://xxxxx.api.infobip.com",
    update_example="--messages-per-second 50 --unset callback_data",
    tables={"lanes": ("channel", "message_type", "held_until", "reason")},
)
add_commands(app, CREDENTIAL)


@app.command("resume", epilog=examples("delivery credentials resume kite"))
def resume(name: Name, as_json: AsJson = False) -> None:
    """End the holds of all lanes of a credential, now."""
    from cli.api_client import ApiClient

    with ApiClient() as api:
        CREDENTIAL.show(api.write("POST", f"{CREDENTIAL.path_of(name)}/resume"), as_json)
