"""What an administrator sets up, by name: list, get, create, update and delete, made from a table of its fields.

Each field of the API is an option, and a field of `--from-file FILE.json`, where an option wins. A test holds the
tables against the API's own description of its bodies.
"""

import inspect
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from keyword import iskeyword
from typing import IO, Annotated, Any
from urllib.parse import quote

import typer

from cli.errors import CommandError
from cli.options import AsJson, Yes, completed, confirm, examples

_MOST_FILE_BYTES = 1024 * 1024


class Answer(StrEnum):
    """Of a field that is true or false: as a word, it leaves the help its width."""

    YES = "yes"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a body. `kind`: str, int, bool, a StrEnum, list, which is words with commas between them, or what
    makes a value of the option's text, with ValueError of one that it does not take."""

    name: str
    help: str
    kind: Any = str
    words: Sequence[str] = ()  # what the shell offers
    metavar: str | None = None  # where the kind does not say it
    is_needed: bool = False  # at creation
    is_fixed: bool = False  # once created
    is_kept: bool = False  # cannot be unset
    environment: str | None = None  # a secret: the variable from which creation takes it

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def parameter(self) -> str:
        """Of the command: `name` is already the one to change, and a word of Python cannot be one."""
        return f"{self.name}_" if self.name == "name" or iskeyword(self.name) else self.name

    @property
    def reads_text(self) -> bool:
        return not isinstance(self.kind, type)

    @property
    def can_be_unset(self) -> bool:
        return not (self.is_needed or self.is_kept or self.kind is bool)

    @property
    def unset(self) -> Any:
        return [] if self.kind is list else None


@dataclass(frozen=True, slots=True)
class Resource:
    """`tables`: the columns of the values that are lists of items, wherever one is shown whole. `filters`: the fields
    by which its list can be asked for."""

    noun: str
    path: str
    fields: Sequence[Field]
    columns: Sequence[str]
    example: str  # the name of one
    create_example: str  # its options
    update_example: str
    tables: Mapping[str, Sequence[str]] = field(default_factory=dict)
    filters: Sequence[Field] = ()

    def show(self, item: Mapping[str, Any], as_json: bool) -> None:
        from cli.tables import print_item, print_json

        if as_json:
            print_json(item)
        else:
            print_item(item, self.tables)

    def path_of(self, name: str) -> str:
        return f"{self.path}/{quote(name, safe='')}"

    @property
    def one(self) -> str:
        return f"{'an' if self.noun[0] in 'aeiou' else 'a'} {self.noun}"

    @property
    def changeable(self) -> list[Field]:
        return [field for field in self.fields if not field.is_fixed]


Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name or ID.")]
FromFile = Annotated[
    str | None, typer.Option("--from-file", help="A JSON object of fields, in the API's words; - for standard input.")
]


def add_commands(app: typer.Typer, resource: Resource) -> None:
    """The five commands that each of them has."""
    _add_reading(app, resource)
    _add_create(app, resource)
    _add_update(app, resource)
    _add_delete(app, resource)


def _add_reading(app: typer.Typer, resource: Resource) -> None:
    noun, group = resource.noun, f"delivery {app.info.name}"

    def list_(as_json: bool, **given: Any) -> None:
        from cli.api_client import ApiClient
        from cli.tables import print_items, print_json

        with ApiClient() as api:
            items = list(api.items(resource.path, **{each.name: given[each.parameter] for each in resource.filters}))
        if as_json:
            print_json({"items": items})
        else:
            print_items(resource.columns, items, f"there is no {noun} yet")

    def get(name: Name, as_json: AsJson = False) -> None:
        from cli.api_client import ApiClient

        with ApiClient() as api:
            resource.show(api.read(resource.path_of(name)), as_json)

    filters = [_option(each, is_new=False) for each in resource.filters]
    app.command("list", help=f"List every {noun}, newest first.", epilog=examples(f"{group} list"))(
        _with(list_, [*filters, _AS_JSON])
    )
    app.command("get", help=f"Show one {noun}.", epilog=examples(f"{group} get {resource.example}"))(get)


def _add_create(app: typer.Typer, resource: Resource) -> None:
    group, file = f"delivery {app.info.name}", f"{resource.noun.replace(' ', '-')}.json"

    def create(from_file: str | None, as_json: bool, **given: Any) -> None:
        from cli.api_client import ApiClient

        with ApiClient() as api:
            body = _body(resource.fields, from_file, given, is_new=True)
            resource.show(api.write("POST", resource.path, body), as_json)

    example = examples(f"{group} create {resource.create_example}", f"{group} create --from-file {file}")
    fields = [_option(field, is_new=True) for field in resource.fields]
    app.command("create", help=f"Create {resource.one}.", epilog=example)(_with(create, [*fields, *_LAST]))


