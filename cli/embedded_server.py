"""What the embedded PostgreSQL and Redis share: a folder, an account, a stale copy to stop, the wait for an answer.

The binaries come from wheels and run as our children, so whoever watches the children watches the servers too.
"""

import importlib.util
import re
import shutil
import time
from abc import ABC, abstractmethod
from pathlib import Path

from cli.account import server_account
from cli.child import Child
from cli.errors import CommandError

MISSING = 'the embedded servers are not installed: pip install "infobip-delivery[embedded]"'


class EmbeddedServer(Child, ABC):
    """A server process with a private folder. `start` and `stop` may be called again and again; port or socket and
    data stay the same for the life of the object."""

    title: str  # as its makers write it
    ready_seconds = 60.0  # after a crash PostgreSQL replays its log first

    def __init__(self, name: str, folder: Path, log_path: Path | None, dies_with_parent: bool) -> None:
        self.folder = folder.resolve()  # a stale server is known by this path, however it was written
        super().__init__(name, [], log_path or self.folder / f"{name}.log")
        self.dies_with_parent = dies_with_parent
        self.account = server_account()

    def start(self) -> None:
        """Starts the server and waits until it answers. Errors: CommandError, one line."""
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.ready_seconds
        while not self.answers():
            if not self.is_running:
                raise CommandError(f"{self.title} did not start: {self._last_words()} (log: {self.log_path})")
            if time.monotonic() > deadline:
                raise CommandError(f"{self.title} did not answer in {self.ready_seconds:g} s (log: {self.log_path})")
            time.sleep(0.03)

    @abstractmethod
    def answers(self) -> bool:
        """One look whether the server takes commands."""

    @abstractmethod
    def stop_stale(self) -> bool:
        """Stops a server that a killed parent left on our folder. True if there was one."""

    def _check_data_in_reach(self) -> None:
        self.account.check_reach(self.folder.parent, "its data", "choose another data folder with --data-dir")

    def _in_reach(self, package: Path, part: str) -> Path:
        """A part of an installed package, or its copy in our own folder where the server's account cannot enter the
        package's: a clone below a private folder is no reason not to run."""
        if self.account.closed_to(package / part) is None:
            return package / part
        copy = self.folder / "installation"
        shutil.rmtree(copy, ignore_errors=True)  # it may be of another version
        libraries = package.with_name(package.name + ".libs")  # wheels keep shared libraries beside the package
        for source in (package / part, libraries):
            if source.exists():
                shutil.copytree(source, copy / source.relative_to(package.parent), symlinks=True)
        return copy / package.name / part

    def _last_words(self) -> str:
        lines = self.last_lines()
        # Our own looks while it starts are logged as fatal too.
        graver = [line for line in lines if re.search("FATAL|PANIC", line) and "the database system is" not in line]
        return (graver or lines or ["it said nothing"])[-1]


def package_folder(package: str) -> Path:
    """Where an installed package lies; found without importing it. Errors: CommandError if it is not installed."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise CommandError(MISSING)
    return Path(next(iter(found.submodule_search_locations)))
