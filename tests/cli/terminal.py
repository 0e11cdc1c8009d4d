"""A command on a terminal of its own."""

import os
import pty
import subprocess
import termios
from collections.abc import Callable, Iterator, Mapping

from cli.environment import without_settings
from cli.programs import delivery_command
from tests.processes import wait_for


def at_terminal(
    address: str, token: str, *command: str, answers: Mapping[str, str | Callable[[], str]], hidden: bool = False
) -> str:
    """What the command shows on a terminal where each question is answered, `hidden` where nobody may see it. A
    function gives its answer when it is asked."""
    ours, theirs = pty.openpty()
    variables = {"DELIVERY_API_URL": address, "DELIVERY_API_TOKEN": token, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(
        [*delivery_command(), *command],
        env={**without_settings(os.environ), **variables},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said, left = "", dict(answers)
    try:
        for piece in _pieces(ours):
            said += piece
            for question in [question for question in left if question in said]:
                if hidden:
                    # What is typed while it can be seen is thrown away.
                    wait_for(lambda: not termios.tcgetattr(ours)[3] & termios.ECHO)
                answer = left.pop(question)
                os.write(ours, f"{answer() if callable(answer) else answer}\n".encode())
        process.wait(20)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert not left, said
    return said


def _pieces(terminal: int) -> Iterator[str]:
    while True:
        try:
            piece = os.read(terminal, 10_000)
        except OSError:  # nobody is at its other end any more
            return
        yield piece.decode()
