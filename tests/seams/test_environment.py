"""What is read from the environment: the settings, which are documented, and what is listed here with its reason."""

import ast
import re
from collections.abc import Iterator

from tests.seams.sources import trees
from worker.settings import Settings

OURS = trees("worker", "api", "cli", "sandbox")

# File: how it reaches for the environment. Each place has a reason why it is no setting.
PLACES = {
    "worker/settings.py": {"BaseSettings"},
    "worker/metrics_server.py": {"os.environ['PROMETHEUS_MULTIPROC_DIR']"},  # how prometheus_client is told
    "worker/traces.py": {"os.environ", "os.environ.setdefault(name, value)"},  # OpenTelemetry's own, as it is told
    # What a running `up` wrote becomes this process's environment, from which the settings are then read.
    "cli/main.py": {"os.environ", "os.environ.get(DATABASE_URL)"},
    # A client of the API has no settings of the product: it knows an address and a token.
    "cli/api_client.py": {"os.environ", "os.environ.get(name, '').strip()"},
    "cli/stack.py": {"os.environ"},  # goes to the children, completed
    "cli/demo.py": {"os.environ", "os.environ[name]"},  # a demo forgets the settings of whoever runs it
    "cli/embedded_postgres.py": {"os.environ.items()"},  # goes to the servers, without what would change their ways
}
ENVIRONMENTS = {"environ", "environb", "getenv", "putenv", "unsetenv", "BaseSettings"}
# Variables that look like settings and are none.
NO_SETTINGS = {
    "DELIVERY_STACK": "marks the processes of a stack, so that the next one finds what is left of it",
    "DELIVERY_API_URL": "tells commands run beside `up` where its API is",
    "DELIVERY_API_TOKEN": "lets commands that call the API in",
}


def reached(tree: ast.Module) -> Iterator[str]:
    """Each reach for the environment as it stands in the code, with the variable where one is named."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if {getattr(node, kind, None) for kind in ("id", "attr", "name")} & ENVIRONMENTS:
            whole = node
            while (outer := parents[whole]) and whole in (getattr(outer, "func", None), _subject(outer)):
                whole = outer
            yield ast.unparse(whole)


def _subject(node: ast.AST) -> ast.AST | None:
    """What an attribute or an item is taken of."""
    return node.value if isinstance(node, ast.Attribute | ast.Subscript) else None


def test_the_environment_is_reached_for_where_there_is_a_reason() -> None:
    assert {path: places for path, tree in OURS.items() if (places := set(reached(tree)))} == PLACES


def test_every_variable_of_ours_is_a_setting() -> None:
    texts = {node.value for tree in OURS.values() for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    named = {text for text in texts if isinstance(text, str) and re.fullmatch(r"DELIVERY_[A-Z_]*[A-Z]", text)}
    assert named - {f"DELIVERY_{name.upper()}" for name in Settings.model_fields} == set(NO_SETTINGS)
