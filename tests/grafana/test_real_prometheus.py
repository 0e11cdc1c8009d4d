"""A real Prometheus on a running system: each query of each dashboard, and all that alerts look at, has data there."""

import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pytest

from cli.embedded_postgres import EmbeddedPostgres
from grafana.preview.panels import FOLDER, asked, read
from grafana.preview.series import Span
from tests.documents import ROOT
from tests.end_to_end.conftest import reachable_folder
from tests.grafana.load import every_kind_of_event
from tests.grafana.prometheus import asked_for, hurried, rules
from tests.grafana.watching import watched_system
from tests.receivers import receiving

WINDOW = "10s"  # in the place of $__rate_interval
QUERIES = {
    f"{path.stem}: {panel.title}: {place}": target.expr
    for path in sorted(FOLDER.glob("*.json"))
    for panel in read(path).panels()
    for place, target in enumerate(panel.targets)
}
ALERTS = {rule["alert"]: rule["expr"] for rule in rules() if "alert" in rule}
RECORDED = [rule["record"] for rule in rules() if "record" in rule]
_SELECTOR = re.compile(r"\b(?:delivery[\w:]*|up)(?:\{[^}]*\})?(?=$|[^\w:{(])")


@dataclass(frozen=True, slots=True)
class Watched:
    """A Prometheus, and when there was something to see."""

    url: str
    span: Span

    def numbers(self, query: str) -> set[float]:
        """All that a query gave at any time, of all series; NaN is none."""
        within = {"start": self.span.start, "end": self.span.end, "step": 1.0}
        found = asked_for(self.url, "query_range", query=query, **within)["result"]
        values = {float(value) for series in found for _, value in series["values"]}
        return {value for value in values if not math.isnan(value)}


@pytest.fixture(scope="module")
def watched(request: pytest.FixtureRequest, postgres: EmbeddedPostgres, database_url: str) -> Iterator[Watched]:
    """After a minute of everything."""
    with receiving() as receiver, reachable_folder(request.session) as folder:
        told = {"DELIVERY_ALLOWED_EVENT_HOSTS": receiver.host, "DELIVERY_EVENT_RETRY_SCHEDULE": "PT1S,PT1S"}
        with watched_system(folder, database_url, **told) as (system, url, start):
            every_kind_of_event(system, receiver, postgres.dsn_of("postgres"))
            yield Watched(url, Span(start, time.time()))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("query", QUERIES)
def test_a_panel_s_query_shows_what_happened(watched: Watched, query: str) -> None:
    found = watched.numbers(hurried(asked(QUERIES[query], WINDOW)))
    assert found
    assert found != {0.0}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_series_has_numbers(watched: Watched, name: str) -> None:
    assert watched.numbers(name)


@pytest.mark.parametrize("alert", ALERTS)
def test_all_that_an_alert_looks_at_is_there(watched: Watched, alert: str) -> None:
    looked_at = set(_SELECTOR.findall(ALERTS[alert]))
    assert looked_at
    assert {selector for selector in looked_at if not watched.numbers(selector)} == set()


def test_every_rule_is_evaluated_without_an_error(watched: Watched) -> None:
    found = [rule for group in asked_for(watched.url, "rules")["groups"] for rule in group["rules"]]
    assert len(found) == len(rules())
    assert {rule["name"]: rule.get("lastError") for rule in found if rule["health"] != "ok"} == {}


def test_every_dashboard_is_drawn_with_all_its_panels(watched: Watched, tmp_path: Path) -> None:
    folder = Path(os.environ.get("DELIVERY_TEST_PAGES", tmp_path))
    since = str(time.time() - watched.span.start)
    options = ["--prometheus", watched.url, "--to", str(folder), "--seconds", since, "--window", WINDOW]
    subprocess.run([sys.executable, "-m", "grafana.preview", *options], cwd=ROOT, check=True, timeout=60)
    for path in FOLDER.glob("*.json"):
        drawn = (folder / f"{path.stem}.html").read_text()
        panels = list(read(path).panels())
        assert all(f"<h3>{escape(panel.title)}</h3>" in drawn for panel in panels)
        assert drawn.count("<svg") == len([panel for panel in panels if panel.kind != "stat"])
        assert "no data" not in drawn
