"""Metrics: the collectors of worker/metrics.py are those of docs/metrics.md, and no document names any other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import prometheus_client
import pytest
from fastapi.routing import APIRoute
from prometheus_client.metrics import MetricWrapperBase
from sqlmodel import SQLModel

import worker.models  # noqa: F401 - fills the metadata
from api.routes import webhooks
from cli.programs import QUEUES
from tests.documents import DOCUMENTS, ROOT, named, table
from tests.families import family
from tests.seams.sources import trees
from worker import metrics
from worker.alphabets import Encoding
from worker.errors import SendError
from worker.figures import BATCH_STATES, WITHIN
from worker.infobip.statuses import GROUP_LABELS
from worker.metrics import FromDatabase
from worker.pulling import UNREADABLE
from worker.push_client import PushOutcome
from worker.sending import MANY_ATTEMPTS
from worker.states import State
from worker.words import Action, Channel, HoldKind, MessageType, Outcome, ReportResult, Source, SubmissionOutcome

DOCUMENT = ROOT / "docs/metrics.md"
Metric = MetricWrapperBase | FromDatabase
COLLECTORS: dict[str, Metric] = {name: value for name, value in vars(metrics).items() if isinstance(value, Metric)}
# Who names metrics.
NAMING = [*DOCUMENTS, *sorted((ROOT / "grafana").rglob("*.json")), *sorted((ROOT / "grafana").rglob("*.yml"))]

# The closed list of labels, with the words that each may say.
LABELS = {
    "`credential`": set(),  # its name
    "`channel`": set(Channel),
    "`message_type`": set(MessageType),
    "`encoding`": set(get_args(Encoding)),
    "`outcome` of submissions": {
        SubmissionOutcome.ANSWERED,
        SubmissionOutcome.UNSENT,
        *(error.code for error in family(SendError) - {SendError}),
    },
    "`outcome` of attempts": {*Outcome, "missing"},
    "`outcome` of pulls": {
        SubmissionOutcome.ANSWERED,
        UNREADABLE,
        *(error.code for error in family(SendError) - {SendError}),
    },
    "`outcome` of pushes": set(PushOutcome),
    "`reason`": {metrics.OTHER},  # and the names in our tables
    "`state` of messages": set(State),
    "`state` of batches": set(BATCH_STATES),
    "`within`": set(WITHIN),
    "`attempt`": {*map(str, range(1, MANY_ATTEMPTS)), f"{MANY_ATTEMPTS}+"},
    "`queue`": set(QUEUES),
    "`currency`": {metrics.OTHER},  # and three letters
    "`method`": {metrics.OTHER},  # and HTTP's
    "`route`": {"unknown"},  # and those of the API
    "`group`": {*GROUP_LABELS.values(), metrics.OTHER},
    "`source`": set(Source),
    "`result`": set(ReportResult),
    "`action`": set(Action),
    "`kind` of holds": set(HoldKind),
    "`kind` of webhooks": {
        route.path.rsplit("/", 1)[1] for route in webhooks.router.routes if isinstance(route, APIRoute)
    },
    "`status`": set(),  # a number of HTTP
}

each_collector = pytest.mark.parametrize("name", COLLECTORS)


def labels_of(collector: Metric) -> list[str]:
    return list(collector.label_names if isinstance(collector, FromDatabase) else collector._labelnames)


def exported(collector: Metric) -> tuple[str, str]:
    """Its name and its type, as they are exported."""
    if isinstance(collector, FromDatabase):
        return collector.name, collector.kind
    (described,) = collector.describe()
    return described.name + ("_total" if described.type == "counter" else ""), described.type


def series() -> Iterator[str]:
    """The names that Prometheus may be asked for."""
    for name, kind in map(exported, COLLECTORS.values()):
        yield name
        if kind == "histogram":
            yield from (name + part for part in ("_bucket", "_sum", "_count"))


def unknown(text: str) -> set[str]:
    """What looks like a metric of ours in a text, and is none. Tables have such names too, and commands in code."""
    tables = {name for name in SQLModel.metadata.tables if name.startswith("delivery_")}
    return set(re.findall(r"\bdelivery_[a-z_]*[a-z]\b", text)) - {*series(), *tables}


def test_every_metric_is_documented_as_it_is_and_no_other() -> None:
    documented = [
        (*named(row[0]), row[1], named(row[2]), row[3] == "database", row[5]) for row in table(DOCUMENT, "All of them")
    ]
    assert documented == [
        (
            *exported(collector),
            labels_of(collector),
            isinstance(collector, FromDatabase),
            collector.documentation if isinstance(collector, FromDatabase) else collector._documentation,
        )
        for collector in COLLECTORS.values()
    ]


@each_collector
def test_name_is_ours_and_says_type_and_unit(name: str) -> None:
    exported_as, kind = exported(COLLECTORS[name])
    (unit,) = [row[4] for row in table(DOCUMENT, "All of them") if named(row[0]) == [exported_as]]
    assert exported_as == f"delivery_{name}"  # so that who searches for the one finds the other
    assert exported_as.endswith("_total") == (kind == "counter")
    assert exported_as.endswith("_seconds") == (unit == "seconds")


def test_labels_and_their_words_are_a_closed_list() -> None:
    assert {label for collector in COLLECTORS.values() for label in labels_of(collector)} == {
        named(label)[0] for label in LABELS
    }
    assert {label: set(named(words)) for label, words in table(DOCUMENT, "Labels")} == LABELS


@pytest.mark.parametrize("path", NAMING, ids=lambda path: path.name)
def test_every_metric_that_is_named_is_exported(path: Path) -> None:
    assert unknown(path.read_text()) == set()


def test_a_metric_of_another_name_is_found() -> None:
    assert unknown("rate(delivery_sent_total[5m])") == {"delivery_sent_total"}
    assert unknown('{"expr": "sum(rate(delivery_attempts_total[5m])) by (le)", "uid": "delivery"}') == set()
    assert unknown("histogram_quantile(0.9, delivery_submission_seconds_bucket)") == set()
    assert unknown("rows of delivery_report") == set()


def test_metrics_are_made_in_one_file() -> None:
    kinds = {kind.__name__ for kind in family(MetricWrapperBase)}
    making = {
        path
        for path, tree in trees("worker", "api", "cli").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").partition(".")[0] == prometheus_client.__name__
        and kinds & {alias.name for alias in node.names}
    }
    assert making == {"worker/metrics.py"}


@each_collector
def test_every_metric_is_counted_somewhere(name: str) -> None:
    counting = [
        path
        for path, tree in trees("worker", "api").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module == "worker.metrics"
        and name in {alias.name for alias in node.names}
    ] + [
        path
        for path, tree in trees("worker", "api").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == name and ast.unparse(node.value) == "metrics"
    ]
    assert counting
