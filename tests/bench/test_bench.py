"""The whole program, small: every measure gives its rows, the table is printed, the JSON says the same."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.registry import MEASURES, SCALE_MEASURES, chosen

ROWS = {
    "sandbox": 2,
    "throughput": 13,
    "webhooks": 3,
    "singles": 2,
    "batches": 3,
    "consents": 2,
    "idle": 4,
}
SCALE_ROWS = {
    "backlog": 5,
    "otp": 5,
    "workers": 2,
    "bloat": 20,
    "idle": 4,
}


def _run(path: Path, *options: str) -> dict[str, Any]:
    """The JSON of a smoke run, once the table says the same."""
    command = [sys.executable, "-m", "bench", "--quick", "--json", str(path), *options]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stdout
    found: dict[str, Any] = json.loads(path.read_text())
    assert found["not_measured"] == {}
    for name, figures in found["measures"].items():
        for figure in figures:
            assert figure["value"] is not None, (name, figure["name"])
            assert figure["name"][:40] in done.stdout
            if any(goal["of"] == "ratio" for goal in figure["goals"]):
                assert figure["ratio"] > 0
    return found


def _rows(found: dict[str, Any]) -> dict[str, int]:
    return {name: len(figures) for name, figures in found["measures"].items()}


def test_a_quick_run_gives_every_row(tmp_path: Path) -> None:
    """Of both kinds in one run, since most of its time is the start of a stack."""
    rows = {**ROWS, **SCALE_ROWS}
    found = _run(tmp_path / "figures.json", "--only", ",".join(rows))
    assert _rows(found) == rows
    assert found["servers"]["fsync"] == found["servers"]["synchronous_commit"] == "on"
    assert {"at", "cpu", "cores", "memory_mebibytes", "load", "python", "libraries"} <= found["machine"].keys()
    for cost in found["cost_per_message"].values():
        assert {"api, us", "worker-marketing, us", "postgres, us"} <= cost.keys()


def test_measures_are_chosen_by_name() -> None:
    assert chosen(None, is_scale=False) == list(MEASURES)
    assert chosen(None, is_scale=True) == list(SCALE_MEASURES)
    assert [measure.name for measure in MEASURES] == list(ROWS)
    assert [measure.name for measure in SCALE_MEASURES] == list(SCALE_ROWS)
    assert [measure.name for measure in chosen(["idle", "backlog"], is_scale=False)] == ["idle", "backlog"]
    with pytest.raises(ValueError, match="no measure is called speed"):
        chosen(["speed"], is_scale=False)
