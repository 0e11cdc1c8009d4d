"""The metrics of a prefork worker: its processes write to files in one folder, its parent serves their sum."""

import atexit
import os
import shutil
import tempfile

import structlog

_log = structlog.get_logger()


def share_metrics() -> None:
    """Give this worker a folder of its own. Called before prometheus_client is imported, which looks for it then."""
    folder = tempfile.mkdtemp(prefix="delivery-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a forked pool process leaves it to its parent
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)


def serve_metrics(port: int) -> None:
    """Serve on all addresses, for Prometheus; 0 is off. A port in use costs the metrics, not the delivery."""
    if not port:
        return
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    try:
        start_http_server(port, registry=registry)
    except OSError as error:
        _log.error("metrics_not_served", port=port, error=error.strerror)
