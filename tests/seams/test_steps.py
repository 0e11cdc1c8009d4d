"""Who writes what: each table has its files, and the state of a message moves in few of them, by one door."""

import ast
import re
from collections.abc import Iterator

import pytest
from sqlmodel import SQLModel

import worker.models
from tests.seams.sources import strings, trees

OURS = trees("worker", "api", "cli")
TABLES = {
    name: model.__tablename__
    for name, model in vars(worker.models).items()
    if isinstance(model, type) and issubclass(model, SQLModel) and model is not SQLModel
}

# File: the tables that its statements write, or whose rows it makes for the session to write.
WRITES = {
    # Configuration, and who may ask
    "api/routes/credentials.py": {"credential", "lane"},
    "api/routes/surfaces.py": {"surface"},
    "api/routes/event_endpoints.py": {"event_endpoint"},
    "worker/tokens.py": {"api_token"},
    "worker/idempotency.py": {"idempotency_key"},
    # What MMS refer to
    "worker/uploading.py": {"media"},
    # What texts to India are held to
    "worker/dlt_store.py": {"dlt_template"},
    "worker/migrations/versions/0006_content.py": {"dlt_edition"},  # by a trigger, whoever changes a template
    # Messages: born, claimed, moved, set aside; and their counts
    "worker/enqueue_batch.py": {"batch"},
    "worker/fallbacks.py": {"batch", "replayed"},
    "worker/rejected_rows.py": {"rejected_row"},
    "worker/replay.py": {"batch", "message", "replayed"},
    "worker/copying.py": {"message"},
    "worker/claims.py": {"message", "attempt", "submission"},
    "worker/transitions.py": {"message", "attempt"},
    "worker/steering.py": {"batch"},
    "worker/setting_aside.py": {"message", "batch"},
    "worker/cancelling.py": {"message", "batch"},
    "worker/closing.py": {"batch"},
    "worker/moving.py": {"message", "batch"},
    "worker/tally.py": {"tally"},
    # Submissions: opened by claims.py, then ended, or marked for what goes out again
    "worker/submissions.py": {"submission"},
    "worker/resubmission.py": {"submission"},
    # Looks are taken without the messages' locks
    "worker/look_plans.py": {"attempt"},
    # What people said
    "worker/inbound.py": {"inbound_message"},
    "worker/consents.py": {"consent", "consent_change"},
    # What waits
    "worker/holds.py": {"lane"},
    "worker/stops.py": {"lane", "batch"},
    # What Infobip said
    "worker/reports.py": {"delivery_report"},
    "worker/unmatched.py": {"unmatched_report"},
    # Where the database is; and each table of MARKS, which a restore lowers
    "worker/cluster.py": {"cluster", "{}"},
    # What is told, and to whom
    "worker/events.py": {"event"},
    "worker/event_deliveries.py": {"event_delivery", "event_try"},
    "worker/event_endpoints.py": {"event_delivery"},
}
BORN_IN = {
    "message": {"worker/copying.py", "worker/replay.py"},
    "attempt": {"worker/claims.py"},
    "submission": {"worker/claims.py"},
}
# The columns that say how a message and its attempt stand, and who may change them.
CHANGED_IN = {
    "message.state": {"worker/cancelling.py", "worker/claims.py", "worker/transitions.py"},
    "message.held": {"worker/cancelling.py", "worker/setting_aside.py", "worker/transitions.py"},
    "message.next_attempt_at": {
        *("worker/cancelling.py", "worker/claims.py", "worker/moving.py", "worker/transitions.py"),
    },
    "message.leave_before": {
        *("worker/cancelling.py", "worker/claims.py", "worker/moving.py", "worker/transitions.py"),
    },
    "attempt.outcome": {"worker/claims.py", "worker/look_plans.py", "worker/transitions.py"},
    "attempt.look_at": {"worker/claims.py", "worker/look_plans.py", "worker/transitions.py"},
}
# File: what it sets on an object whose class is not told here, of the names that those columns have.
SET_BY_NAME = {
    "worker/locking.py": {"state"},  # of a LockedMessage, which is no row
    "worker/moving.py": {"next_attempt_at", "leave_before"},
    "worker/transitions.py": {"state", "next_attempt_at", "leave_before"},
}
SET_WITHOUT_NAME = {
    "api/routes/credentials.py",
    "api/routes/event_endpoints.py",
    "api/routes/surfaces.py",
    "worker/dlt_store.py",
}  # setattr: what a PATCH gives

# Verb: the files that say it of something else than a message of ours and its attempt, and have none in hand.
SAID_OF_OTHERS = {"settle": {"worker/inbound.py"}}

_BORN = re.compile(r"\b(?:INSERT INTO|COPY) (\w+|\{\})")
_CHANGED = re.compile(r"(?<!FOR )(?<!DO )\bUPDATE (\w+|\{\})(?: AS \w+)?\s+SET\s")
_CHANGED_AT_BIRTH = re.compile(r"\bDO UPDATE SET\s")
_GONE = re.compile(r"\b(?:DELETE FROM|TRUNCATE|MERGE INTO) (\w+|\{\})")
_END_OF_SET = re.compile(r"\b(?:FROM|WHERE|RETURNING)\b")
_COLUMN = re.compile(r"(?:\A|,)\s*(\w+(?= =)|\{\})")


