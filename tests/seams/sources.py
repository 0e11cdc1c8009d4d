"""Our code as the guards read it: the modules of a room as trees, and the statements that they write."""

import ast
from collections.abc import Iterator
from functools import cache

from tests.documents import ROOT


@cache
def trees(*rooms: str) -> dict[str, ast.Module]:
    """By their paths from the root."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text())
        for room in rooms
        for path in sorted((ROOT / room).rglob("*.py"))
    }


def docstrings(tree: ast.AST) -> set[ast.AST]:
    return {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }


def strings(tree: ast.AST) -> Iterator[str]:
    """All strings but docstrings, each whole; `{}` where something is put in."""
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    left_out = docstrings(tree) | parts
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in left_out:
            yield node.value
