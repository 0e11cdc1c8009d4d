"""Debian's Prometheus beside a test: it scrapes what it is told once a second, with our rules in a hurry."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from cli.ports import free_port
from tests.documents import ROOT
from tests.processes import answers, wait_for
from tests.tools import needed

RULES = ROOT / "grafana/prometheus/rules.yml"
HURRIED = {"1h": "30s", "30m": "15s", "15m": "15s", "10m": "10s", "5m": "5s"}  # what a test has no time for
_DURATION = re.compile(rf"\b({'|'.join(HURRIED)})\b")


def hurried(expr: str) -> str:
    """With shorter windows and offsets."""
    return _DURATION.sub(lambda found: HURRIED[found[1]], expr)


def _in_a_hurry(rule: Mapping[str, Any]) -> dict[str, Any]:
    """What holds for a second is held to last."""
    return {**rule, "expr": hurried(rule["expr"]), **({"for": "2s"} if "for" in rule else {})}


def rules() -> list[dict[str, Any]]:
    """All of them, in their order."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


@contextmanager
def scraping(targets: Mapping[str, Sequence[str]], folder: Path) -> Iterator[str]:
    """The URL of a Prometheus that scrapes these, `host:port` by job."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    for group in groups:
        group["rules"] = [_in_a_hurry(rule) for rule in group["rules"]]
    (folder / "rules.json").write_text(json.dumps({"groups": groups}))
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.json"],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(found)}]} for job, found in targets.items()
        ],
    }
    (folder / "prometheus.json").write_text(json.dumps(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        needed("prometheus"),
        f"--config.file={folder / 'prometheus.json'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: answers(f"http://{address}/-/ready"), 30)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


def asked_for(url: str, path: str, **parameters: str | float) -> Any:
    answer = httpx.get(f"{url}/api/v1/{path}", params=parameters, trust_env=False, timeout=30).json()
    assert answer["status"] == "success", answer
    return answer["data"]
