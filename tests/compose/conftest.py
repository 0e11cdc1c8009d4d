"""Tools that not every machine has: where one is missing a test says so and is skipped; in CI it fails."""

import os
import shutil

import pytest


def tool(name: str, why: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        assert os.environ.get("CI") != "true", f"CI installs {name}"
        pytest.skip(f"{name} is not installed: {why}")
    return found


@pytest.fixture
def promtool() -> str:
    return tool("promtool", "it reads what is meant for Prometheus")


@pytest.fixture
def amtool() -> str:
    return tool("amtool", "it reads what is meant for Alertmanager")


@pytest.fixture
def docker_compose() -> str:
    return tool("docker-compose", "it holds compose.yaml against its schema")


@pytest.fixture
def debootstrap() -> str:
    if os.geteuid() != 0:
        pytest.skip("only root can make a bare Debian in a folder")
    return tool("debootstrap", "it makes a bare Debian in a folder")
