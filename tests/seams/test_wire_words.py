"""Infobip's wire words stay in worker/infobip; past that line only our words are used."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WIRE = {"bulkId", "doneAt", "sentAt", "messageId", "mccMnc", "pricePerMessage", "groupId", "groupName", "callbackData"}
OURS = [
    path
    for room in ("worker", "api", "cli")
    for path in sorted((ROOT / room).rglob("*.py"))
    if ROOT / "worker/infobip" not in path.parents
]


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_wire_word_is_used_outside_the_room_that_knows_them(path: Path) -> None:
    # Whole strings and names: prose in docstrings may say what a thing is called over there.
    tree = ast.parse(path.read_text())
    used = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not used & WIRE
