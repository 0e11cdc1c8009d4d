"""`python -m grafana.source`: writes the dashboards to grafana/dashboards/, as Grafana reads them."""

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.source import batches, delivery, infobip, processes, retries

FOLDER = Path(__file__).parents[1] / "dashboards"
DASHBOARDS = {
    "delivery": delivery.dashboard,
    "retries-and-expiry": retries.dashboard,
    "infobip": infobip.dashboard,
    "batches-and-inbound": batches.dashboard,
    "processes": processes.dashboard,
}


def texts() -> dict[str, str]:
    """What each file holds, by its name."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    return {f"{name}.json": encoder.encode(made()) + "\n" for name, made in DASHBOARDS.items()}


if __name__ == "__main__":
    for name, text in texts().items():
        (FOLDER / name).write_text(text)