def _add_update(app: typer.Typer, resource: Resource) -> None:
    fields = resource.changeable

    def update(name: str, unset: list[str] | None, from_file: str | None, as_json: bool, **given: Any) -> None:
        from cli.api_client import ApiClient

        with ApiClient() as api:
            body = _unset(fields, unset or ()) | _body(fields, from_file, given, is_new=False)
            if not body:
                raise CommandError("nothing is given that could change: see --help for the fields")
            resource.show(api.write("PATCH", resource.path_of(name), body), as_json)

    unset = typer.Option(
        "--unset",
        metavar="FIELD",
        help="Clear this field; may be given several times.",
        autocompletion=completed(field.name for field in fields if field.can_be_unset),
    )
    parameters = [
        inspect.Parameter("name", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Name),
        *(_option(field, is_new=False) for field in fields),
        _parameter("unset", Annotated[list[str] | None, unset], None),
        *_LAST,
    ]
    app.command(
        "update",
        help=f"Change what is given of {resource.one}, and nothing else.",
        epilog=examples(f"delivery {app.info.name} update {resource.example} {resource.update_example}"),
    )(_with(update, parameters))


def _add_delete(app: typer.Typer, resource: Resource) -> None:
    def delete(name: Name, is_confirmed: Yes = False) -> None:
        from cli.api_client import ApiClient

        with ApiClient() as api:
            confirm(f"Delete the {resource.noun} {name}?", is_confirmed)
            api.write("DELETE", resource.path_of(name))

    example = examples(f"delivery {app.info.name} delete {resource.example}")
    app.command("delete", help=f"Delete {resource.one}, unless something uses it.", epilog=example)(delete)


def _with(command: Callable[..., None], parameters: Iterable[inspect.Parameter]) -> Callable[..., None]:
    """The command as Typer is to read it."""
    signature = inspect.Signature(list(parameters))
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return command


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_AS_JSON = _parameter("as_json", AsJson, False)
_LAST = (_parameter("from_file", FromFile, None), _AS_JSON)


def _option(field: Field, *, is_new: bool) -> inspect.Parameter:
    kind = str if field.reads_text else {list: str, bool: Answer}.get(field.kind, field.kind)
    option = typer.Option(
        field.option,
        help=f"{field.help}{_note(field, is_new)}",
        metavar=field.metavar or {list: "WORD,...", str: "TEXT", int: "NUMBER"}.get(field.kind),
        envvar=field.environment if is_new else None,
        show_envvar=field.environment is not None,
        autocompletion=completed(field.words) if field.words else None,
    )
    return _parameter(field.parameter, Annotated[kind | None, option], None)


def _note(field: Field, is_new: bool) -> str:
    if field.environment is not None:
        return " With -, asked for, or read from standard input; on the command line others may see it."
    return " Needed." if is_new and field.is_needed else ""


def _body(fields: Sequence[Field], from_file: str | None, given: Mapping[str, Any], *, is_new: bool) -> dict[str, Any]:
    """What the file and the options say together. Errors: CommandError."""
    body = {} if from_file is None else _read_object(from_file)
    for each in fields:
        value = given[each.parameter]
        if value is None and is_new and each.environment and each.name not in body:
            value = "-" if sys.stdin.isatty() else None
        if value is None:
            continue
        if each.environment and value == "-":
            if from_file == "-":
                raise CommandError(f"standard input cannot be both {each.option} and --from-file")
            value = _secret(each)
        if each.reads_text:
            value = _read_text(each, value)
        if each.kind is list:
            value = [word.strip() for word in value.split(",") if word.strip()]
        if each.kind is bool:
            value = value == Answer.YES
        body[each.name] = value
    missing = [each.option for each in fields if is_new and each.is_needed and body.get(each.name) is None]
    if missing:
        raise CommandError(f"{', '.join(missing)} must be given, as an option or as a field of --from-file")
    return body


def _read_text(field: Field, text: str) -> Any:
    try:
        return field.kind(text)
    except ValueError as error:
        raise CommandError(f"{field.option}: {error}") from error


def _unset(fields: Iterable[Field], names: Iterable[str]) -> dict[str, Any]:
    known = {each.name: each.unset for each in fields if each.can_be_unset}
    wanted = [name.strip("-").replace("-", "_") for name in names]
    for name in wanted:
        if name not in known:
            raise CommandError(f"{name} cannot be unset: fields that can are {', '.join(known)}")
    return {name: known[name] for name in wanted}


def _secret(field: Field) -> str:
    """Typed where nobody sees it, or the first line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt(field.option[2:].replace("-", " "), hide_input=True, err=True))
    line = sys.stdin.readline().strip()
    if not line:
        raise CommandError(f"standard input is empty: {field.option} - reads its first line")
    return line


def _read_object(file: str) -> dict[str, Any]:
    from cli.files import opened

    with opened(file) as source:
        found = _json(source, file)
    if not isinstance(found, dict):
        raise CommandError(f"{file} must hold one JSON object with the fields")
    return found


def _json(source: IO[bytes], file: str) -> Any:
    try:
        return json.loads(source.read(_MOST_FILE_BYTES))
    except ValueError as error:
        raise CommandError(f"{file} is not JSON: {error}") from error
