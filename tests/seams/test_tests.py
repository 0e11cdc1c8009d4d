"""Tests stand alone: what two of them need lies beside them, in a module that is none."""

import ast

from tests.seams.sources import trees


def test_no_test_imports_another() -> None:
    found = [
        f"{path}: {module}"
        for path, tree in trees("tests").items()
        for node in ast.walk(tree)
        for module in imported(node)
        if any(part.startswith("test_") for part in module.split("."))
    ]
    assert found == []


def imported(node: ast.AST) -> list[str]:
    """The modules that an import names: `from a import b` may be of a.b."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), names=names):
            is_of_test = any(part.startswith("test_") for part in module.split("."))
            return [module] if is_of_test else [f"{module}.{alias.name}" for alias in names]
    return []
