"""Every command in the documents is run by a test, or at least read by what would run it; so is every verb of make."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from typer.main import get_command

import bench.__main__
import grafana.preview.__main__
import grafana.source.__main__
import sandbox.__main__
import tests.chaos.__main__
import worker.reasons_page
from api.app import ROUTERS
from bench.registry import chosen
from cli.main import app
from sandbox.account import Account, Settings
from sandbox.app import create_app
from sandbox.routes_sandbox import Page
from tests.documents import DOCUMENTS, ROOT, Block, blocks, commands, recipe, spans, table
from worker.settings import Settings as Variables

BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
MAKEFILE = (ROOT / "Makefile").read_text()
VERBS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
CALL = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/\S*)")

each_script = pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "sh"], ids=lambda block: block.place
)
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


# Blocks


@each_script
def test_every_script_is_run_or_says_why_not(block: Block) -> None:
    assert (block.run is None) != (block.checked is None), "needs <!-- run: NAME --> or <!-- checked: why -->"


@each_script
def test_every_command_of_a_script_can_be_read(block: Block) -> None:
    for words in commands(block.text):
        if is_command(words):
            read(words, is_name_enough=False)


def test_no_other_block_holds_a_command() -> None:
    others = [block for block in BLOCKS if block.language != "sh"]
    lines = [(block.place, line) for block in others for line in block.text.splitlines()]
    assert [(place, line) for place, line in lines if is_command(line.removeprefix("$ ").split())] == []


def test_addresses_in_blocks_are_the_defaults() -> None:
    ports = {str(Variables.model_fields[name].default) for name in ("api_port", "sandbox_port", "metrics_port")}
    servers = {"5432", "6379"}  # of PostgreSQL and Redis
    named = {port for block in BLOCKS for port in re.findall(r"127\.0\.0\.1:(\d+)", block.text)}
    assert named <= ports | servers


# Inline code


@each_document
def test_every_command_within_a_sentence_can_be_read(document: Path) -> None:
    for span in spans(document):
        if is_command(span.split()):
            read(shlex.split(span), is_name_enough=True)


@each_document
def test_every_call_within_a_sentence_has_its_route(document: Path) -> None:
    for span in spans(document):
        if match := CALL.match(span):
            assert match[0] == span, f"{span}: a call is METHOD /path, and nothing after it"
            path, _, query = match[2].partition("?")
            fitting = [queries for method, route, queries in routes() if method == match[1] and fits(path, route)]
            assert fitting, span
            assert {part.partition("=")[0] for part in query.split("&") if part} <= set.union(*fitting), span
        elif span.startswith(("/v1/", "/sandbox/", "/webhooks/")):
            assert any(fits(span, route) for _, route, _ in routes()), span


def test_every_call_of_the_sandbox_s_own_is_documented() -> None:
    documented = {row[0].strip("`").partition("?")[0] for row in table(ROOT / "docs/sandbox.md", "Its own calls")}
    assert documented == {f"{method} {path}" for method, path, _ in routes() if path.startswith("/sandbox/")}


@lru_cache(maxsize=1)
def routes() -> list[tuple[str, str, set[str]]]:
    """Method, path and names of the query's parameters, of the API and of the sandbox."""
    api = FastAPI()
    for router in ROUTERS:
        api.include_router(router)
    found = [
        (method.upper(), path, {item["name"] for item in operation.get("parameters", ()) if item["in"] == "query"})
        for path, operations in api.openapi()["paths"].items()
        for method, operation in operations.items()
    ]
    queries = {"/sandbox/messages": set(Page.model_fields)}
    queries |= {path: {"format"} for path in ("/sandbox/requests", "/sandbox/pushes")}  # read by name, not by a model
    for route in create_app(Account(Settings()), lambda _: None).routes:
        path, methods = route.path, route.methods - {"HEAD"}  # type: ignore[attr-defined]
        found += [(method, path, queries.get(path, set())) for method in methods]
    return found


def fits(path: str, route: str) -> bool:
    """Whether a path, with names of its own for what changes, leads to a route."""
    given, wanted = path.split("/"), route.split("/")
    return len(given) == len(wanted) and all(
        part == place or place.startswith("{") for part, place in zip(given, wanted, strict=True)
    )


# Reading a command as its program would


def is_command(words: list[str]) -> bool:
    return bool(words) and program_of(words) in READERS


def program_of(words: list[str]) -> str:
    return words[0].removeprefix(".venv/bin/")


