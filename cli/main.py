"""The `delivery` command. Imports stand inside the commands, so that `delivery --help` is quick."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cli.consents import AsJson
from cli.consents import app as consents_app
from cli.errors import CommandError
from worker.words import Scope

app = typer.Typer(
    name="delivery",
    help="SMS and MMS delivery through Infobip.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
token_app = typer.Typer(help="Tokens that callers of the API show.", no_args_is_help=True)
app.add_typer(token_app, name="token")
app.add_typer(consents_app, name="consents")


DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the embedded servers, keys and logs.  [default: .delivery]"),
]
PortNumber = Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Port to serve on.")]
Host = Annotated[str, typer.Option("--host", help="Address to serve on; 0.0.0.0 for all.")]


@app.command()
def up(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the API.  [default: 8000]")] = None,
    sandbox_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the sandbox.  [default: 8001]")
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65533, help="First of the three ports of the workers' metrics; 0 for none.  [default: 9100]"
        ),
    ] = None,
    data_dir: DataDir = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes for each send queue.")] = 2,
) -> None:
    """Run everything on this machine: servers, API, workers, beat and the sandbox."""
    from cli.stack import Stack, StackOptions
    from worker.settings import settings

    found = settings()
    options = StackOptions(
        data_dir=data_dir or found.data_dir,
        port=port or found.api_port,
        sandbox_port=sandbox_port or found.sandbox_port,
        metrics_port=found.metrics_port if metrics_port is None else metrics_port,
        workers=workers,
    )
    Stack(options).run()


@app.command()
def demo(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the API.  [default: a free one]")] = None,
    sandbox_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the sandbox.  [default: a free one]")
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65533, help="First of the workers' metrics ports; 0 for none.  [default: three free ones]"
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder to use and keep.  [default: a temporary one, removed afterwards]")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes for each send queue.")] = 2,
    messages: Annotated[int, typer.Option(min=60, max=10_000, hidden=True)] = 5_000,
) -> None:
    """Watch 5,000 messages meet every fate the sandbox knows, then see expected against actual."""
    from cli.demo import DemoOptions, run_demo

    options = DemoOptions(
        messages=messages,
        port=port,
        sandbox_port=sandbox_port,
        metrics_port=metrics_port,
        data_dir=data_dir,
        workers=workers,
    )
    raise typer.Exit(run_demo(options))


@app.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to this version's tables."""
    url = _database_url(data_dir)
    from worker.migrations import upgrade

    with _database_errors():
        upgrade(url)


@app.command()
def api(port: PortNumber = None, host: Host = "127.0.0.1", data_dir: DataDir = None) -> None:
    """Serve the HTTP API."""
    _database_url(data_dir)
    from cli.api_server import serve
    from cli.ports import Port, check_free
    from worker.logs import configure_logging
    from worker.settings import settings

    configure_logging()
    number = port or settings().api_port
    check_free([Port(number, "API", "--port")], host)
    serve(
        "api.app:create_app",
        factory=True,
        host=host,
        port=number,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=3,
    )


@app.command()
def worker(
    queues: Annotated[str, typer.Option("--queues", help="Queues to work on, comma-separated.")],
    processes: Annotated[int, typer.Option(min=1, max=64, help="Pool processes.")] = 2,
    data_dir: DataDir = None,
) -> None:
    """Run a Celery worker on some of the queues transactional, marketing and upkeep."""
    _database_url(data_dir)
    from worker.metrics_server import serve_metrics, share_metrics
    from worker.settings import settings

    share_metrics()
    from celery.signals import worker_ready

    from cli.readiness import WORKER_READY
    from worker.app import celery_app
    from worker.watchdog import watch_worker

    serve_metrics(settings().metrics_port)

    def on_ready(**_: object) -> None:
        watch_worker(queues.split(","))
        os.write(2, f"{WORKER_READY}\n".encode())

    worker_ready.connect(on_ready, weak=False)
    # Two workers of one name would answer for each other; a restarted one must not meet its predecessor's.
    name = f"{queues.replace(',', '-')}-{os.getpid()}@%h"
    argv = ["worker", "-Q", queues, "-c", str(processes), "-n", name, "-P", "prefork", "-l", settings().log_level]
    celery_app.worker_main([*argv, "--without-gossip", "--without-mingle", "--without-heartbeat"])


@app.command()
def beat(data_dir: DataDir = None) -> None:
    """Run Celery beat, which has the workers look at what is due. One is enough; two do no harm."""
    _database_url(data_dir)
    from worker.app import celery_app
    from worker.settings import settings

    celery_app.start(["beat", "-l", settings().log_level])


@app.command()
def sandbox(
    port: PortNumber = None,
    host: Host = "127.0.0.1",
    push_retry_seconds: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            show_default="Infobip's",
            help="Unit of the waits between pushes of a report; Infobip's is a minute.",
        ),
    ] = None,
) -> None:
    """Serve the sandbox, a stand-in Infobip."""
    from cli.ports import Port, check_free
    from sandbox.account import Settings
    from sandbox.server import run as serve
    from worker.settings import settings

    number = port or settings().sandbox_port
    check_free([Port(number, "sandbox", "--port")], host)
    serve(host, number, Settings() if push_retry_seconds is None else Settings(push_retry_seconds))


@token_app.command("create")
def create_token(
    name: Annotated[str, typer.Option("--name", help="What the token is for, as lists show it.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it allows; may be given several times.")],
    data_dir: DataDir = None,
) -> None:
    """Make a token and print it. It is not stored and cannot be shown again."""
    _database_url(data_dir)
    from worker import tokens
    from worker.db import open_session

    with _database_errors(), open_session() as session:
        token = tokens.create_token(session, name, scope)
    print(token)


@app.command()
def inbound(
    sender: Annotated[str | None, typer.Option("--from", help="Written by this number.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Written to this number of yours.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Such as opt_out, help or near_miss.")] = None,
    credential: Annotated[str | None, typer.Option("--credential", help="By name or id.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most messages shown.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what handsets wrote, newest first."""
    from cli.api_client import ApiClient
    from cli.tables import print_json, print_table

    with ApiClient() as client:
        query = {"from": sender, "to": to, "action": action, "credential": credential}
        items = list(client.items("/v1/inbound", limit, **query))
    if as_json:
        print_json({"items": items})
    else:
        names = ("id", "received_at", "credential", "channel", "from", "to", "action", "consent", "reply_id", "text")
        print_table(names, items)


def _database_url(data_dir: Path | None) -> str:
    """From the environment, or from a running `delivery up`. Errors: CommandError if neither knows."""
    from cli.environment import DATABASE_URL, read_environment

    read_environment(os.environ, data_dir)
    url = os.environ.get(DATABASE_URL)
    if not url:
        raise CommandError(
            "DELIVERY_DATABASE_URL is not set: set it to a PostgreSQL URL, or run this beside `delivery up` "
            "(with its --data-dir, if it has one)"
        )
    return url


@contextmanager
def _database_errors() -> Iterator[None]:
    """A database that is away is told in one line."""
    from sqlalchemy.exc import DBAPIError

    from worker.db import is_away

    try:
        yield
    except DBAPIError as error:
        if not is_away(error):
            raise
        reason = str(error.orig).strip().splitlines()[0]
        raise CommandError(f"cannot reach the database in DELIVERY_DATABASE_URL: {reason}") from error


def run() -> None:
    """Entry point of the console script."""
    try:
        app()
    except CommandError as error:
        print(f"delivery: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run()
