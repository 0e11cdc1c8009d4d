"""What `GET /metrics` told while everything around it failed: the last of each figure, and every counter that fell."""

from collections.abc import Mapping

import httpx
from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, ...]  # the metric, then credential, channel, message type and, where it has one, state
COUNTERS = ("delivery_messages_enqueued_total", "delivery_messages_finished_total")
TOLD = (*COUNTERS, "delivery_messages")


class Scrapes:
    """Of the API, as Prometheus would, whatever became of it meanwhile."""

    def __init__(self, api_url: str) -> None:
        self._url = f"{api_url}/metrics"
        self.told: dict[Series, float] = {}
        self.falls: list[str] = []
        self.count = 0

    def scrape(self) -> None:
        """One more; none where the API does not answer."""
        try:
            text = httpx.get(self._url, timeout=5, trust_env=False).raise_for_status().text
        except httpx.HTTPError:
            return
        found = read_told(text)
        self.falls += falls(self.told, found)
        self.told.update(found)
        self.count += bool(found)


def read_told(text: str) -> dict[Series, float]:
    return {
        (sample.name, *(sample.labels[name] for name in ("credential", "channel", "message_type")), state): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in TOLD
        for state in [sample.labels.get("state", "")]
    }


def falls(before: Mapping[Series, float], now: Mapping[Series, float]) -> list[str]:
    """Counters that tell less than they did."""
    return [
        f"{' '.join(series)} fell from {before[series]:g} to {value:g}"
        for series, value in now.items()
        if series[0] in COUNTERS and value < before.get(series, 0)
    ]
