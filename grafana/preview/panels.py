"""Panels as they stand in the committed JSON, and their queries as Prometheus takes them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "dashboards"


@dataclass(frozen=True, slots=True)
class Target:
    expr: str
    legend: str  # a template: `{{label}}`

    def name(self, labels: dict[str, str]) -> str:
        """That of a series, as Grafana would write it."""
        if self.legend == "__auto":
            return ", ".join(f"{label}={value}" for label, value in labels.items() if label != "__name__") or self.expr
        return re.sub(r"{{\s*(\w+)\s*}}", lambda found: labels.get(found[1], ""), self.legend)


@dataclass(frozen=True, slots=True)
class Panel:
    """`thresholds`: from which value on, which colour. `width`: of 24 columns."""

    title: str
    description: str
    kind: str
    unit: str
    width: int
    is_stacked: bool
    thresholds: list[tuple[float | None, str]]
    targets: list[Target]


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: list[Panel]


@dataclass(frozen=True, slots=True)
class Dashboard:
    title: str
    description: str
    rows: list[Row]

    def panels(self) -> Iterator[Panel]:
        for row in self.rows:
            yield from row.panels


def read(path: Path) -> Dashboard:
    """A committed dashboard."""
    found = json.loads(path.read_text())
    rows: list[Row] = []
    for part in found["panels"]:
        if part["type"] == "row":
            rows.append(Row(part["title"], []))
        else:
            rows[-1].panels.append(_panel(part))
    return Dashboard(found["title"], found["description"], rows)


def asked(expr: str, window: str) -> str:
    """With nothing chosen, and rates over that window."""
    return re.sub(r"\$(credential|channel|message_type)\b", ".*", expr.replace("$__rate_interval", window))


def _panel(part: dict[str, Any]) -> Panel:
    defaults = part["fieldConfig"]["defaults"]
    return Panel(
        title=part["title"],
        description=part["description"],
        kind=part["type"],
        unit=defaults["unit"],
        width=part["gridPos"]["w"],
        is_stacked="stacking" in defaults.get("custom", {}),
        thresholds=[(step["value"], step["color"]) for step in defaults.get("thresholds", {}).get("steps", [])],
        targets=[Target(target["expr"], target["legendFormat"]) for target in part["targets"]],
    )