def born(sql: str) -> set[str]:
    return set(_BORN.findall(sql))


def changed(sql: str) -> Iterator[tuple[str, set[str]]]:
    """Each table that a statement updates, with the columns that it sets; `{}` for what is put in."""
    for found in _CHANGED.finditer(sql):
        yield found[1], _columns(sql[found.end() :])
    for found in _CHANGED_AT_BIRTH.finditer(sql):
        yield _BORN.findall(sql[: found.start()])[-1], _columns(sql[found.end() :])


def _columns(after_set: str) -> set[str]:
    return set(_COLUMN.findall(_END_OF_SET.split(after_set)[0]))


def made(tree: ast.Module) -> set[str]:
    """Tables whose rows are made as objects, or which a statement built by SQLAlchemy changes."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    for call in calls:
        verb = getattr(call.func, "id", getattr(call.func, "attr", None))
        if verb in ("insert", "update", "delete", "merge"):
            named |= {argument.id for argument in call.args if isinstance(argument, ast.Name)}
    return {TABLES[name] for name in named & set(TABLES)}


def written(tree: ast.Module) -> set[str]:
    """Every table that a module writes in any way."""
    found = made(tree)
    for sql in strings(tree):
        found |= born(sql) | {table for table, _ in changed(sql)} | set(_GONE.findall(sql))
    return found & {*TABLES.values(), "{}"}


def test_each_table_is_written_where_it_has_its_reason() -> None:
    assert {path: tables for path, tree in OURS.items() if (tables := written(tree))} == WRITES


@pytest.mark.parametrize("table", BORN_IN)
def test_what_is_sent_is_born_in_one_file(table: str) -> None:
    assert {path for path, tree in OURS.items() if table in made(tree)} == set()
    assert {path for path, tree in OURS.items() for sql in strings(tree) if table in born(sql)} == BORN_IN[table]


@pytest.mark.parametrize("column", CHANGED_IN)
def test_how_a_message_and_its_attempt_stand_is_changed_in_few_files(column: str) -> None:
    table, _, name = column.partition(".")
    changing = {
        path
        for path, tree in OURS.items()
        for sql in strings(tree)
        for changed_table, columns in changed(sql)
        if changed_table == table and columns & {name, "{}"}
    }
    assert changing == CHANGED_IN[column]


def test_no_row_s_standing_is_changed_as_an_object() -> None:
    names = {column.partition(".")[2] for column in CHANGED_IN}
    found: dict[str, set[str]] = {}
    for path, tree in OURS.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in names:
                found.setdefault(path, set()).add(node.attr)
    assert found == SET_BY_NAME


def test_names_of_columns_are_given_by_a_caller_only_for_configuration() -> None:
    assert {path for path, tree in OURS.items() if "setattr" in used(tree)} == SET_WITHOUT_NAME


@pytest.mark.parametrize("verb", ["move", "give_turn", "settle"])
def test_only_the_fates_move_a_message_give_it_a_turn_and_settle_an_attempt(verb: str) -> None:
    others = SAID_OF_OTHERS.get(verb, set())
    assert {path for path, tree in OURS.items() if verb in used(tree)} == {"worker/fates.py"} | others
    assert not any("LockedMessage" in used(OURS[path]) for path in others)


def used(tree: ast.Module) -> set[str]:
    """What is called, passed on or imported, by its last name."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                found.add(name)
    return found


@pytest.mark.parametrize(
    ("code", "tables"),
    [
        ('text("INSERT INTO message (id) VALUES (1)")', {"message"}),
        ('text("UPDATE message SET state = 1")', {"message"}),
        ('text("WITH a AS (UPDATE message AS m\\n SET state = 1) SELECT 1")', {"message"}),
        ('text("DELETE FROM attempt")', {"attempt"}),
        ('f"COPY message ({names}) FROM STDIN"', {"message"}),
        ('f"UPDATE {table} SET state = 1"', {"{}"}),
        ("session.add(Message(id=1))", {"message"}),
        ("session.execute(sa.update(Message).values(state=1))", {"message"}),
        ("session.execute(delete(Attempt))", {"attempt"}),
        ('text("SELECT id FROM message FOR UPDATE OF m SKIP LOCKED")', set()),
        ("session.execute(sa.select(Message))", set()),
        ('"""UPDATE message SET state: in words."""', set()),
    ],
)
def test_a_write_is_found_however_it_is_written(code: str, tables: set[str]) -> None:
    assert written(ast.parse(code)) == tables


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("UPDATE message SET state = 'sent', held = false FROM due WHERE state = 'x'", {"state", "held"}),
        ("UPDATE attempt AS a SET look_at = CASE WHEN a = 1 THEN 2 END,\n looks = 1 WHERE x", {"look_at", "looks"}),
        ("INSERT INTO attempt (id) VALUES (1) ON CONFLICT DO UPDATE SET\n outcome = 1, code = 2", {"outcome", "code"}),
        ("UPDATE lane SET {}, {} WHERE x", {"{}"}),
    ],
)
def test_the_columns_of_a_change_are_those_that_it_sets(sql: str, columns: set[str]) -> None:
    assert [found for _, found in changed(sql)] == [columns]
