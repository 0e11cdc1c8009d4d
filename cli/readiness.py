"""When a child counts as ready."""

import http.client
from pathlib import Path

# `delivery worker` writes it past Celery's logging, whose own "ready." depends on the log level and format.
WORKER_READY = "worker is ready"


def worker_is_ready(log_path: Path) -> bool:
    """Celery has forked its pool and reads its queues."""
    try:
        return WORKER_READY.encode() in log_path.read_bytes()
    except OSError:
        return False


def answers_ok(port: int, path: str) -> bool:
    """Whether a GET on 127.0.0.1 gives 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
