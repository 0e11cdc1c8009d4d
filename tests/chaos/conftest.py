"""A folder for a stack of its own, kept with its logs where a test failed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.account import temporary_folder


@pytest.fixture(scope="module")
def stack_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    folder = temporary_folder("delivery-chaos-")
    failed_before = request.session.testsfailed
    yield folder
    if request.session.testsfailed == failed_before:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"data and logs of this run: {folder}")  # noqa: T201 - pytest shows it with the failure
