"""One send to a request, committed before the 202, while the workers send what came in: without an idempotency key, and
with one each, as `delivery send` and careful callers have it."""

from bench.bench import Bench
from bench.bodies import single_bodies
from bench.errors import MeasureFailed
from bench.figures import Figure, at_least, percentile
from bench.load import drive
from bench.stage import NO_REPORTS, Stage
from bench.usage import read_usage
from worker.db import make_engine, open_session
from worker.tokens import create_token
from worker.words import Scope

_MOST_SECONDS = 300.0
_STORED = """
    SELECT count(*), count(*) FILTER (WHERE m.state = 'sent')
    FROM message m JOIN surface s ON s.id = m.surface_id WHERE s.name = %s
"""


def measure(bench: Bench) -> list[Figure]:
    figures = []
    with bench.stage() as stage:
        stage.faults(**NO_REPORTS)
        token = _token(stage)
        for name, has_keys in (("single sends", False), ("single sends with an Idempotency-Key", True)):
            before = read_usage(stage.stack)
            figures.append(_drive(bench, stage, token, name, has_keys=has_keys))
            bench.costs[name] = read_usage(stage.stack).per_message(before, bench.sizes.singles)
    return figures


def _drive(bench: Bench, stage: Stage, token: str, name: str, *, has_keys: bool) -> Figure:
    sizes = bench.sizes
    surface = stage.surface("transactional").name
    bodies = single_bodies(surface, sizes.singles, stage.to)
    headers = {"Authorization": f"Bearer {token}"}
    load = drive(f"{stage.stack.api_url}/v1/messages", bodies, sizes.connections, headers, has_keys=has_keys)
    load.check(202)
    stored = stage.rows(_STORED, surface)[0][0]
    if stored != sizes.singles:
        raise MeasureFailed(f"{stored} messages are stored where {sizes.singles} were answered 202")
    stage.wait(lambda: stage.rows(_STORED, surface)[0][1] == sizes.singles, _MOST_SECONDS, "all sent", every=0.25)
    latencies = {f"p{share}_seconds": percentile(load.latencies, share / 100) for share in (50, 99)}
    return Figure(name, load.per_second, "/s", (at_least(2_000),), details=latencies)


def _token(stage: Stage) -> str:
    engine = make_engine(stage.stack.database_url)
    try:
        with open_session(engine) as session:
            token = create_token(session, "bench", [Scope.SEND])
            session.commit()
            return token
    finally:
        engine.dispose()