def read(words: list[str], *, is_name_enough: bool) -> None:
    """Fails where the program would refuse the words. A name alone may stand for the program."""
    # A word in capitals stands for something.
    rest = ["1" if re.fullmatch("[A-Z]+", word) else word for word in words[1:]]
    READERS[program_of(words)](rest, is_name_enough)


def read_delivery(words: list[str], is_name_enough: bool) -> None:
    command: Any = get_command(app)
    path = "delivery"
    while words and words[0] in getattr(command, "commands", {}):
        path += f" {words[0]}"
        command = command.commands[words.pop(0)]
    if is_name_enough and not words:
        return
    assert not hasattr(command, "commands"), f"{path} has no command {words[:1]}"
    command.make_context(path, words)


def read_make(words: list[str], is_name_enough: bool) -> None:
    assert {word for word in words if "=" not in word} <= VERBS
    assert all(f"$({word.partition('=')[0]})" in MAKEFILE for word in words if "=" in word)


def read_python(words: list[str], is_name_enough: bool) -> None:
    if words[:1] == ["-c"]:
        compile(words[1], "a document", "exec")
        return
    assert words[:1] == ["-m"], words
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words[1:])
        patch.setattr(sandbox.__main__, "run", lambda *_, **__: None)
        MODULES[words[1]]()


MODULES: dict[str, Callable[[], Any]] = {
    "bench": lambda: bench.__main__._options(),
    "tests.chaos": lambda: tests.chaos.__main__._options(),
    "sandbox": lambda: sandbox.__main__.main(),
    "pytest": lambda: None,  # run by .ci/run
    "worker.reasons_page": lambda: worker.reasons_page._target(),
    "grafana.preview": lambda: grafana.preview.__main__._options(),
    "grafana.source": lambda: grafana.source.__main__.texts(),
}
READERS: dict[str, Callable[[list[str], bool], None]] = {
    "delivery": read_delivery,
    "make": read_make,
    "python": read_python,
    "python3": read_python,
}


# The verbs of make

RUN_BY_CI = set(re.findall(r"^make ([a-z-]+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE))
RUN_BY_TESTS = {"help", "demo", "up", "secrets"}
SETTINGS = {"bench": ["ONLY=webhooks,singles"], "bench-scale": ["ONLY=bloat"], "chaos": ["SEED=7"]}


def test_ci_runs_what_it_says() -> None:
    assert {"install", "check", "test"} == RUN_BY_CI


def test_help_lists_every_verb() -> None:
    (command,) = recipe("help")
    run = subprocess.run(command, cwd=ROOT, shell=True, capture_output=True, text=True)  # noqa: S602 - our own recipe
    assert {line.split()[1] for line in run.stdout.splitlines()} == VERBS


def test_demo_and_up_are_the_commands_that_tests_run() -> None:
    # tests/cli/test_demo.py runs the one; tests/end_to_end/test_documents_run.py takes the other from its recipe.
    assert recipe("demo") == [".venv/bin/delivery demo"]
    assert '[sys.executable, "-m", "cli.main", "demo",' in (ROOT / "tests/cli/test_demo.py").read_text()
    assert recipe("up") == [".venv/bin/delivery up"]
    assert '["make", "secrets"]' in (ROOT / "tests/compose/test_compose.py").read_text()


@pytest.mark.parametrize("verb", sorted(VERBS - RUN_BY_CI - RUN_BY_TESTS))
def test_verb_that_nothing_runs_has_a_recipe_that_can_be_read(verb: str) -> None:
    for command in [*recipe(verb), *(recipe(verb, *SETTINGS[verb]) if verb in SETTINGS else ())]:
        words = shlex.split(command)
        if is_command(words):
            read(words, is_name_enough=False)
        else:
            read_by_its_help(words)


def read_by_its_help(words: list[str]) -> None:
    """`--help` after all the rest: what stands before it is still read, and nothing is done."""
    program = Path(sys.executable).with_name(program_of(words))
    told = subprocess.run([program, *words[1:], "--help"], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


def test_settings_of_verbs_are_told_in_their_help_and_taken_by_their_programs() -> None:
    for setting in ("ONLY=webhooks,singles", "SEED=7"):
        assert re.search(rf"## .*\b{setting}\b", MAKEFILE)
    assert chosen(["webhooks", "singles"], is_scale=False)
    assert chosen(["bloat"], is_scale=True)
