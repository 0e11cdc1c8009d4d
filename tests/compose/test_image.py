"""The image's steps, run as they stand in the Dockerfile on a bare Debian in a folder: there is no Docker engine here.

It has Debian's own Python of the same version in place of the base image's, which this cannot prove.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.account import temporary_folder
from tests.compose.composition import steps
from tests.documents import ROOT
from tests.tools import missing, needed

DOCKERFILE = (ROOT / "Dockerfile").read_text()
STEPS = list(steps(DOCKERFILE))
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
MADE_FOR = "bookworm"
NEEDS_AN_EXTRA = ["worker.trace_sieve"]  # otel, and is imported where traces are on
_LENT = re.compile(
    r"PIP_CERT|PIP_INDEX_URL|PIP_TRUSTED_HOST|PIP_DEFAULT_TIMEOUT|SSL_CERT_FILE|\w+_PROXY", re.IGNORECASE
)

pytestmark = pytest.mark.timeout(900)


def copied() -> list[tuple[str, str]]:
    """What of the checkout comes where."""
    pairs = [rest.split() for instruction, rest in STEPS if instruction == "COPY" and not rest.startswith("--from")]
    return [(source, target) for source, target in pairs]


def value_of(instruction: str) -> str:
    """Of the last such step: what the image is run with."""
    return [rest for found, rest in STEPS if found == instruction][-1]


class Image:
    """The folder that the steps have filled."""

    def __init__(self, root: Path) -> None:
        self.root = root
        variables = dict(word.split("=", 1) for word in value_of("ENV").split())
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.environment = {**variables, "PATH": variables["PATH"].replace("$PATH", path)}

    def run(self, script: str) -> None:
        """A step, as root."""
        kept = {name: value for name, value in os.environ.items() if _LENT.fullmatch(name)}
        subprocess.run(
            ["chroot", str(self.root), "sh", "-c", script],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **kept},
            check=True,
        )

    def ask(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """`delivery`, as the one whom the image runs as, in its environment."""
        command = ["chroot", f"--userspec={value_of('USER')}", str(self.root), *words]
        return subprocess.run(
            command, env={**self.environment, **environment}, capture_output=True, text=True, timeout=60
        )


def mirror() -> str:
    """Where this machine has Debian's packages from."""
    told = subprocess.run(["apt-cache", "policy", "base-files"], capture_output=True, text=True, check=True).stdout
    found = re.search(rf"(https?://\S+) {MADE_FOR}/main", told)
    if found is None:
        pytest.skip(f"this machine has no mirror of Debian {MADE_FOR}")
    return found[1]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    debootstrap = needed("debootstrap")
    if os.geteuid() != 0:
        missing("root, who alone makes a bare Debian in a folder,")
    root = temporary_folder("delivery-image-")
    try:
        bare = [debootstrap, "--variant=minbase", f"--include={PACKAGES}", MADE_FOR, str(root), mirror()]
        subprocess.run(bare, check=True, stdout=subprocess.DEVNULL)
        lend_configuration(root)
        built = Image(root)
        for instruction, rest in STEPS:
            if instruction == "RUN":
                built.run(rest)
            elif instruction == "COPY" and not rest.startswith("--from"):
                copy(root, *rest.split())
        yield built
    finally:
        shutil.rmtree(root, ignore_errors=True)


def lend_configuration(root: Path) -> None:
    """How this machine reaches package registries and names; none of it is the image's."""
    for name in ("etc/resolv.conf", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt"):
        if Path("/", name).exists():
            shutil.copy(Path("/", name), root / name)
    for own in (Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"):
        if own.exists():
            shutil.copy(own, root / "etc/pip.conf")
    for name in ("PIP_CERT", "SSL_CERT_FILE"):
        if file := os.environ.get(name):
            (root / file.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, root / file.lstrip("/"))


def copy(root: Path, source: str, target: str) -> None:
    into = root / target.lstrip("/")
    into.parent.mkdir(parents=True, exist_ok=True)
    if (ROOT / source).is_dir():
        shutil.copytree(ROOT / source, into, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(ROOT / source, into)


def test_the_dockerfile_copies_what_there_is_and_what_is_not_ignored() -> None:
    wanted = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert {source for source, _ in copied()} == wanted
    assert all((ROOT / source).exists() for source, _ in copied())


def test_every_package_that_runs_is_in_the_image() -> None:
    packages = {source for source, _ in copied() if (ROOT / source).is_dir()}
    assert packages == {"worker", "api", "cli", "sandbox"}
    assert {f"/opt/delivery/lib/python3.11/site-packages/{name}" for name in packages} <= {to for _, to in copied()}


def test_both_stages_have_one_base_and_the_last_runs_as_nobody() -> None:
    bases = [rest.split()[0] for instruction, rest in STEPS if instruction == "FROM"]
    assert len(set(bases)) == 1
    assert bases[0] == f"python:3.11-slim-{MADE_FOR}"
    assert value_of("USER").split(":")[0].isdigit()
    assert value_of("USER") != "0:0"


def test_ports_are_those_of_the_product() -> None:
    assert value_of("EXPOSE").split() == ["8000", "8001", "9100"]


def test_the_image_s_command_is_there_for_nobody(image: Image) -> None:
    told = image.ask("delivery", "--help")
    assert told.returncode == 0, told.stderr
    assert "healthcheck" in told.stdout


def test_every_process_of_the_image_gets_as_far_as_its_settings(image: Image) -> None:
    for process in (["api"], ["worker", "--queues", "upkeep"], ["beat"], ["migrate"]):
        told = image.ask("delivery", *process)
        assert (told.returncode, "DELIVERY_DATABASE_URL is not set" in told.stderr) == (1, True), told.stderr


def test_healthchecks_run_in_the_image(image: Image) -> None:
    told = image.ask("delivery", "healthcheck", "beat")
    assert (told.returncode, told.stderr.strip()) == (1, "delivery: beat has not gone round yet")
    told = image.ask("delivery", "healthcheck", "api", "--port", "9")
    assert (told.returncode, "does not answer" in told.stderr) == (1, True)


def test_every_module_of_the_image_can_be_imported(image: Image) -> None:
    """So requirements.txt lacks nothing that the tests' own packages bring."""
    script = f"""if True:
        import importlib, pkgutil
        for room in ("worker", "api", "cli", "sandbox"):
            for module in pkgutil.walk_packages(importlib.import_module(room).__path__, room + "."):
                if module.name not in {NEEDS_AN_EXTRA} and "migrations." not in module.name:
                    if not module.name.endswith("__main__"):
                        importlib.import_module(module.name)
    """
    settings = {"DELIVERY_REDIS_URL": "redis://127.0.0.1:9/0", "DELIVERY_DATABASE_URL": "postgresql://127.0.0.1:9/none"}
    told = image.ask("python", "-c", script, **settings)
    assert told.returncode == 0, told.stderr


def test_nothing_in_the_image_belongs_to_whom_it_runs_as(image: Image) -> None:
    owner = int(value_of("USER").split(":")[0])
    assert [path for path in (image.root / "opt/delivery").rglob("*") if path.lstat().st_uid == owner] == []
    assert not (image.root / "opt/delivery/bin/pip").exists()
