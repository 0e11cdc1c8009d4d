"""`delivery surfaces`: what a journey names when it sends. Imports stand inside, as in main.py."""

import typer

from cli.option_values import LANGUAGES, WINDOW_HELP, window, word_or_json
from cli.resources import Field, Resource, add_commands
from worker.transliteration import TRANSLITERATIONS
from worker.words import Channel, DltPolicy, MessageType

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
        Field("dlt", "What happens to a text to India that fits no registered template.", DltPolicy, is_kept=True),
        Field("transliteration", "Into letters that cost less, such as NON_UNICODE.", words=TRANSLITERATIONS),
        Field("language", "Whose tables texts are sent with.", word_or_json, words=LANGUAGES, metavar="WORD|JSON"),
        Field("sending_window", f"When messages may leave: {WINDOW_HELP}", window, metavar="HOURS|off"),
        Field("window_off_reason", "Why the sending window is off."),
        Field("fallback_sender", "Of an MMS surface: who sends the SMS in an MMS's place."),
    ),
    columns=("name", "channel", "message_type", "credential", "sender", "description", "created_at"),
    example="orders",
    create_example="--name orders --channel sms --message-type transactional --credential kite --sender KITEBK",
    update_example="--validity-period PT6H --unset description",
)
add_commands(app, SURFACE)
