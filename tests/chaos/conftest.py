"""A folder for a stack of its own, kept with its logs where a test failed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def stack_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="delivery-chaos-")).resolve()
    if os.geteuid() == 0:
        folder.chmod(0o711)  # the servers run as another user
    failed_before = request.session.testsfailed
    yield folder
    if request.session.testsfailed == failed_before:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"data and logs of this run: {folder}")  # noqa: T201 - pytest shows it with the failure
