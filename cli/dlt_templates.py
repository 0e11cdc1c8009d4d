"""`delivery dlt-templates`: what is registered for India, and whether a text fits it. Imports stand inside, as in
main.py."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cli.options import AsJson, examples
from cli.resources import Field, Resource, add_commands
from worker.dlt.templates import Category
from worker.words import MessageType

app = typer.Typer(
    name="dlt-templates", help="DLT templates: what operators in India have registered.", no_args_is_help=True
)

_PIECE_BYTES = 64 * 1024
_ENTITY = Field("principal_entity_id", "Whose it is.", is_needed=True, is_fixed=True)
_TEMPLATE_ID = Field("content_template_id", "The portal's ID of it.", is_needed=True, is_fixed=True)
_NAME = Field("name", "What people, and sends, call it.", is_needed=True)
_CATEGORY = Field("category", "As the portal has it.", Category, is_needed=True)

TEMPLATE = Resource(
    noun="template",
    path="/v1/dlt-templates",
    fields=(
        _TEMPLATE_ID,
        _ENTITY,
        _NAME,
        _CATEGORY,
        Field("text", "With {#var#}, character by character as it is registered.", is_needed=True),
        Field("headers", "Senders that it is linked to. None: any.", list),
        Field("language", "For people."),
        Field("url_allow_list", "Hosts that its texts may link to. None: not checked.", list),
    ),
    columns=("content_template_id", "name", "category", "headers", "placeholders", "text"),
    example="order-sent",
    create_example="--content-template-id 1207160000000000001 --principal-entity-id 1201150000000000001 "
    "--name order-sent --category service_implicit --headers KITEBK --text 'Order {#var#} is on its way. -KITEBK'",
    update_example="--headers KITEBK,KITEBO",
    filters=(_ENTITY, _TEMPLATE_ID, _NAME, _CATEGORY, Field("header", "Linked to this sender.")),
)
add_commands(app, TEMPLATE)


@app.command(
    "import",
    epilog=examples(
        "delivery dlt-templates import export.csv --entity 1201150000000000001 --dry-run",
        "delivery dlt-templates import export.csv --map 'text=Approved Message' --skip-invalid",
    ),
)
def import_(
    file: Annotated[str, typer.Argument(help="The CSV that the portal exported; - for standard input.")],
    entity: Annotated[
        str | None, typer.Option("--entity", metavar="ID", help="Principal entity ID of the rows that name none.")
    ] = None,
    named: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="A column that is not known; may be given several times."),
    ] = None,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Say what would come of it, and store nothing.")] = False,
    skips: Annotated[bool, typer.Option("--skip-invalid", help="Leave bad rows out and store the others.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register the templates of a portal's export, and change those that are registered. Exit code 1 where rows were
    rejected."""
    from cli.api_client import ApiClient
    from cli.files import opened
    from cli.tables import print_json

    with ApiClient() as api, opened(file) as source:
        report = api.upload(
            f"{TEMPLATE.path}/import",
            iter(lambda: source.read(_PIECE_BYTES), b""),
            "text/csv",
            principal_entity_id=entity,
            map=named,
            dry_run=is_dry,
            on_invalid="skip" if skips else "reject",
        )
    if as_json:
        print_json(report)
    else:
        _show_report(report)
    raise typer.Exit(1 if report["rejected_count"] else 0)


