"""The whole product on one machine, servers and sandbox included: for `delivery up`, the demo, tests and benches."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import typer

from cli import environment as env
from cli.child import Child
from cli.data_folder import DataFolder
from cli.embedded_postgres import EmbeddedPostgres
from cli.embedded_redis import EmbeddedRedis
from cli.embedded_server import EmbeddedServer
from cli.errors import CommandError
from cli.ports import Port, check_free
from cli.processes import adopt_orphans, stop_strangers
from cli.programs import QUEUES, WORKERS, Program, delivery_command, stack_programs
from cli.supervisor import StopRequested, StopSignals, Supervisor
from worker.settings import INFOBIP_HOSTS

READY_SECONDS = 60.0
MIGRATE_SECONDS = 120.0
_WATCH_SECONDS = 0.05
_SERVING_WATCH_SECONDS = 0.25  # once all is ready: 20 looks a second cost more than all of PostgreSQL
# One wave after the other: what hands work out and does it, then whom it talks to, then where it is kept.
_STOP_WAVES = (
    ("api", "beat", *WORKERS),
    ("sandbox",),
    ("redis",),
    ("postgres",),
)


def say(line: str) -> None:
    """A line of the supervisor's own, on stderr; the terminal may have gone."""
    try:
        typer.secho(line, err=True, fg="yellow" if " | " in line else "cyan")
    except OSError:
        return


@dataclass(frozen=True)
class StackOptions:
    """`environment` is put over our own for every process of the stack: DELIVERY_* settings of a demo or a test.

    `sandbox_options` are given to `delivery sandbox`. `worker_command` runs the workers in `delivery`'s stead, for
    tests that reach inside them.
    """

    data_dir: Path = Path(".delivery")
    port: int = 8000
    sandbox_port: int = 8001
    metrics_port: int = 9100
    workers: int = 2
    environment: Mapping[str, str] = field(default_factory=dict)
    sandbox_options: Sequence[str] = ()
    worker_command: Sequence[str] = ()


