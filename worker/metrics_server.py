"""The metrics of a prefork worker: its processes write to files in one folder, its parent serves their sum.

Files are named for a process' place in the pool, not for its ID: whoever takes a dead one's place goes on counting in
its files. So there are never more of them than places, however often processes die, and no count is lost with one.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import structlog

_PREFIX = "delivery-metrics-"
_OWNED = "owned"  # a file in the folder, locked as long as a process of its worker lives
_SETTLED_SECONDS = 60.0  # a younger folder may be about to be locked

_place = "parent"
_served: list[Any] = []
_log = structlog.get_logger()


def share_metrics() -> None:
    """Give this worker a folder of its own, and remove those of workers that were killed. Called before metrics are
    made, which look for it then."""
    _remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    _lock(folder)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    from prometheus_client import values

    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: _place)  # type: ignore[no-untyped-call]
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a forked pool process leaves it to its parent
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)


def take_place(number: int) -> None:
    """In a pool process, before it counts anything: it is the one with this number now."""
    global _place
    from prometheus_client.multiprocess import mark_process_dead

    _place = f"place{number}"
    mark_process_dead(_place)  # type: ignore[no-untyped-call] # what its predecessor was doing it does no more
    for server in _served:
        server.socket.close()  # or the port would be taken for as long as an orphan lives


def serve_metrics(port: int) -> None:
    """Serve on all addresses, for Prometheus; 0 is off. A port in use costs the metrics, not the delivery."""
    if not port:
        return
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    try:
        server, _ = start_http_server(port, registry=registry)
        _served.append(server)
    except OSError as error:
        _log.error("metrics_not_served", port=port, error=error.strerror)


def _lock(folder: Path) -> bool:
    """Whether nobody else had it. Kept until this process and all that it forks have ended."""
    descriptor = os.open(folder / _OWNED, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return False
    return True


def _remove_abandoned() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime > _SETTLED_SECONDS and _lock(folder):
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # another user's, or just removed by another worker
