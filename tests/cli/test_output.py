"""Standard output that takes no more: what only looks is not done, and what is done is not said to be undone."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from cli.environment import without_settings
from cli.programs import delivery_command

pytestmark = pytest.mark.usefixtures("lane")

PEOPLE = "phone\n919876543210\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text(PEOPLE)
    return tmp_path


def run(kind: str, address: str, token: str, folder: Path, *words: str) -> tuple[int, str]:
    """The exit code and what stands on standard error, where standard output is of that kind."""
    return run_with(kind, {"DELIVERY_API_URL": address, "DELIVERY_API_TOKEN": token}, folder, *words)


def run_with(kind: str, ours: Mapping[str, str], folder: Path, *words: str) -> tuple[int, str]:
    command, reads, writes = [*delivery_command(), *words], -1, -1
    if kind == "full":
        writes = os.open("/dev/full", os.O_WRONLY)
    elif kind == "without a reader":
        reads, writes = os.pipe()
        os.close(reads)
    else:
        command = ["sh", "-c", f'exec "$@" {kind}', "sh", *command]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**without_settings(os.environ), **ours},
        stdin=subprocess.DEVNULL,
        stdout=None if writes < 0 else writes,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if writes >= 0:
        os.close(writes)
    return done.returncode, done.stderr


WORDS = {"full": "No space left on device", "without a reader": "Broken pipe", ">&-": "Bad file descriptor"}
each_kind = pytest.mark.parametrize("kind", WORDS)


@each_kind
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "json"])
def test_list_that_cannot_be_written_is_not_done(
    kind: str, form: tuple[str, ...], address: str, token: str, folder: Path
) -> None:
    code, said = run(kind, address, token, folder, "surfaces", "list", *form)
    assert (code, said) == (1, f"delivery: cannot write standard output: {WORDS[kind]}\n")


@each_kind
def test_send_whose_output_is_lost_has_sent_and_does_not_say_otherwise(
    kind: str, address: str, token: str, folder: Path, administrator: httpx.Client
) -> None:
    words = ("send", "--surface", "main", "--file", "people.csv", "--text", "Hello", "--no-wait")
    code, said = run(kind, address, token, folder, *words)
    assert (code, said) == (5, f"delivery: cannot write standard output: {WORDS[kind]}\n")
    assert len(administrator.get("/v1/batches").json()["items"]) == 1


@each_kind
def test_token_whose_output_is_lost_is_made_and_is_not_said_to_be_undone(
    kind: str, database_url: str, folder: Path
) -> None:
    words = ("token", "create", "--name", "lost", "--scope", "read")
    assert run_with(kind, {"DELIVERY_DATABASE_URL": database_url}, folder, *words) == (
        5,
        f"delivery: cannot write standard output: {WORDS[kind]}\n",
    )


@each_kind
def test_migration_of_which_nothing_is_to_be_said_needs_no_output(kind: str, database_url: str, folder: Path) -> None:
    assert run_with(kind, {"DELIVERY_DATABASE_URL": database_url}, folder, "migrate") == (0, "")


def test_exit_code_of_what_was_rejected_is_kept(address: str, token: str, folder: Path) -> None:
    (folder / "people.csv").write_text(f"{PEOPLE}call me\n")
    words = ("--file", "people.csv", "--text", "Hello", "--no-wait", "--skip-invalid")
    assert run("full", address, token, folder, "send", "--surface", "main", *words)[0] == 3


@pytest.mark.parametrize("way", ["2>/dev/full", "2>&-"])
def test_remarks_that_are_lost_change_no_exit_code(way: str, address: str, token: str, folder: Path) -> None:
    (folder / "people.csv").write_text("phone\ncall me\n")
    words = ("--file", "people.csv", "--text", "Hello", "--no-wait")
    assert run(f"{way} >/dev/null", address, token, folder, "send", "--surface", "main", *words)[0] == 1
    words = ("--to", "919876543210", "--text", "Hello", "--no-wait", "--key", "mine")
    assert run(f"{way} >&-", address, token, folder, "send", "--surface", "main", *words)[0] == 5


@each_kind
def test_dry_run_whose_output_is_lost_is_not_done(kind: str, address: str, token: str, folder: Path) -> None:
    words = ("send", "--surface", "main", "--file", "people.csv", "--text", "Hello", "--dry-run")
    assert run(kind, address, token, folder, *words)[0] == 1
