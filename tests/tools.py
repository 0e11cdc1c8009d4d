"""Programs that not every machine has. Where one is missing, its tests are skipped and say so; in CI they fail, since
`.ci/run` installs it."""

import os
import shutil
from typing import NoReturn

import pytest


def needed(program: str) -> str:
    """Its path."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin") or missing(program)


def missing(what: str) -> NoReturn:
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{what} is missing")