@app.command(
    "match",
    epilog=examples(
        "delivery dlt-templates match 'Order 5512 is on its way. -KITEBK' --surface orders",
        "delivery dlt-templates match - --entity 1201150000000000001 --sender KITEBK",
    ),
)
def match(
    text: Annotated[str, typer.Argument(help="The whole text, as it would go; - for standard input.")],
    surface: Annotated[str | None, typer.Option("--surface", help="Through which it would go, by name or ID.")] = None,
    entity: Annotated[
        str | None, typer.Option("--entity", metavar="ID", help="Instead of a surface: whose templates are meant.")
    ] = None,
    sender: Annotated[str | None, typer.Option("--sender", help="With --entity: linked to this sender.")] = None,
    message_type: Annotated[
        MessageType | None, typer.Option("--message-type", help="With --entity: that may go out as this.")
    ] = None,
    template: Annotated[
        str | None, typer.Option("--template", metavar="ID", help="Look at this content template ID alone.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which template a text fits, or where it departs. Exit code 1 where it fits none."""
    from cli.api_client import ApiClient
    from cli.tables import print_json

    with ApiClient() as api:
        asked = {
            "text": _typed() if text == "-" else text,
            "surface": surface,
            "principal_entity_id": entity,
            "sender": sender,
            "message_type": message_type,
            "content_template_id": template,
        }
        answer = api.write("POST", f"{TEMPLATE.path}/match", asked)
    if as_json:
        print_json(answer)
    else:
        _show_match(asked["text"] or "", answer)
    raise typer.Exit(0 if answer["fits"] else 1)


def marked(text: str, position: int, width: int | None = None) -> str:
    """The text with a caret on a line of its own, below the character at `position` or below the end. `width`: columns
    of a terminal: of a longer line it holds only what stands around the caret."""
    from rich.cells import cell_len

    from cli.tables import printable

    start = text.rfind("\n", 0, position) + 1
    end = start + len(text[start:].partition("\n")[0])
    line, at = printable(text[start:end]), position - start
    before = ""
    if width is not None and cell_len(line) >= width:
        room = width // 2 - 4  # of characters, since each may take two columns
        first = max(0, at - room // 2)
        before = "..." if first else ""
        line, at = line[first : first + room], at - first
    caret = " " * cell_len(before + line[:at]) + "^"
    return f"{printable(text[:start])}{before}{line}\n{caret}{printable(text[end:])}"


def _typed() -> str:
    """Without the line break that a shell or an editor adds."""
    from cli.errors import CommandError
    from cli.files import opened

    with opened("-") as source:
        try:
            return source.read(1024 * 1024).decode().removesuffix("\n")
        except UnicodeDecodeError as error:
            raise CommandError("standard input is not UTF-8") from error


def _show_report(report: Mapping[str, Any]) -> None:
    from cli.tables import print_table

    counts = ", ".join(f"{report[name]} {name}" for name in ("created", "changed", "unchanged"))
    outcome = f"{counts}, {report['left_out_count']} left out, {report['rejected_count']} rejected"
    print(f"{report['rows']} rows: {outcome}{' if it were imported' if report['dry_run'] else ''}")
    for heading, columns in (("left_out", ("line", "reason")), ("rejected", ("line", "field", "reason"))):
        rows, count = report[heading], report[f"{heading}_count"]
        if rows:
            first = f", the first {len(rows)}" if len(rows) < count else ""
            print(f"\n{heading.replace('_', ' ')}{first}:")
            print_table(columns, rows)


def _show_match(text: str, answer: Mapping[str, Any]) -> None:
    from cli.tables import print_facts, printable, terminal

    if answer["position"] is not None:
        console = terminal()
        width = None if console is None else console.width
        print(f"{marked(text, answer['position'], width)}\n")
    if answer["sentence"]:
        print(f"{printable(answer['sentence'])}\n")
    fault = answer["fault"]
    facts = {
        "fits": _told(answer["template"]) if answer["fits"] else None,
        "template": None if answer["fits"] else _told(answer["template"]),
        "nearest": _told(answer["nearest"]),
        "text of it": (answer["nearest"] or answer["template"] or {}).get("text"),
        "expected": answer["expected"],
        "found": answer["found"] or ("the end of the text" if answer["found"] is not None else None),
        "error": fault and f"{fault['id']} {fault['name']}",
    }
    facts |= {f"value {number}": value for number, value in enumerate(answer["values"], 1)}
    print_facts([(name, value) for name, value in facts.items() if value is not None])


def _told(template: Mapping[str, Any] | None) -> str | None:
    return None if template is None else f"{template['name']} ({template['content_template_id']})"
