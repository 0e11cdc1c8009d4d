"""What the documents say exists does exist: settings, states, events, errors, fields, fates, files, links."""

import ast
import re
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from pydantic.fields import FieldInfo

from api.app import ROUTERS
from api.problems import status_of
from api.schemas.credentials import CredentialIn
from api.schemas.surfaces import SurfaceIn
from cli.demo_plan import FATES
from sandbox.faults import FaultSet
from sandbox.outcomes import DELIVERED, POISON_SUFFIX, outcome_of, refusal_of
from tests.documents import DOCUMENTS, ROOT, anchors, named, spans, table
from tests.families import family
from tests.seams.sources import trees
from worker.boundaries import Boundary
from worker.durations import format_duration
from worker.refusals import Refusal
from worker.settings import Settings
from worker.states import MAY_BECOME, State
from worker.words import EventType

DOCS = ROOT / "docs"
TREES = trees("worker", "api", "cli", "sandbox", "bench", "tests")
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


# Settings


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_with_its_default_and_as_it_is_described(name: str) -> None:
    field = Settings.model_fields[name]
    (row,) = [row for row in table(DOCS / "settings.md", "Settings") if row[0] == f"`DELIVERY_{name.upper()}`"]
    assert row[1:] == [default_of(field), field.description]


def default_of(field: FieldInfo) -> str:
    """As the table has it."""
    value = field.get_default(call_default_factory=True)
    if value in (None, "", []):
        return "none"
    items = value if isinstance(value, list) else [value]
    return f"`{','.join(format_duration(item) if isinstance(item, timedelta) else str(item) for item in items)}`"


def test_no_setting_is_documented_that_is_not_there() -> None:
    documented = [word for row in table(DOCS / "settings.md", "Settings") for word in named(row[0])]
    assert documented == [f"DELIVERY_{name.upper()}" for name in Settings.model_fields]


@each_document
def test_every_variable_named_anywhere_is_a_setting(document: Path) -> None:
    variables = set(re.findall(r"\bDELIVERY_[A-Z_]+", document.read_text()))
    of_commands = {"DELIVERY_API_URL", "DELIVERY_API_TOKEN"}
    assert variables - of_commands <= {f"DELIVERY_{name.upper()}" for name in Settings.model_fields}


# Files and links


@each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", document.read_text()):
        path = (document.parent / target) if target else document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


@each_document
def test_every_file_named_in_a_document_is_there(document: Path) -> None:
    for name in re.findall(
        r"(?<![\w/])((?:worker|api|cli|sandbox|bench|tests|docs|\.ci)/[\w/.-]*\w)", document.read_text()
    ):
        assert (ROOT / name).exists() or (document.parent / name).exists(), name


@each_document
def test_every_module_named_without_its_folder_is_somewhere(document: Path) -> None:
    rooms = ("worker", "api", "cli", "sandbox", "bench", "tests")
    there = {path.name for room in rooms for path in (ROOT / room).rglob("*.py")}
    assert {span for span in spans(document) if re.fullmatch(r"\w+\.py", span)} <= there


@each_document
def test_every_name_that_follows_its_file_is_defined_there(document: Path) -> None:
    for path, name in re.findall(r"`([\w/]+/\w+\.py)`\s+`([\w.]+)`", document.read_text()):
        assert name in defined_in(path), f"{path} {name}"


@each_document
def test_every_name_that_follows_its_module_is_defined_there(document: Path) -> None:
    for span in spans(document):
        is_event = span in set(EventType)  # a type of the feed, not a name in a module
        if not is_event and (match := re.fullmatch(r"([a-z_]+)\.(?!py$)([\w.]+)", span)):
            paths = [path for path in TREES if Path(path).stem == match[1]]
            assert not paths or any(match[2] in defined_in(path) for path in paths), span


def test_every_name_in_a_step_of_the_walks_is_defined_in_a_file_of_that_step() -> None:
    steps = re.findall(r"^\d+\. .*\n(?:   .*\n)*", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    assert len(steps) > 10
    for step in steps:
        paths = re.findall(r"`([\w/]+\.py)`", step)
        for name in re.findall(r"`(_*[a-z]\w*|[A-Z][a-z]\w*\.\w+)`", step):
            assert any(name in defined_in(path) for path in paths), name


@cache
def defined_in(path: str) -> set[str]:
    """Functions, classes and their methods as `Class.method`, constants."""
    found: set[str] = set()
    for node in TREES[path].body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name, body=body):
                methods = [inner.name for inner in body if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)]
                found |= {name, *(f"{name}.{method}" for method in methods)}
    return found


def test_boundaries_in_the_table_of_crashes_are_those_of_the_code() -> None:
    rows = table(DOCS / "architecture.md", "What a crash leaves behind")
    told = [word for _, boundaries, _, _ in rows for word in boundaries.split(", ") if word]
    assert sorted(told) == sorted(Boundary)


