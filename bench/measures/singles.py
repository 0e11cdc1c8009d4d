"""One send to a request, committed before the 202, while the workers send what came in."""

from bench.bench import Bench
from bench.bodies import single_bodies
from bench.errors import MeasureFailed
from bench.figures import Figure, at_least, percentile
from bench.load import drive
from bench.stage import NO_REPORTS, TOKEN
from bench.usage import read_usage

_MOST_SECONDS = 300.0
_STORED = """
    SELECT count(*), count(*) FILTER (WHERE m.state = 'sent')
    FROM message m JOIN surface s ON s.id = m.surface_id WHERE s.name = %s
"""


def measure(bench: Bench) -> list[Figure]:
    sizes = bench.sizes
    with bench.stage() as stage:
        stage.faults(**NO_REPORTS)
        surface = stage.surface("transactional").name
        bodies = single_bodies(surface, sizes.singles, stage.to)
        before = read_usage(stage.stack)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        load = drive(f"{stage.stack.api_url}/v1/messages", bodies, sizes.connections, headers)
        load.check(202)
        stored = stage.rows(_STORED, surface)[0][0]
        if stored != sizes.singles:
            raise MeasureFailed(f"{stored} messages are stored where {sizes.singles} were answered 202")
        stage.wait(lambda: stage.rows(_STORED, surface)[0][1] == sizes.singles, _MOST_SECONDS, "all sent", every=0.25)
        bench.costs["single sends"] = read_usage(stage.stack).per_message(before, sizes.singles)
    return [
        Figure(
            "single sends",
            load.per_second,
            "/s",
            (at_least(2_000),),
            details={"p50_seconds": percentile(load.latencies, 0.5), "p99_seconds": percentile(load.latencies, 0.99)},
        )
    ]
