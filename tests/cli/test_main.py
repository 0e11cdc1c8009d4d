"""The `delivery` command as it is called from a shell."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from typer.main import get_command
from typer.testing import CliRunner

from cli.environment import settings_in, without_settings
from cli.main import app, run
from cli.programs import delivery_command
from tests.documents import spans

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "cli.main"]


def delivery(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**without_settings(os.environ), "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **variables}
    return subprocess.run([*COMMAND, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["migrate"],
        ["api"],
        ["worker", "--queues", "upkeep"],
        ["beat"],
        ["token", "create", "--name", "n", "--scope", "send"],
    ],
    ids=" ".join,
)
def test_command_without_a_database_says_what_to_set(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in settings_in(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["delivery", *arguments])
    with pytest.raises(SystemExit) as exit_:
        run()
    said = capsys.readouterr()
    assert exit_.value.code == 1
    assert said.out == ""
    assert said.err.startswith("delivery: DELIVERY_DATABASE_URL is not set: ")
    assert said.err.count("\n") == 1


def test_database_that_is_away_is_one_line_and_tells_no_password(tmp_path: Path) -> None:
    url = "postgresql+psycopg://me:hidden@127.0.0.1:1/none"
    done = delivery("migrate", cwd=tmp_path, DELIVERY_DATABASE_URL=url)
    assert done.returncode == 1
    assert done.stderr.startswith("delivery: cannot reach the database in DELIVERY_DATABASE_URL: ")
    assert done.stderr.count("\n") == 1
    assert "hidden" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["batches", "list", "--journey", "\udcff"], ["credentials", "get", "\udcff"]],
    ids=lambda words: words[0],
)
def test_argument_that_is_not_utf_8_is_one_line(arguments: list[str], tmp_path: Path) -> None:
    api = {"DELIVERY_API_URL": "http://127.0.0.1:1", "DELIVERY_API_TOKEN": "x"}
    done = delivery(*arguments, cwd=tmp_path, **api)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "delivery: an argument is not UTF-8: this shell writes in another encoding\n"


def test_bad_setting_stops_up_and_names_the_variable(tmp_path: Path) -> None:
    done = delivery("up", cwd=tmp_path, DELIVERY_API_PORT="many")
    assert done.returncode == 2
    assert done.stderr.startswith("DELIVERY_API_PORT: ")
    assert not (tmp_path / ".delivery").exists()


def test_unwritable_folder_ends_up_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = delivery("up", "--data-dir", "file/data", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("delivery: cannot write to the data folder ")
    assert done.stderr.count("\n") == 1


def test_token_is_printed_bare_beside_a_running_stack(database_url: str, tmp_path: Path) -> None:
    (tmp_path / ".delivery").mkdir()
    (tmp_path / ".delivery" / "env").write_text(f"DELIVERY_DATABASE_URL={database_url}\n")
    done = delivery("token", "create", "--name", "shop", "--scope", "send", "--scope", "read", cwd=tmp_path)
    assert done.stderr == ""
    assert done.returncode == 0
    assert len(done.stdout.split()) == 1


def test_a_restored_database_is_refused_until_it_is_migrated(database_url: str, tmp_path: Path) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE cluster SET system_identifier = system_identifier + 1"))
    engine.dispose()
    token = ("token", "create", "--name", "restored", "--scope", "read")
    refused = delivery(*token, cwd=tmp_path, DELIVERY_DATABASE_URL=database_url)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("delivery: The database was restored")
    assert "`delivery migrate`" in refused.stderr
    # Once it is where it was, or once it is said that it was put back, and not a second time by itself.
    for options, is_said in (((), True), ((), False), (("--restored",), True), ((), False)):
        done = delivery("migrate", *options, cwd=tmp_path, DELIVERY_DATABASE_URL=database_url)
        assert (done.returncode, "cursors" in done.stdout) == (0, is_said)
    assert delivery(*token, cwd=tmp_path, DELIVERY_DATABASE_URL=database_url).returncode == 0


def leaves(group: Any = get_command(app), path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


each_command = pytest.mark.parametrize("command", dict(leaves()).items(), ids=lambda item: " ".join(item[0]))


def test_help_names_every_command_under_a_heading(tmp_path: Path) -> None:
    done = delivery("--help", cwd=tmp_path)
    commands = get_command(app).commands
    assert {"up", "demo", "token"} <= set(commands)
    for command in commands:
        assert f" {command} " in done.stdout
    headings = re.findall(r"^╭─ ([\w ]+) ─", done.stdout, re.MULTILINE)
    assert headings == ["Options", "Set up", "Run", "Send", "Look", "Steer"]


@each_command
def test_every_command_says_what_it_does_and_each_of_its_examples_can_be_read(
    command: tuple[tuple[str, ...], Any],
) -> None:
    path, found = command
    assert found.help
    examples = re.findall(r"^\$ (.+)$", found.epilog or "", re.MULTILINE)
    assert examples, "its epilog holds no examples(...)"
    for example in examples:
        # An example may set a variable to what the command prints.
        words = shlex.split(re.sub(r'^export \w+="\$\((.*)\)"$', r"\1", example))
        assert words[: len(path) + 1] == ["delivery", *path]
        found.make_context("delivery", words[len(path) + 1 :])


@each_command
def test_help_of_a_command_cuts_no_option_off_at_100_columns(command: tuple[tuple[str, ...], Any]) -> None:
    path, found = command
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}).output
    for option in found.params:
        if not option.hidden:
            assert all(name in shown for name in option.opts if name.startswith("--"))


def test_help_reads_nothing_that_only_a_command_needs() -> None:
    program = "import sys, cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"httpx", "sqlalchemy", "celery", "fastapi", "cryptography", "rich.table", "worker.settings"}
    assert heavy & set(done.stdout.split()) == set()


COMPLETIONS = {
    "delivery messages list --state fai": ["failed"],
    "delivery replay x --state un": ["unconfirmed"],
    "delivery events --types message.delivered,lane": ["message.delivered,lane", "message.delivered,lane.held"],
    "delivery event-endpoints create --types inbound.op": ["inbound.opt_out", "inbound.opt_in"],
    "delivery surfaces create --channel ": ["sms", "mms"],
    "delivery credentials update kite --unset opt_in": ["opt_in_keywords", "opt_in_message"],
    "delivery batches res": ["resume", "reschedule"],
}


@pytest.mark.parametrize("typed", COMPLETIONS)
def test_shell_is_offered_the_words_of_closed_sets(typed: str, tmp_path: Path) -> None:
    words = typed.split(" ")
    shell = {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1), "_DELIVERY_COMPLETE": "complete_bash"}
    done = subprocess.run(
        delivery_command(), env={**os.environ, **shell}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert set(COMPLETIONS[typed]) <= set(done.stdout.split())
    assert all(word.startswith(words[-1]) for word in done.stdout.split())


@each_command
def test_every_command_is_in_the_document(command: tuple[tuple[str, ...], Any]) -> None:
    name = " ".join(("delivery", *command[0]))
    assert any(f"{span} ".startswith(f"{name} ") for span in spans(ROOT / "docs/cli.md"))
