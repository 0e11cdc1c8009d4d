"""Rules: each alert says how urgent it is, has its page in the runbook, and is tested both firing and silent."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.source.frame import RUNBOOK
from tests.documents import ROOT, anchors
from tests.grafana.prometheus import RULES, rules
from tests.tools import needed
from worker import metrics
from worker.metrics import FromDatabase

OPERATIONS = ROOT / "docs/operations.md"
TESTS = sorted((RULES.parent / "tests").glob("*.yml"))
ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDED = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
RAW = sorted(value.name for value in vars(metrics).values() if isinstance(value, FromDatabase))
A_SCREEN = 25  # lines

each_alert = pytest.mark.parametrize("name", ALERTS)


def promtool(*arguments: str) -> None:
    run = subprocess.run([needed("promtool"), *arguments], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def expectations() -> Iterator[tuple[str, bool]]:
    """Which alert is expected to fire, or not to, somewhere in the tests."""
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test.get("alert_rule_test", []):
                yield case["alertname"], bool(case["exp_alerts"])


def sections() -> dict[str, str]:
    """The runbook by alert."""
    (alerts,) = re.findall(r"^## Alerts\n(.*?)(?=^## )", OPERATIONS.read_text(), re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^### ([^\n]+)\n(.*?)(?=^### |\Z)", alerts, re.MULTILINE | re.DOTALL))


def test_promtool_takes_the_rules() -> None:
    promtool("check", "rules", str(RULES))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_and_stay_silent_as_they_should(path: Path) -> None:
    promtool("test", "rules", str(path))


@each_alert
def test_an_alert_is_tested_both_firing_and_silent(name: str) -> None:
    assert {(name, True), (name, False)} <= set(expectations())


def test_no_other_alert_is_tested() -> None:
    assert {name for name, _ in expectations()} == set(ALERTS)


@each_alert
def test_an_alert_says_how_urgent_it_is_and_what_is_wrong(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("page", "warning")
    assert alert["annotations"]["summary"].endswith(".")
    assert alert["for"]


@each_alert
def test_an_alert_leads_to_its_page_in_the_runbook(name: str) -> None:
    assert ALERTS[name]["annotations"]["runbook_url"] == f"{RUNBOOK}#{name.lower()}"
    assert name.lower() in anchors(OPERATIONS)


def test_the_runbook_has_the_alerts_and_no_others() -> None:
    assert sorted(sections()) == sorted(ALERTS)


@each_alert
def test_a_page_of_the_runbook_fits_a_screen_and_says_what_it_means_where_to_look_and_what_to_do(name: str) -> None:
    page = sections()[name]
    assert re.findall(r"^(Means|Look at|Do): ", page, re.MULTILINE) == ["Means", "Look at", "Do"]
    assert len(page.splitlines()) <= A_SCREEN


@pytest.mark.parametrize("raw", RAW)
def test_what_the_database_knows_is_recorded_once_for_all_processes(raw: str) -> None:
    expected = f"max without (instance, job) ({raw})"
    assert RECORDED[f"delivery:{raw.removeprefix('delivery_')}:max"] == expected


@each_alert
def test_an_alert_counts_what_the_database_knows_once(name: str) -> None:
    expr: Any = ALERTS[name]["expr"]
    assert [raw for raw in RAW if re.search(rf"\b{raw}\b", expr)] == []
