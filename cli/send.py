"""`delivery send`: a file to its people, or one message. Imports stand inside, as in main.py."""

from typing import Annotated, Any

import orjson
import typer

from cli.options import AsJson, Yes, checked_key, examples

EXAMPLES = examples(
    "delivery send --surface offers --file people.csv --text 'Hello {{name}}' --dry-run",
    "delivery send --surface offers --file people.csv --text 'Hello {{name}}' --to Mobile --map 'name=First name'",
    "delivery send --surface offers --file people.ndjson --text 'Hello' --deduplicate --skip-invalid --no-wait --json",
    "delivery send --surface offers --file people.csv --text 'Hello {{name}}' --dry-run --rejected rejected.csv",
    "delivery send --surface orders --to +919876543210 --text 'Your parcel is on its way'",
)

_FILE_ONLY = "--map, --messages-per-second, --deduplicate, --skip-invalid, --rejected and --journey are for a --file"


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
        list[str] | None, typer.Option("--map", metavar="NAME=COLUMN", help="The column that fills {{NAME}}.")
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
    common = {
        "surface": surface,
        "text": text,
        "content_template_id": content_template_id,
        "principal_entity_id": principal_entity_id,
        "send_at": send_at,
        "validity_period": validity,
    }
    if file is None:
        if mapped or messages_per_second or deduplicate or skip_invalid or rejected or journey is not None:
            raise typer.BadParameter(_FILE_ONLY)
        if to is None or text is None:
            raise typer.BadParameter("give --file, or --to and --text for a single message")
        from cli.send_one import send_one

        message = _given({**common, "to": to, "callback_data": callback_data})
        raise typer.Exit(send_one(message, key, dry_run=dry_run, waits=waits, as_json=as_json))
    batch = {
        **common,
        "messages_per_second": messages_per_second,
        "deduplicate": deduplicate or None,
        "on_invalid": "skip" if skip_invalid else None,
        "journey": _read_journey(journey),
    }
    from cli.send_file import Wish, send_file

    wish = Wish(
        file=file,
        batch=_given(batch),
        to=to,
        placeholders=_read_map(mapped or []),
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


def _read_map(pairs: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for pair in pairs:
        name, equals, column = (part.strip() for part in pair.partition("="))
        name = name.removeprefix("{{").removesuffix("}}").strip()
        if not (name and equals and column):
            raise typer.BadParameter(f"{pair!r} must be NAME=COLUMN", param_hint="--map")
        if name in named:
            raise typer.BadParameter(f"{{{{{name}}}}} is named twice", param_hint="--map")
        named[name] = column
    return named


def _read_journey(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"is not JSON ({error}): a name stands in quotes, such as '\"spring-sale\"'", param_hint="--journey"
        ) from error
