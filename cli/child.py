"""One process under our care: launched, watched, asked to stop, made to stop."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cli.account import Account
from cli.errors import CommandError
from cli.logs import last_lines
from cli.processes import die_with_parent, send_signal

_OWN_ACCOUNT = Account(name="")
StopPlan = Sequence[tuple[int, float]]


class Child:
    """Each child leads a process group within our session: Ctrl-C reaches us alone, and a group can be killed whole
    even when its leader is gone, as Celery's pool processes are after a SIGKILL of the worker."""

    # Signals and the seconds to wait after each; SIGKILL to the whole group ends every plan.
    stop_plan: StopPlan = ((signal.SIGTERM, 4.5), (signal.SIGQUIT, 0.5))
    hurry_signal: int = signal.SIGKILL

    def __init__(
        self, name: str, argv: Sequence[str], log_path: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.log_path = log_path
        self.environment = environment
        self.dies_with_parent = True
        self.started_at = 0.0
        self._log_offset = 0  # where the log of the latest launch begins
        self._process: subprocess.Popen[bytes] | None = None
        self._stop_steps: list[tuple[float, int]] = []

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self.poll() is None

    def last_lines(self) -> list[str]:
        """What it logged last, since it was launched."""
        return [line for line in last_lines(self.log_path, self._log_offset) if line.strip()]

    def launch(self) -> None:
        """Starts the process and does not wait for it to be of use. Errors: CommandError if it cannot be started."""
        self._process = self._spawn()
        self.started_at = time.monotonic()

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs or was never launched."""
        if self._process is None:
            return None
        was_known = self._process.returncode is not None
        status = self._process.poll()
        if status is not None and not was_known:
            self._kill_group()
        return status

    def begin_stop(self) -> None:
        """Sends the first signal of the plan. `press_on` has to be called until `is_running` is false."""
        at = time.monotonic()
        self._stop_steps = []
        for number, seconds in self.stop_plan:
            self._stop_steps.append((at, number))
            at += seconds
        self._stop_steps.append((at, signal.SIGKILL))
        self.press_on()

    def press_on(self, hurry: bool = False) -> None:
        """Sends the signals of the plan that are due, and in a hurry `hurry_signal` at once."""
        if not self.is_running:
            return
        if hurry:
            self._send(self.hurry_signal)
        while self._stop_steps and self._stop_steps[0][0] <= time.monotonic():
            self._send(self._stop_steps.pop(0)[1])

    def stop(self) -> None:
        """Stops by plan and waits for the end, which the plan bounds."""
        stop_together([self])

    def kill(self) -> None:
        """SIGKILL, as a crash would be."""
        if self._process is not None and self.is_running:
            self._kill_group()
            self._process.wait()

    def _spawn(self) -> subprocess.Popen[bytes]:
        return self._open(self.argv, environment=self.environment)

    def _open(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str] | None = None,
        account: Account = _OWN_ACCOUNT,
        cwd: Path | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        try:
            with self.log_path.open("ab") as log:
                self._log_offset = log.seek(0, os.SEEK_END)
                return subprocess.Popen(
                    argv,
                    stdin=stdin,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=cwd,
                    user=account.uid,
                    group=account.gid,
                    extra_groups=account.extra_groups,
                    process_group=0,
                    preexec_fn=die_with_parent(self.stop_plan[0][0]) if self.dies_with_parent else None,
                )
        except OSError as error:
            raise CommandError(f"cannot start {self.name}: {error}") from error

    def _send(self, number: int) -> None:
        if number == signal.SIGKILL:
            self._kill_group()
        elif self.pid is not None:
            send_signal(self.pid, number)

    def _kill_group(self) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)


def stop_together(children: Sequence[Child], is_hurried: Callable[[], bool] = lambda: False) -> None:
    """Stops children side by side, asking them in the order given. Returns when all are gone."""
    for child in children:
        child.begin_stop()
    while any([child.is_running for child in children]):  # noqa: C419 - every one must be polled, so that it is reaped
        for child in children:
            child.press_on(hurry=is_hurried())
        time.sleep(0.02)
