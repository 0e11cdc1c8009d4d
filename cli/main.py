"""The `delivery` command. Imports stand inside the commands, so that `delivery --help` is quick."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cli import batches, consents, credentials, dlt_templates, event_endpoints, media, messages, surfaces
from cli.errors import CommandError
from cli.events import EXAMPLES as EVENT_EXAMPLES
from cli.events import events
from cli.healthcheck import EXAMPLES as HEALTHCHECK_EXAMPLES
from cli.healthcheck import healthcheck
from cli.inbound import EXAMPLES as INBOUND_EXAMPLES
from cli.inbound import inbound
from cli.lanes import lanes
from cli.options import LOOK, RUN, SEND, SET_UP, STEER, examples, say
from cli.output import go_on_without_output, guard_output
from cli.replay import EXAMPLES as REPLAY_EXAMPLES
from cli.replay import replay
from cli.secret_files import read_secret_files
from cli.send import EXAMPLES as SEND_EXAMPLES
from cli.send import send
from cli.watch import EXAMPLES as WATCH_EXAMPLES
from cli.watch import watch
from worker.words import Scope

app = typer.Typer(
    name="delivery",
    help="SMS and MMS delivery through Infobip.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
token_app = typer.Typer(help="Tokens that callers of the API show.", no_args_is_help=True)

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the embedded servers, keys and logs.", show_default=".delivery"),
]
PortNumber = Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Port to serve on.")]
Host = Annotated[str, typer.Option("--host", help="Address to serve on; 0.0.0.0 for all.")]


@app.command(epilog=examples("delivery migrate", "delivery migrate --restored"), rich_help_panel=SET_UP)
def migrate(
    data_dir: DataDir = None,
    restored: Annotated[
        bool, typer.Option("--restored", help="It was put back to an earlier time, by other means than a dump.")
    ] = False,
) -> None:
    """Bring the database to this version's tables, and home where it was restored from a dump."""
    url = _database_url(data_dir)
    from worker.migrations import upgrade

    with _database_errors():
        is_new_era = upgrade(url, is_restored=restored)
        go_on_without_output()
        if is_new_era:
            print("the database was restored: cursors of its feeds from before answer 410")


@app.command(epilog=examples("delivery up", "delivery up --port 8080 --workers 4"), rich_help_panel=RUN)
def up(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the API.", show_default="8000")] = None,
    sandbox_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the sandbox.", show_default="8001")
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65533, help="First of the three ports of the workers' metrics; 0 for none.", show_default="9100"
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


@app.command(epilog=examples("delivery demo"), rich_help_panel=RUN)
def demo(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the API.", show_default="a free one")
    ] = None,
    sandbox_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the sandbox.", show_default="a free one")
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65533, help="First of the workers' metrics ports; 0 for none.", show_default="three free ones"
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder to use and keep.", show_default="a temporary one, removed afterwards")
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


@app.command(epilog=examples("delivery api --host 0.0.0.0"), rich_help_panel=RUN)
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
        timeout_keep_alive=75,  # seconds; who keeps a connection for longer than we do writes into a closed one
    )


@app.command(
    epilog=examples(
        "delivery worker --queues transactional", "delivery worker --queues marketing,upkeep --processes 4"
    ),
    rich_help_panel=RUN,
)
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
    from worker import pool_metrics  # noqa: F401 - listens to the pool
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
    celery_app.worker_main(["--quiet", *argv, "--without-gossip", "--without-mingle", "--without-heartbeat"])


@app.command(epilog=examples("delivery beat"), rich_help_panel=RUN)
def beat(data_dir: DataDir = None) -> None:
    """Run Celery beat, which has the workers look at what is due. One is enough; two do no harm."""
    _database_url(data_dir)
    from worker.app import celery_app
    from worker.settings import settings

    celery_app.start(["--quiet", "beat", "-l", settings().log_level])


@app.command(epilog=examples("delivery sandbox --push-retry-seconds 1"), rich_help_panel=RUN)
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


@token_app.command(
    "create",
    epilog=examples(
        "delivery token create --name shop --scope send",
        'export DELIVERY_API_TOKEN="$(delivery token create --name me --scope read --scope replay)"',
    ),
)
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
    go_on_without_output()
    print(token)


app.command("healthcheck", epilog=HEALTHCHECK_EXAMPLES, rich_help_panel=RUN)(healthcheck)
app.add_typer(token_app, name="token", rich_help_panel=SET_UP)
app.add_typer(credentials.app, rich_help_panel=SET_UP)
app.add_typer(surfaces.app, rich_help_panel=SET_UP)
app.add_typer(dlt_templates.app, rich_help_panel=SET_UP)
app.add_typer(event_endpoints.app, rich_help_panel=SET_UP)
app.command("send", epilog=SEND_EXAMPLES, rich_help_panel=SEND)(send)
app.add_typer(media.app, rich_help_panel=SEND)
app.command("watch", epilog=WATCH_EXAMPLES, rich_help_panel=LOOK)(watch)
app.command("events", epilog=EVENT_EXAMPLES, rich_help_panel=LOOK)(events)
app.command("inbound", epilog=INBOUND_EXAMPLES, rich_help_panel=LOOK)(inbound)
app.command("lanes", epilog=examples("delivery lanes"), rich_help_panel=LOOK)(lanes)
app.add_typer(messages.app, rich_help_panel=LOOK)
app.command("replay", epilog=REPLAY_EXAMPLES, rich_help_panel=STEER)(replay)
app.add_typer(batches.app, rich_help_panel=STEER)
app.add_typer(consents.app, rich_help_panel=STEER)


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

    from worker.db import advice, is_away

    try:
        yield
    except DBAPIError as error:
        if not is_away(error):
            raise
        if (words := advice(error)) is not None:
            raise CommandError(words) from error
        reason = str(error.orig).strip().splitlines()[0]
        raise CommandError(f"cannot reach the database in DELIVERY_DATABASE_URL: {reason}") from error


def run() -> None:
    """Entry point of the console script."""
    before, output = sys.stdout, guard_output()
    try:
        code, lost = output.end(_run(sys.argv[1:]))
        if lost is not None:
            say(f"delivery: {lost}")
    finally:
        sys.stdout = before
    sys.exit(code)


def _run(words: list[str]) -> int:
    """The exit code of the command."""
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        say("delivery: an argument is not UTF-8: this shell writes in another encoding")
        return 2
    try:
        read_secret_files(os.environ)
        app()
    except CommandError as error:
        say(f"delivery: {error}")
        return 1
    except SystemExit as ended:
        if isinstance(ended.code, str):
            say(ended.code)
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    run()
