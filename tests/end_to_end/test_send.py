"""`delivery send`, from a file of people to the end of each message, as a shell sees it."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cli.environment import without_settings
from cli.programs import delivery_command
from tests.end_to_end.conftest import TOKEN, System
from tests.end_to_end.observing import recipient_ending, recipients
from tests.processes import wait_for

HELLO = ("--text", "Hello {{name}}")


def started(system: System, folder: Path, *options: str) -> subprocess.Popen[str]:
    variables = {"DELIVERY_API_URL": system.stack.api_url, "DELIVERY_API_TOKEN": TOKEN}
    return subprocess.Popen(
        [*delivery_command(), "send", *options],
        cwd=folder,
        env={**without_settings(os.environ), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def send(system: System, folder: Path, *options: str) -> tuple[int, str]:
    with started(system, folder, *options) as process:
        out, err = process.communicate(timeout=60)
    assert err == ""
    return process.returncode, out


def people(folder: Path, numbers: list[str]) -> tuple[str, str]:
    rows = [f"{number},Anna" for number in numbers]
    (folder / "people.csv").write_text("\n".join(["phone,name", *rows, ""]))
    return "--file", "people.csv"


def test_file_is_sent_and_followed_until_all_of_it_is_delivered(system: System, tmp_path: Path) -> None:
    surface, numbers = system.surface(), recipients(50)
    code, out = send(system, tmp_path, "--surface", surface, *people(tmp_path, numbers), *HELLO)
    assert code == 0
    accepted, *_, heading, delivered = out.splitlines()
    assert accepted.endswith(": 50 accepted")
    assert (heading.split(), delivered.split()) == (["state", "count", "share"], ["delivered", "50", "100.0%"])
    sent = [item for number in numbers for item in system.accepted(to=number)]
    assert {item["text"] for item in sent} == {"Hello Anna"}
    assert len(sent) == 50


def test_same_command_again_is_the_same_batch_and_no_second_message(system: System, tmp_path: Path) -> None:
    surface, numbers = system.surface(), recipients(3)
    options = ("--surface", surface, *people(tmp_path, numbers), *HELLO)
    assert send(system, tmp_path, *options) == send(system, tmp_path, *options)
    assert [len(system.accepted(to=number)) for number in numbers] == [1, 1, 1]


def test_what_was_not_delivered_is_told_with_its_reason_and_the_exit_code(system: System, tmp_path: Path) -> None:
    numbers = [*recipients(3), recipient_ending("9003")]
    code, out = send(system, tmp_path, "--surface", system.surface(), *people(tmp_path, numbers), *HELLO)
    assert code == 4
    lines = out.splitlines()
    assert ["failed", "1", "25.0%"] in [line.split() for line in lines]
    assert any(line.split()[:2] == ["1", "EC_UNKNOWN_SUBSCRIBER"] for line in lines)


def test_rejected_rows_make_another_exit_code_of_all_delivered(system: System, tmp_path: Path) -> None:
    numbers = [*recipients(1), "call me"]
    options = (*people(tmp_path, numbers), *HELLO, "--skip-invalid", "--json")
    code, out = send(system, tmp_path, "--surface", system.surface(), *options)
    assert code == 3
    assert '"delivered": 1' in out


@pytest.mark.parametrize(("ending", "state", "code"), [(None, "delivered", 0), ("9003", "failed", 4)])
def test_single_message_is_followed_to_its_end(
    system: System, tmp_path: Path, ending: str | None, state: str, code: int
) -> None:
    to = recipient_ending(ending) if ending else recipients(1)[0]
    ended, out = send(system, tmp_path, "--surface", system.surface(), "--to", to, "--text", "Hello")
    assert ended == code
    assert out.splitlines()[-1].startswith(state)


def test_ctrl_c_leaves_the_batch_running_and_says_how_to_look_at_it(system: System, tmp_path: Path) -> None:
    surface = system.surface()
    options = ("--surface", surface, *people(tmp_path, recipients(6)), *HELLO, "--messages-per-second", "1")
    with started(system, tmp_path, *options) as process:
        batch: dict[str, Any] = wait_for(lambda: batch_of(system, surface), 30)
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == f"delivery: the batch goes on without you: `delivery watch --batch {batch['id']}` shows it\n"
    assert {message["state"] for message in system.finished(batch["id"]).values()} == {"delivered"}


def batch_of(system: System, surface: str) -> dict[str, Any] | None:
    return next((item for item in system.all("/v1/batches") if item["surface"] == surface), None)