class Stack:
    """Servers and processes as one thing. `start`, `wait_ready`, then `watch` several times a second, `stop` in any
    case, all from one thread; `run` does all that for a command. Errors everywhere: CommandError, one line."""

    def __init__(self, options: StackOptions, programs: Sequence[Program] | None = None) -> None:
        """With `programs` these run instead of the product's, and no migration."""
        self.options = options
        self._folder = DataFolder(options.data_dir)
        self.postgres: EmbeddedPostgres | None = None
        self.redis: EmbeddedRedis | None = None
        self.stop_signals: StopSignals | None = None
        self._programs = programs
        self._environment = {**os.environ, **options.environment}
        self._supervisor = Supervisor(say)
        self._children: list[tuple[Program, Child]] = []

    @property
    def data_dir(self) -> Path:
        return self._folder.path

    @property
    def logs_dir(self) -> Path:
        return self._folder.logs

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.options.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.options.sandbox_port}"

    @property
    def database_url(self) -> str:
        return self._environment[env.DATABASE_URL]

    @property
    def redis_url(self) -> str:
        return self._environment[env.REDIS_URL]

    @property
    def environment(self) -> dict[str, str]:
        """What the processes of the stack are given, once it is started."""
        return dict(self._environment)

    def pid_of(self, name: str) -> int | None:
        """Of `api`, `sandbox`, `beat`, `worker-<queue>`, `postgres` or `redis`; a restart changes it."""
        servers = [server for server in (self.postgres, self.redis) if server]
        for child in [*(child for _, child in self._children), *servers]:
            if child.name == name:
                return child.pid
        return None

    def start(self) -> None:
        """Starts everything and does not wait for the processes to be ready."""
        self._folder.take()
        self._stop_leftovers()
        self._check_ports()
        self._start_servers()
        self._complete_environment()
        if self._programs is None:
            self._migrate()
        self._start_programs()

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Returns when every process is ready, and keeps watch meanwhile."""
        deadline = time.monotonic() + seconds
        waiting = self._children
        while waiting:
            self.watch()
            waiting = [(program, child) for program, child in waiting if not program.is_ready(child.log_path)]
            if waiting and time.monotonic() > deadline:
                child = waiting[0][1]
                raise CommandError(f"{child.name} was not ready within {seconds:g} s; its log: {child.log_path}")
            time.sleep(_WATCH_SECONDS)

    def watch(self) -> None:
        """One look: starts again what died, shows new warnings. Errors: CommandError when a child cannot live,
        StopRequested where a stop was asked for and what the signal raised was lost."""
        if self.stop_signals is not None:
            self.stop_signals.check()
        self._supervisor.watch()

    def hurry(self) -> None:
        """Makes a `stop` under way kill instead of ask."""
        self._supervisor.hurry()

    def stop(self) -> None:
        """Stops whatever runs, within 10 s. Harmless when nothing does."""
        self._supervisor.stop(*_STOP_WAVES)
        if self._folder.is_taken:
            stop_strangers(self._folder.processes())
            env.forget_environment(self.data_dir)
            self._folder.leave()

    def run(self) -> None:
        """Serves until Ctrl-C or SIGTERM; for a process that has nothing else to do."""
        adopt_orphans()
        self._supervisor.reaps_orphans = True
        with StopSignals(self.hurry) as signals:
            self.stop_signals = signals
            try:
                self.start()
                self.wait_ready()
                print(f"ready {self.api_url}", flush=True)
                while True:
                    self.watch()
                    time.sleep(_SERVING_WATCH_SECONDS)
            except StopRequested:
                say("stopping")
            finally:
                signals.is_stopping = True
                self.stop()

    def _stop_leftovers(self) -> None:
        """Processes of an earlier stack on this folder that was killed: it is ours now, so that one is not alive."""
        if left := self._folder.processes():
            say(f"stopping {len(left)} processes that an earlier run left behind")
            stop_strangers(left, (15, 5.0))

    def _check_ports(self) -> None:
        options = self.options
        ports = [Port(options.port, "API", "--port"), Port(options.sandbox_port, "sandbox", "--sandbox-port")]
        if options.metrics_port:
            for offset, queue in enumerate(QUEUES):
                ports.append(Port(options.metrics_port + offset, f"metrics of the {queue} worker", "--metrics-port"))
        check_free(ports)

    def _start_servers(self) -> None:
        servers: list[EmbeddedServer] = []
        if not self._environment.get(env.DATABASE_URL):
            self.postgres = EmbeddedPostgres(self.data_dir / "postgres", log_path=self._folder.fresh_log("postgres"))
            servers.append(self.postgres)
        if not self._environment.get(env.REDIS_URL):
            self.redis = EmbeddedRedis(self.data_dir / "redis", log_path=self._folder.fresh_log("redis"))
            servers.append(self.redis)
        if servers and servers[0].account.uid is not None:
            titles = " and ".join(server.title for server in servers)
            say(f"running as root: {titles} run as the user {servers[0].account.name}")
        for server in servers:
            if server.stop_stale():
                say(f"stopped a {server.title} that an earlier run left behind")
            self._supervisor.add(server, shows_warnings=False)
            server.start()

    def _complete_environment(self) -> None:
        options, given = self.options, self._environment
        if self.postgres:
            given[env.DATABASE_URL] = self.postgres.url
        if self.redis:
            given[env.REDIS_URL] = self.redis.url
        given[env.SECRET_KEYS] = given.get(env.SECRET_KEYS) or env.kept_secret_keys(self.data_dir)
        given[env.BOOTSTRAP_TOKEN] = given.get(env.BOOTSTRAP_TOKEN) or env.kept_token(self.data_dir)
        given["DELIVERY_PUBLIC_URL"] = given.get("DELIVERY_PUBLIC_URL") or self.api_url
        hosts = given.get("DELIVERY_ALLOWED_PROVIDER_HOSTS") or ",".join(INFOBIP_HOSTS)
        local = [f"{host}:{options.sandbox_port}" for host in ("127.0.0.1", "localhost")]
        given["DELIVERY_ALLOWED_PROVIDER_HOSTS"] = ",".join([hosts, *local])
        given["DELIVERY_ALLOWED_MEDIA_HOSTS"] = ",".join(
            [*filter(None, [given.get("DELIVERY_ALLOWED_MEDIA_HOSTS")]), *local]
        )
        given["DELIVERY_API_PORT"] = str(options.port)
        given["DELIVERY_SANDBOX_PORT"] = str(options.sandbox_port)
        given["DELIVERY_METRICS_PORT"] = str(options.metrics_port)
        given[env.API_URL] = self.api_url
        given[env.DATA_DIR] = str(self.data_dir)
        env.write_environment(self.data_dir, {**env.settings_in(given), env.API_TOKEN: given[env.BOOTSTRAP_TOKEN]})
        given["TMPDIR"] = str(self._folder.fresh_temporary_folder())
        given.update(self._folder.mark)
        given["PYTHONUNBUFFERED"] = "1"  # a log line is in the file before a crash can lose it

    def _migrate(self) -> None:
        migrate = Child(
            "migrate", [*delivery_command(), "migrate"], self._folder.fresh_log("migrate"), self._environment
        )
        migrate.launch()
        deadline = time.monotonic() + MIGRATE_SECONDS
        try:
            while (status := migrate.poll()) is None and time.monotonic() < deadline:
                time.sleep(_WATCH_SECONDS)
        finally:
            migrate.kill()
        if status != 0:
            words = "\n".join(f"  {line}" for line in migrate.last_lines())
            raise CommandError(f"the database could not be migrated:\n{words}\nits log: {migrate.log_path}")

    def _start_programs(self) -> None:
        options = self.options
        programs = self._programs
        if programs is None:
            programs = stack_programs(
                port=options.port,
                sandbox_port=options.sandbox_port,
                metrics_port=options.metrics_port,
                workers=options.workers,
                sandbox_options=options.sandbox_options,
                worker_command=options.worker_command,
            )
        say(f"data in {self.data_dir}, logs in {self.logs_dir}")
        for program in programs:
            child = Child(
                program.name,
                program.argv,
                self._folder.fresh_log(program.name),
                {**self._environment, **program.environment},
            )
            self._children.append((program, child))
            self._supervisor.add(child)
            child.launch()
