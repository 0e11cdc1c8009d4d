"""Redis absent, stopped, emptied, its connections cut: the API accepts, delivery goes on by itself."""

from pathlib import Path

import redis

from cli.embedded_redis import EmbeddedRedis
from cli.programs import WORKERS
from cli.stack import Stack
from tests.end_to_end.conftest import System, running, short_options
from tests.end_to_end.observing import FEW, assert_each_delivered_once, assert_ticks_arrive, log_of, pids, recipients
from tests.processes import answers, wait_for


def test_a_redis_that_is_absent_at_start_is_waited_for(own_database: str, own_folder: Path) -> None:
    server = EmbeddedRedis(own_folder / "redis")
    server.start()
    server.stop()  # its address stays
    options = short_options(own_folder, DELIVERY_DATABASE_URL=own_database, DELIVERY_REDIS_URL=server.url)
    try:
        with running(Stack(options)) as system:
            wait_for(lambda: answers(system.stack.api_url + "/readyz"), 60)
            surface = system.surface()
            numbers = recipients(20)
            batch = system.batch(surface, numbers, validity_period="PT5M")
            wait_for(lambda: all("Trying again in" in "".join(log_of(system, name)) for name in WORKERS), 30)
            server.start()
            system.stack.wait_ready()
            assert_each_delivered_once(system, batch, numbers)
            assert_ticks_arrive(system, surface)
    finally:
        server.stop()


def test_a_redis_that_was_away_and_comes_back_empty_needs_no_help(system: System) -> None:
    server = system.stack.redis
    assert server is not None
    surface, before = system.surface(), pids(system)
    seen = {name: len(log_of(system, name)) for name in (*WORKERS, "beat")}

    def notices(name: str) -> list[str]:
        return log_of(system, name)[seen[name] :]

    server.stop()
    try:
        numbers = recipients(30)
        batch = system.batch(surface, numbers, validity_period="PT5M")
        assert system.http.get("/readyz").json()["status"] == "degraded"
        wait_for(lambda: all("Trying again in" in "".join(notices(name)) for name in WORKERS), 30)
        # Beat says the second where it had not yet reached Redis when that went.
        wait_for(lambda: any(word in "".join(notices("beat")) for word in ("tick_lost", "Trying again in")), 30)
        assert all(len(notices(name)) < FEW for name in WORKERS)
    finally:
        server.start()
    assert_each_delivered_once(system, batch, numbers)
    assert_ticks_arrive(system, surface)
    assert pids(system) == before


def test_a_redis_that_is_emptied_under_way_needs_no_help(system: System) -> None:
    surface, before = system.surface(), pids(system)
    numbers = recipients(3000)
    batch = system.batch(surface, numbers, validity_period="PT5M")
    with redis.Redis.from_url(system.stack.redis_url) as client:
        while system.get(f"/v1/batches/{batch}")["state"] != "done":
            client.flushall()
    assert_each_delivered_once(system, batch, numbers)
    more = recipients(30)
    assert_each_delivered_once(system, system.batch(surface, more), more)
    assert_ticks_arrive(system, surface)
    assert pids(system) == before


def test_workers_go_on_consuming_after_their_connections_broke_again_and_again(system: System) -> None:
    surface, before = system.surface(), pids(system)
    with redis.Redis.from_url(system.stack.redis_url) as client:
        for _ in range(6):
            numbers = recipients(20)
            batch = system.batch(surface, numbers, validity_period="PT5M")
            client.client_kill_filter(_type="normal", skipme=True)
            assert_each_delivered_once(system, batch, numbers)
    assert_ticks_arrive(system, surface)
    assert pids(system) == before
