"""A stack's data folder: taken by one stack at a time, with a mark by which the processes on it are found."""

import fcntl
import os
import shutil
from pathlib import Path

from cli.account import let_servers_through
from cli.errors import CommandError
from cli.logs import rotate
from cli.processes import marked_processes

_MARK = "DELIVERY_STACK"


class DataFolder:
    """`take` it before anything is put there. `mark` has to stand in the environment of each process."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.mark = {_MARK: str(self.path.resolve())}
        self._lock: int | None = None

    @property
    def is_taken(self) -> bool:
        """By us."""
        return self._lock is not None

    def take(self) -> None:
        """Errors: CommandError when it cannot be written, or another stack has it."""
        try:
            for folder in (self.path, self.logs):
                if not folder.exists():
                    folder.mkdir(parents=True)
                    let_servers_through(folder)  # secrets in it are files that only we can read
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CommandError(
                f"cannot write to the data folder {self.path}: {error.strerror}; choose another with --data-dir"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 20).decode().strip()
            os.close(lock)
            raise CommandError(
                f"another `delivery up` (pid {owner}) uses the data folder {self.path}; "
                "stop it or choose another with --data-dir"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        self._lock = lock

    def leave(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def processes(self) -> list[int]:
        """Those that bear its mark."""
        return marked_processes(f"{_MARK}={self.mark[_MARK]}")

    def fresh_temporary_folder(self) -> Path:
        """Where the processes keep what does not outlive them; those that were killed could not clean up."""
        folder = self.path / "tmp"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        return folder

    def fresh_log(self, name: str) -> Path:
        """The log file of one process, empty."""
        path = self.logs / f"{name}.log"
        rotate(path)
        return path
