"""compose.yaml, .env.example and the Dockerfile, read."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.documents import ROOT

PRODUCT = "delivery"  # the entry point of the product's image
SUBSTITUTION = re.compile(r"(?<!\$)\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")
FILLED_IN = {
    "DELIVERY_PUBLIC_URL": "https://delivery.example",
    "ALERT_WEBHOOK_URL": "https://alerts.example/hook?a=1&b=2",
}


def composition() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text()))


def services() -> dict[str, dict[str, Any]]:
    return dict(composition()["services"])


def of_product() -> dict[str, dict[str, Any]]:
    """Those that run the product's own image."""
    return {name: service for name, service in services().items() if "DELIVERY_IMAGE" in service["image"]}


def env_example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def filled_in(value: str) -> str:
    """With the variables of .env.example in their places, and their defaults."""
    given = {**env_example(), **FILLED_IN}
    return SUBSTITUTION.sub(lambda found: given.get(found[1]) or found[3] or "", value)


def steps(dockerfile: str) -> Iterator[tuple[str, str]]:
    """(instruction, the rest of its line), in order."""
    for line in dockerfile.splitlines():
        if line and not line.startswith("#"):
            instruction, _, rest = line.partition(" ")
            yield instruction, rest
