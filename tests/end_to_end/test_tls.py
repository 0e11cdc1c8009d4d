"""PostgreSQL and Redis over TLS, at URLs as docs/deploy.md has them: who is not the one named is not spoken to."""

import re
import ssl
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis
from cryptography.x509 import DNSName
from kombu import Connection
from kombu.exceptions import OperationalError

from cli.embedded_postgres import EmbeddedPostgres
from cli.embedded_redis import EmbeddedRedis
from cli.stack import Stack
from tests.certificates import certificate
from tests.documents import ROOT
from tests.end_to_end.conftest import running, short_options
from tests.end_to_end.observing import recipients
from tests.end_to_end.tls_doors import postgres_door, redis_door
from worker.settings import Settings

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"  # what the document names, in whose place the tests' own stands


def documented(scheme: str, port: int, believed: Path, database: str, user: str) -> str:
    """The document's URL, with a server of ours in the place of its own."""
    (url,) = re.findall(rf"`({scheme}://[^`]+)`", (ROOT / "docs/deploy.md").read_text())
    assert AUTHORITIES in url
    address, question, options = url.replace(AUTHORITIES, str(believed)).partition("?")
    return re.sub(r"//.*", f"//{user}localhost:{port}/{database}", address) + question + options


@dataclass(frozen=True)
class Doors:
    """Ports, and two authorities: the one whose certificates the servers show, and another."""

    postgres: int
    redis: int
    password: str
    believed: Path
    stranger: Path

    def database_url(self, believed: Path) -> str:
        return documented("postgresql", self.postgres, believed, "own", "postgres@")

    def redis_url(self, believed: Path) -> str:
        return documented("rediss", self.redis, believed, "0", f":{self.password}@")


@pytest.fixture
def doors(
    postgres: EmbeddedPostgres, redis_server: EmbeddedRedis, own_database: str, own_folder: Path
) -> Iterator[Doors]:
    tls, believed = certificate(own_folder, DNSName("localhost"), called="ours")
    _, stranger = certificate(own_folder, DNSName("localhost"), called="stranger")
    assert redis_server.port is not None
    password = redis_server.url.partition("//:")[2].partition("@")[0]
    with (
        postgres_door(postgres.socket_folder / ".s.PGSQL.5432", tls) as postgres_port,
        redis_door(redis_server.port, tls) as redis_port,
    ):
        yield Doors(postgres_port, redis_port, password, believed, stranger)


def _setting(url: str) -> str:
    """As the product's processes have it, whatever the URL leaves out."""
    given = Settings(redis_url=url).redis_url  # type: ignore[arg-type] # read from text, as from the environment
    assert given is not None
    return given.get_secret_value()


def test_a_stack_delivers_over_tls(doors: Doors, own_folder: Path) -> None:
    options = short_options(
        own_folder,
        DELIVERY_DATABASE_URL=doors.database_url(doors.believed),
        DELIVERY_REDIS_URL=doors.redis_url(doors.believed),
    )
    with running(Stack(options)) as system:
        system.stack.wait_ready()
        messages = system.finished(system.batch(system.surface(), recipients(50)))
        assert system.get("/readyz")["redis"] == "up"
    assert Counter(message["state"] for message in messages.values()) == {"delivered": 50}


def test_a_postgresql_of_another_authority_is_not_spoken_to(doors: Doors) -> None:
    with psycopg.connect(doors.database_url(doors.believed)) as connection:
        assert connection.pgconn.ssl_in_use
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(doors.database_url(doors.stranger))


def test_a_redis_of_the_authority_that_is_named_is_spoken_to(doors: Doors) -> None:
    """By our own client, and by Celery's."""
    url = _setting(doors.redis_url(doors.believed))
    with redis.Redis.from_url(url) as client:
        assert client.ping()
    with Connection(url) as connection:
        connection.ensure_connection(max_retries=1)


@pytest.mark.parametrize("says_so", [True, False])
def test_a_redis_of_another_authority_is_not_spoken_to(doors: Doors, says_so: bool) -> None:
    """Also where the URL does not say that certificates are checked: those of the machine's authorities pass then."""
    url = doors.redis_url(doors.stranger)
    refused = _setting(url if says_so else url.partition("?")[0])
    with redis.Redis.from_url(refused) as client, pytest.raises(redis.ConnectionError, match="VERIFY_FAILED"):
        client.ping()
    with Connection(refused) as connection, pytest.raises(OperationalError, match="VERIFY_FAILED"):
        connection.ensure_connection(max_retries=1)


def test_nobody_is_let_in_without_tls(doors: Doors) -> None:
    """So what the other tests see went through TLS."""
    clear = doors.database_url(doors.believed).replace("verify-full", "disable")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(clear)
    url = f"redis://:{doors.password}@localhost:{doors.redis}/0"
    with redis.Redis.from_url(url) as client, pytest.raises((redis.ConnectionError, ssl.SSLError)):
        client.ping()
