"""Dashboards: what is committed is what the code makes, and each panel can be read and believed."""

import itertools
import json
import re
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase

from grafana.source.__main__ import FOLDER, texts
from grafana.source.frame import RUNBOOK
from tests.documents import ROOT, anchors
from tests.grafana.prometheus import rules
from worker import metrics
from worker.metrics import FromDatabase

MADE = texts()
OURS = {
    f"delivery_{name}": value
    for name, value in vars(metrics).items()
    if isinstance(value, MetricWrapperBase | FromDatabase)
}
RAW = {name for name, value in OURS.items() if isinstance(value, FromDatabase)}
UNITS = {"short", "cps", "s", "percentunit", "bool", "none"}
COUNTED = re.compile(r"(\w+\()?\b(delivery[_:]\w+_total(?::max)?)\b")


def dashboard(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / name).read_text()))


def panels(name: str) -> list[dict[str, Any]]:
    return [part for part in dashboard(name)["panels"] if part["type"] != "row"]


def exprs(name: str) -> list[str]:
    return [target["expr"] for panel in panels(name) for target in panel["targets"]]


def recorded(name: str) -> str:
    """The series that stands for one of the database's metrics."""
    return f"delivery:{name.removeprefix('delivery_')}:max"


each_dashboard = pytest.mark.parametrize("name", sorted(MADE))


@each_dashboard
def test_what_is_committed_is_what_the_code_makes(name: str) -> None:
    assert (FOLDER / name).read_text() == MADE[name]


def test_no_other_dashboard_lies_there() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(MADE)


@each_dashboard
def test_every_panel_says_what_it_shows_and_what_to_do(name: str) -> None:
    for panel in panels(name):
        shows, wrong, *_ = panel["description"].split("\n\n")
        assert panel["title"]
        assert shows.endswith(".")
        assert re.fullmatch(r"\*\*When it looks wrong:\*\* .+[.?]", wrong), panel["title"]


@each_dashboard
def test_every_panel_has_a_unit_a_query_and_the_data_source(name: str) -> None:
    for panel in panels(name):
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}
        assert all(target["expr"] for target in panel["targets"])
        assert panel["targets"]


@each_dashboard
def test_every_panel_leads_to_the_console_and_to_a_place_in_the_runbook(name: str) -> None:
    there = anchors(ROOT / "docs/operations.md")
    for panel in panels(name):
        runbook, console = (link["url"] for link in panel["links"])
        assert runbook.removeprefix("${runbook}#") in there, runbook
        assert console == "${api_url}/console"


@each_dashboard
def test_every_variable_that_is_used_is_defined_and_every_other_is_of_use(name: str) -> None:
    text = json.dumps([dashboard(name)["panels"]])
    used = set(re.findall(r"\$\{?(\w+)", text)) - {"__rate_interval"}
    assert used == {variable["name"] for variable in dashboard(name)["templating"]["list"]}


@each_dashboard
def test_a_choice_that_does_not_narrow_a_panel_is_admitted(name: str) -> None:
    chosen = {variable["name"] for variable in dashboard(name)["templating"]["list"]} - {"api_url", "runbook"}
    for panel in panels(name):
        narrowed = all(f"${choice}" in target["expr"] for choice in chosen for target in panel["targets"])
        assert ("\n\nAlways of all " in panel["description"]) == (not narrowed), panel["title"]


@each_dashboard
def test_panels_have_titles_and_numbers_and_places_of_their_own(name: str) -> None:
    assert len({panel["title"] for panel in panels(name)}) == len(panels(name))
    parts = dashboard(name)["panels"]
    assert len({part["id"] for part in parts}) == len(parts)
    taken = [
        (x, y)
        for place in (part["gridPos"] for part in parts)
        for x, y in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


def test_dashboards_have_names_of_their_own_and_link_to_each_other() -> None:
    found = [dashboard(name) for name in MADE]
    assert len({one["uid"] for one in found}) == len(found)
    assert all(one["tags"] == ["delivery"] and one["links"][0]["tags"] == ["delivery"] for one in found)


@each_dashboard
def test_links_to_the_runbook_begin_as_those_of_the_alerts(name: str) -> None:
    (variable,) = [one for one in dashboard(name)["templating"]["list"] if one["name"] == "runbook"]
    assert variable["query"] == RUNBOOK
    assert {rule["annotations"]["runbook_url"].split("#")[0] for rule in rules() if "alert" in rule} == {RUNBOOK}


@each_dashboard
def test_what_the_database_knows_is_shown_as_recorded_once(name: str) -> None:
    assert [raw for raw in RAW for expr in exprs(name) if re.search(rf"\b{raw}\b", expr)] == []


@each_dashboard
def test_every_recorded_series_that_is_shown_is_recorded(name: str) -> None:
    used = {series for expr in exprs(name) for series in re.findall(r"\bdelivery:[\w:]+", expr)}
    assert used - {rule.get("record") for rule in rules()} == set()


@each_dashboard
def test_counters_are_shown_as_rates_and_increases(name: str) -> None:
    for expr in exprs(name):
        for function, counter in COUNTED.findall(expr.replace("delivery:messages_enqueued_total:max > 0", "")):
            assert function in ("rate(", "increase("), f"{counter} in {expr}"


@pytest.mark.parametrize("metric", sorted(OURS))
def test_every_metric_is_shown_somewhere(metric: str) -> None:
    shown = recorded(metric) if metric in RAW else metric
    assert any(re.search(rf"\b{shown}(_bucket|_sum|_count)?(?![\w:])", expr) for name in MADE for expr in exprs(name))
