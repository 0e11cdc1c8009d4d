"""What the documents say exists: settings, links, verbs."""

import re
from pathlib import Path

import pytest

from worker.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_as_it_is_described(name: str) -> None:
    rows = (ROOT / "docs/settings.md").read_text().splitlines()
    (row,) = [line for line in rows if line.startswith(f"| `DELIVERY_{name.upper()}` |")]
    assert row.endswith(f"| {Settings.model_fields[name].description} |")


def test_no_setting_is_documented_that_is_not_there() -> None:
    named = set(re.findall(r"^\| `DELIVERY_(\w+)`", (ROOT / "docs/settings.md").read_text(), re.MULTILINE))
    assert named == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_named_in_a_document_is_there(document: Path) -> None:
    for name in re.findall(r"`((?:worker|api|cli|sandbox|bench|tests)/[\w/.]+)`", document.read_text()):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_verb_named_in_a_document_is_in_the_makefile(document: Path) -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)`", document.read_text())) <= verbs


def test_every_decision_has_its_four_parts() -> None:
    for record in (ROOT / "docs/decisions").glob("*.md"):
        assert re.findall(r"^## (.*)$", record.read_text(), re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
            "Alternatives",
        ]
