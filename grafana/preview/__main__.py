"""`python -m grafana.preview --prometheus URL --to FOLDER`: one HTML page for each committed dashboard."""

import argparse
import time
from pathlib import Path

from grafana.preview.page import page
from grafana.preview.panels import FOLDER, read
from grafana.preview.series import Prometheus, Span


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m grafana.preview", description="Draw the committed dashboards.")
    parser.add_argument("--prometheus", required=True, metavar="URL", help="such as http://127.0.0.1:9090")
    parser.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="where the pages are written")
    parser.add_argument("--seconds", type=float, default=3600, help="how far back from now (default: an hour)")
    parser.add_argument("--window", default="1m", help="in the place of $__rate_interval (default: 1m)")
    return parser.parse_args()


def main() -> None:
    chosen = _options()
    now = time.time()
    span = Span(now - chosen.seconds, now)
    prometheus = Prometheus(chosen.prometheus, chosen.window)
    chosen.to.mkdir(parents=True, exist_ok=True)
    for path in sorted(FOLDER.glob("*.json")):
        drawn = page(read(path), span, lambda panel: prometheus.series(panel, span))
        (chosen.to / f"{path.stem}.html").write_text(drawn)


if __name__ == "__main__":
    main()
