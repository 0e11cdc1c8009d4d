"""A real API process for commands to call."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.fernet import Fernet

from cli.environment import without_settings
from cli.programs import delivery_command
from cli.readiness import answers_ok
from tests.processes import wait_for

ADMIN = "bootstrap-token-of-the-tests"
SECRET_KEY = Fernet.generate_key().decode()


@contextmanager
def running_api(port: int, database_url: str, redis_url: str) -> Iterator[str]:
    """Its address, once it is ready."""
    environment = {
        **without_settings(os.environ),
        "DELIVERY_DATABASE_URL": database_url,
        "DELIVERY_REDIS_URL": redis_url,
        "DELIVERY_SECRET_KEYS": SECRET_KEY,
        "DELIVERY_BOOTSTRAP_TOKEN": ADMIN,
    }
    command = [*delivery_command(), "api", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers_ok(port, "/readyz"), 30)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(15)
