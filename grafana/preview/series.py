"""Series of a Prometheus over a range of time."""

import math
from dataclasses import dataclass

import httpx

from grafana.preview.panels import Panel, asked

POINTS = 160  # of one line


@dataclass(frozen=True, slots=True)
class Span:
    """In Unix seconds."""

    start: float
    end: float

    @property
    def step(self) -> float:
        return max(1.0, math.ceil((self.end - self.start) / POINTS))


@dataclass(frozen=True, slots=True)
class Series:
    """`points`: time and value, without those that are no number."""

    name: str
    labels: dict[str, str]
    points: list[tuple[float, float]]

    @property
    def last(self) -> float:
        return self.points[-1][1]


class Prometheus:
    """Errors: httpx's, where it does not answer or refuses a query."""

    def __init__(self, url: str, window: str) -> None:
        """`window`: in the place of `$__rate_interval`."""
        self._url = f"{url.rstrip('/')}/api/v1/query_range"
        self._window = window

    def series(self, panel: Panel, span: Span) -> list[Series]:
        """Of all the panel's queries, in their order."""
        found = []
        for target in panel.targets:
            expr = asked(target.expr, self._window)
            within: dict[str, str | float] = {"query": expr, "start": span.start, "end": span.end, "step": span.step}
            answer = httpx.get(self._url, params=within, trust_env=False, timeout=30).raise_for_status().json()
            for result in answer["data"]["result"]:
                points = [(time, float(value)) for time, value in result["values"]]
                points = [(time, value) for time, value in points if not math.isnan(value)]
                if points:
                    found.append(Series(target.name(result["metric"]), result["metric"], points))
        return found
