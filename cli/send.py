"""`delivery send`: a file to its people, or one message. Imports stand inside, as in main.py."""

from typing import Annotated, Any

import typer

from cli.option_values import LANGUAGES, WINDOW_HELP, window, word_or_json
from cli.options import AsJson, Yes, checked_key, completed, examples
from worker.transliteration import TRANSLITERATIONS

EXAMPLES = examples(
    "delivery send --surface offers --file people.csv --text 'Hello {{name}}' --dry-run",
    "delivery send --surface offers --file people.csv --text 'Hello {{name}}' --to Mobile --map 'name=First name'",
    "delivery send --surface offers --file people.ndjson --text 'Hello' --deduplicate --skip-invalid --no-wait --json",
    "delivery send --surface offers --file people.csv --text 'Hello {{name}}' --dry-run --rejected rejected.csv",
    "delivery send --surface orders --file people.csv --template order-sent --map 'template_variables=Order,Day'",
    "delivery send --surface orders --to +919876543210 --text 'Your parcel is on its way'",
    "delivery send --surface orders --to +919876543210 --template order-sent --value 5512 --value Friday",
    "delivery send --surface pictures --to +14155550123 --title Sale --picture https://kite.example/sale.jpg --text Hi",
)

_FILE_ONLY = (
    "--map, --messages-per-second, --deduplicate, --skip-invalid, --rejected, --journey, --transliteration, "
    "--language, --sending-window and --window-off-reason are for a --file"
)


def send(
    surface: Annotated[str, typer.Option("--surface", help="Through this one, by name or id.")],
    file: Annotated[
        str | None,
        typer.Option("--file", help="People: CSV with a header, or a JSON object a line; - for standard input."),
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="May hold {{name}}, filled from the column name.")] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="COLUMN|NUMBER",
            help="The recipient's column, if it is not to, phone, msisdn, number, mobile or recipient; "
            "without a file the recipient.",
        ),
    ] = None,
    mapped: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="NAME=COLUMN",
            help="The column that fills {{NAME}}; template_variables=A,B: the columns of a template's values.",
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option("--template", metavar="NAME|ID", help="A DLT template that makes the text, in place of --text."),
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--value", help="Of the template's placeholders, in their order; may be given several times."),
    ] = None,
    mms: Annotated[
        str | None,
        typer.Option("--mms", metavar="FILE.json", help="An MMS, as the API takes it; - for standard input."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Of an MMS, whose text is then --text.")] = None,
    pictures: Annotated[
        list[str] | None,
        typer.Option(
            "--picture",
            metavar="URL|ID",
            help="Of an MMS: a link, or the ID of an uploaded file; may be given several times.",
        ),
    ] = None,
    fallback_text: Annotated[
        str | None, typer.Option("--fallback-text", help="Of an MMS: goes as an SMS where an MMS cannot.")
    ] = None,
    callback_data: Annotated[
        str | None,
        typer.Option(
            "--callback-data", metavar="COLUMN|TEXT", help="The column of each row's; without a file the message's."
        ),
    ] = None,
    content_template_id: Annotated[str | None, typer.Option("--content-template-id", help="India DLT.")] = None,
    principal_entity_id: Annotated[str | None, typer.Option("--principal-entity-id", help="India DLT.")] = None,
    send_at: Annotated[
        str | None, typer.Option("--send-at", help="A time with its offset, such as 2027-01-31T09:00:00+05:30.")
    ] = None,
    validity: Annotated[
        str | None, typer.Option("--validity", help="How long a message is worth sending, such as PT6H.")
    ] = None,
    messages_per_second: Annotated[
        int | None,
        typer.Option("--messages-per-second", min=1, help="Spread the batch at this pace."),
    ] = None,
    transliteration: Annotated[
        str | None,
        typer.Option(
            "--transliteration",
            metavar="WORD",
            help="Instead of the surface's, such as NON_UNICODE.",
            autocompletion=completed(TRANSLITERATIONS),
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            "--language",
            metavar="WORD|JSON",
            help="Instead of the surface's, such as TR.",
            autocompletion=completed(LANGUAGES),
        ),
    ] = None,
    sending_window: Annotated[
        str | None,
        typer.Option("--sending-window", metavar="HOURS|off", help=f"Instead of the surface's: {WINDOW_HELP}"),
    ] = None,
    window_off_reason: Annotated[
        str | None, typer.Option("--window-off-reason", help="Why the sending window is off.")
    ] = None,
    deduplicate: Annotated[bool, typer.Option("--deduplicate", help="Once to each number, by its first row.")] = False,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave bad rows out; without it, one of them stops all.")
    ] = False,
    journey: Annotated[str | None, typer.Option("--journey", help="Free JSON, returned unchanged.")] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            help="Idempotency key.",
            show_default="made of the content and the options",
            callback=checked_key,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check all of it, and send nothing.")] = False,
    rejected: Annotated[
        str | None,
        typer.Option("--rejected", metavar="FILE.csv", help="Write all bad rows there: line, field, reason, value."),
    ] = None,
    waits: Annotated[
        bool | None, typer.Option("--wait/--no-wait", help="Until all is final.", show_default="wait, unless scheduled")
    ] = None,
    as_json: AsJson = False,
    is_confirmed: Yes = False,
) -> None:
    """Send to the people of a file, as one batch, or a single message.

    Exit code 0: all delivered (with --no-wait: accepted); 1: nothing was sent; 2: wrong options;
    3: sent, but rows were rejected; 4: some messages were not delivered.
    """
    from cli.send_content import Content, read_journey, read_map, read_option

    content = Content(
        text=text,
        template=template,
        values=values or (),
        mms=mms,
        title=title,
        pictures=pictures or (),
        fallback_text=fallback_text,
    )
    batch = {
        "messages_per_second": messages_per_second,
        "deduplicate": deduplicate or None,
        "on_invalid": "skip" if skip_invalid else None,
        "journey": read_journey(journey),
        "transliteration": transliteration,
        "language": read_option("--language", language, word_or_json),
        "sending_window": read_option("--sending-window", sending_window, window),
        "window_off_reason": window_off_reason,
    }
    placeholders = read_map(mapped or ())
    if file is None and (placeholders or rejected or journey is not None or _given(batch)):
        raise typer.BadParameter(_FILE_ONLY)
    if file == mms == "-":
        raise typer.BadParameter("standard input cannot be both --file and --mms")
    common = {
        "surface": surface,
        **content.fields(),
        "content_template_id": content_template_id,
        "principal_entity_id": principal_entity_id,
        "send_at": send_at,
        "validity_period": validity,
    }
    if file is None:
        if to is None or not {"text", "template", "mms"} & common.keys():
            raise typer.BadParameter(
                "give --file, or --to and --text for a single message (or --template, or what an MMS holds)"
            )
        from cli.send_one import send_one

        message = _given({**common, "to": to, "callback_data": callback_data})
        raise typer.Exit(send_one(message, key, dry_run=dry_run, waits=waits, as_json=as_json))
    if values and "template_variables" in placeholders:
        raise typer.BadParameter("each row has its own by --map: leave out one or the other", param_hint="--value")
    from cli.send_file import Wish, send_file

    wish = Wish(
        file=file,
        batch=_given({**common, **batch}),
        to=to,
        placeholders=placeholders,
        callback_data=callback_data,
        key=key,
        dry_run=dry_run,
        rejected=rejected,
        waits=waits,
        as_json=as_json,
        is_confirmed=is_confirmed,
    )
    raise typer.Exit(send_file(wish))


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
