"""Infobip's wire words stay in worker/infobip; past that line only our words are used."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.seams.sources import docstrings, trees
from worker.infobip.error_codes import ERROR_CODES
from worker.infobip.statuses import GROUP_LABELS, STATUS_CODES

INFOBIP = trees("worker/infobip")
OURS = {path: tree for path, tree in trees("worker", "api", "cli").items() if path not in INFOBIP}
# Our API shows Infobip's status groups and error names as they came; who reads them there knows some by name.
ALLOWED = {
    # What scrubbing would refuse a text for, under the names by which people look it up.
    "worker/dlt/faults.py": {
        "EC_TEMPLATE_NOT_MATCHED",
        "EC_HEADER_NOT_REGISTERED_FOR_TEMPLATE",
        "EC_TEMPLATE_VARIABLE_EXCEEDED_MAX_LENGTH",
        "EC_TEMPLATE_NOT_REGISTERED_TO_ENTITY",
        "EC_INVALID_TEMPLATE_TYPE",
        "EC_CTA_NOT_WHITELISTED",
    },
    "cli/demo_plan.py": {"UNDELIVERABLE", "DELIVERED"},  # which reports each message of the demo must have
    "cli/demo_view.py": {"DELIVERED", "NO_ERROR"},  # how they look on the screen
}


def texts(tree: ast.AST) -> Iterator[str]:
    """All string constants but docstrings: prose may say what a thing is called over there."""
    prose = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose:
            yield node.value


def names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)) | ast.arg(arg=name):
                yield name


FIELDS = {text for tree in INFOBIP.values() for text in texts(tree) if re.fullmatch(r"[a-z]+(?:[A-Z][a-z0-9]*)+", text)}
CODES = {*GROUP_LABELS, *(row.name for row in STATUS_CODES), *(row.name for row in ERROR_CODES)}


def used_in(tree: ast.AST) -> set[str]:
    found = FIELDS & set(names(tree))
    for text in texts(tree):
        words = set(re.findall(r"\w+", text))
        found |= words & FIELDS | words & CODES
        found |= set(re.findall(r"/[sm]ms/\w+", text))
    return found


@pytest.mark.parametrize("name", OURS)
def test_no_wire_word_is_used_outside_the_room_that_knows_them(name: str) -> None:
    assert used_in(OURS[name]) == ALLOWED.get(name, set())


def test_the_words_are_those_that_the_room_writes_and_reads() -> None:
    assert {"bulkId", "messageId", "callbackData", "indiaDlt"} <= FIELDS
    assert {"doneAt", "sentAt", "mccMnc", "pricePerMessage", "groupId", "groupName"} <= FIELDS
    assert {"PENDING", "REJECTED", "DELIVERED_TO_HANDSET", "EC_ABSENT_SUBSCRIBER"} <= CODES


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('row["doneAt"]', {"doneAt"}),
        ("send(bulkId=1)", {"bulkId"}),
        ("body.groupName", {"groupName"}),
        ("text(\"SELECT body ->> 'mccMnc' FROM unmatched_report\")", {"mccMnc"}),
        ('f"{base_url}/sms/3/messages"', {"/sms/3"}),
        ('post("/mms/2/messages")', {"/mms/2"}),
        ('group == "UNDELIVERABLE"', {"UNDELIVERABLE"}),
        ("State.DELIVERED", set()),
        ('"""Its ID goes out as `bulkId`, in POST /sms/3/messages."""', set()),
    ],
)
def test_a_wire_word_is_found_wherever_code_may_use_it(code: str, found: set[str]) -> None:
    assert used_in(ast.parse(code)) == found