def test_every_decision_has_its_four_parts() -> None:
    for record in (DOCS / "decisions").glob("*.md"):
        assert re.findall(r"^## (.*)$", record.read_text(), re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
            "Alternatives",
        ]


def test_every_library_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    reasons = (DOCS / "decisions/0009-libraries.md").read_text()
    names = {re.match(r"[\w-]+", requirement)[0] for requirement in wanted}  # type: ignore[index]
    assert {name for name in names if not re.search(rf"\b{name}\b", reasons)} == set()


# What the domain knows


def test_glossary_s_states_become_what_the_table_lets_them() -> None:
    rows = table(DOCS / "glossary.md", "States of a message")
    assert {state: set(re.findall("|".join(State), then)) for state, _, then in rows} == MAY_BECOME


def test_sandbox_s_table_has_every_ending_and_what_becomes_of_it() -> None:
    ends = {ending: then.split(",")[0] for ending, _, then in table(DOCS / "sandbox.md", "What becomes of a message")}
    special = {ending for number in range(10_000) if is_special(ending := f"{number:04}")}
    assert set(ends) == {*special, "anything else"}
    assert ends == {fate.suffix or "anything else": fate.ends_as for fate in FATES}


def is_special(ending: str) -> bool:
    to = f"91990000{ending}"
    is_delivered = outcome_of(to, 1) == outcome_of(to, 2) == DELIVERED
    return not is_delivered or refusal_of(to) is not None or ending == POISON_SUFFIX


def test_sandbox_s_faults_are_all_named() -> None:
    (row,) = [row for row in table(DOCS / "sandbox.md", "Its own calls") if row[0] == "`PUT /sandbox/faults`"]
    assert {word for word in named(row[1]) if word != "{}"} == set(FaultSet.model_fields)


@pytest.mark.parametrize(
    ("heading", "model"), [("Fields of a credential", CredentialIn), ("Fields of a surface", SurfaceIn)]
)
def test_every_field_of_the_configuration_is_documented(heading: str, model: Any) -> None:
    documented = [word for row in table(DOCS / "configuration.md", heading) for word in named(row[0])]
    assert sorted(documented) == sorted(model.model_fields)


def test_errors_of_the_api_are_those_that_exist() -> None:
    documented = [int(status) for row in table(DOCS / "api.md", "Errors") for status in row[0].split(", ")]
    beside = {405, 500}  # of the router, and of what nobody foresaw
    assert documented == sorted(beside | {status_of(refusal) for refusal in family(Refusal)})


def test_scopes_of_what_an_operator_does_are_those_of_the_routes() -> None:
    text = " ".join((DOCS / "operations.md").read_text().split())
    assert "Reading needs a token of scope `read`, pausing and resuming a batch `replay`, resuming a credential" in text
    routes = {route.path: route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)}
    told = {"/v1/batches/{batch_id}/pause": "replay", "/v1/credentials/{credential}/resume": "admin"}
    for path, scope in told.items():
        needed = [getattr(dependency.call, "scope", None) for dependency in routes[path].dependant.dependencies]
        assert scope in needed


# What an operator reads


def test_every_reason_of_a_held_lane_is_one_that_is_given() -> None:
    given = [sentence for tree in trees("worker").values() for sentence in sentences(tree)]
    for row in table(DOCS / "operations.md", "A held lane"):
        for reason in named(row[0]):
            assert any(begins(sentence, reason) for sentence in given), reason


def sentences(tree: ast.Module) -> Iterator[list[str]]:
    """The words of each string in a module; `{}` where something is put in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield "".join(parts).split()
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.split()


def begins(sentence: list[str], reason: str) -> bool:
    words = reason.split()
    return (
        len(words) <= len(sentence)
        and sentence[0] == words[0]
        and all("{}" in given or given.rstrip(":") == word for given, word in zip(sentence, words, strict=False))
    )


def test_every_event_of_the_logs_is_explained_and_no_other() -> None:
    explained = [word for row in table(DOCS / "operations.md", "Logs") for word in named(row[0])]
    assert sorted(explained) == sorted(logged_events())


def logged_events() -> set[str]:
    """What `_log.<level>(event)` says in worker/ and api/, and what is given to functions that pass an event on."""
    modules = trees("worker", "api").values()
    places: dict[str, int] = {}  # of the event among the arguments of those functions
    passed_on: set[ast.Call] = set()
    for function in (node for tree in modules for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        parameters = [argument.arg for argument in function.args.args if argument.arg != "self"]
        for call in logger_calls(function):
            if isinstance(event := call.args[0], ast.Name) and event.id in parameters:
                places[function.name] = parameters.index(event.id)
                passed_on.add(call)
    events = [call.args[0] for tree in modules for call in logger_calls(tree) if call not in passed_on]
    events += [
        node.args[places[node.func.id]]
        for tree in modules
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in places
    ]
    assert [ast.unparse(event) for event in events if not isinstance(event, ast.Constant)] == []
    return {event.value for event in events if isinstance(event, ast.Constant)}


def logger_calls(tree: ast.AST) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("_log", "log", "logger")
    ]
