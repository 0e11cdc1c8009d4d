"""One stack for the tests that need the whole product."""

from collections.abc import Iterator

import pytest

from bench.stage import Stage, open_stage


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    with open_stage() as stage:
        yield stage
