"""`delivery surfaces`: what a journey names when it sends. Imports stand inside, as in main.py."""

import typer

from cli.resources import Field, Resource, add_commands
from worker.words import Channel, MessageType

app = typer.Typer(
    name="surfaces", help="Surfaces: channel, message type, credential and sender under one name.", no_args_is_help=True
)

SURFACE = Resource(
    noun="surface",
    path="/v1/surfaces",
    fields=(
        Field("name", "What a journey sends through.", is_needed=True),
        Field("channel", "Where its messages go.", Channel, is_needed=True, is_fixed=True),
        Field("message_type", "What they are for.", MessageType, is_needed=True, is_fixed=True),
        Field("credential", "The account they go through, by name or ID.", is_needed=True, is_fixed=True),
        Field("sender", "Who they come from.", is_needed=True),
        Field("description", "For people."),
        Field("principal_entity_id", "India DLT, unless a send says otherwise."),
        Field("content_template_id", "India DLT, unless a send says otherwise."),
        Field("callback_data", "For messages that bring none of their own."),
        Field("validity_period", "How long a message is worth sending, such as PT6H."),
        Field("default_country", "Of numbers without +, such as IN."),
        Field("countries", "Not available in this release.", list),
        Field("require_opt_in", "Whether marketing goes to those alone who have opted in.", bool),
        Field("dlt", "Only off in this release.", is_kept=True),
        Field("transliteration", "Not available in this release."),
        Field("language", "Not available in this release."),
        Field("sending_window", "Only off in this release, with a reason."),
        Field("window_off_reason", "Why the sending window is off."),
    ),
    columns=("name", "channel", "message_type", "credential", "sender", "description", "created_at"),
    example="orders",
    create_example="--name orders --channel sms --message-type transactional --credential kite --sender KITEBK",
    update_example="--validity-period PT6H --unset description",
)
add_commands(app, SURFACE)
