"""The `delivery` command as it is called from a shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from cli.environment import settings_in, without_settings
from cli.main import app, run

COMMAND = [sys.executable, "-m", "cli.main"]


def delivery(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    environment = {**without_settings(os.environ), "PYTHONPATH": root, "NO_COLOR": "1", **variables}
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


def test_help_names_every_command(tmp_path: Path) -> None:
    done = delivery("--help", cwd=tmp_path)
    commands = get_command(app).commands
    assert {"up", "demo", "token"} <= set(commands)
    for command in commands:
        assert f" {command} " in done.stdout
