"""The account that the embedded servers run as: ours, or another one when we are root, which PostgreSQL refuses."""

import os
import pwd
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cli.errors import CommandError

# `[ -x folder ]` asks the kernel as that user, so ACLs, groups and capabilities count as they will for the server.
_FIRST_CLOSED = 'for path do [ -x "$path" ] || { printf %s "$path"; exit 1; }; done'


@dataclass(frozen=True)
class Account:
    """`uid` and `gid` are None for the account that we already run as."""

    name: str
    uid: int | None = None
    gid: int | None = None

    @property
    def extra_groups(self) -> list[int] | None:
        """For Popen: no groups beside the account's own, so that root's do not come along."""
        return None if self.uid is None else []

    def make_folder(self, folder: Path) -> None:
        """Makes a private folder, or takes over the one that is there."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.give(folder)

    def give(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def check_reach(self, path: Path, what: str, advice: str) -> None:
        """Raises CommandError when a folder on the way to `path` is closed to this account."""
        closed = self.closed_to(path)
        if closed is not None:
            raise CommandError(
                f"PostgreSQL refuses to run as root, so it runs as the user {self.name}, who cannot enter "
                f"{closed} on the way to {what}: {advice}"
            )

    def closed_to(self, path: Path) -> str | None:
        """The first folder on the way to `path` that this account cannot enter, or None."""
        if self.uid is None:
            return None
        way = [str(part) for part in (*reversed(path.parents), path)]
        tried = subprocess.run(
            ["/bin/sh", "-c", _FIRST_CLOSED, "sh", *way],
            user=self.uid,
            group=self.gid,
            extra_groups=self.extra_groups,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        return (tried.stdout or str(path)) if tried.returncode else None


@lru_cache(maxsize=1)
def server_account() -> Account:
    if os.geteuid() != 0:
        return Account(name=str(os.geteuid()))
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise CommandError("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as")


def let_servers_through(folder: Path) -> None:
    """Closes our folder to others, all but the servers' account, which has to pass through to its own in there."""
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)


def temporary_folder(prefix: str) -> Path:
    """A new folder of ours with servers in it. Whoever asked for it removes it."""
    folder = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
    let_servers_through(folder)
    return folder
