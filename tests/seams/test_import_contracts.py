"""The import contracts of pyproject.toml, where they list modules by name: none is forgotten."""

import tomllib

from tests.documents import ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
PURE_ROWS = ("states", "reasons", "retry")  # named by one of each: words, and the rules over them
IMPURE = {"worker.infobip.client"}  # of Infobip's room: it talks


def rows_of(container: str) -> list[set[str]]:
    """The modules of each row of a room's layers."""
    (contract,) = [contract for contract in CONTRACTS if contract.get("containers") == [container]]
    return [{f"{container}.{name}" for name in row.split(" | ")} for row in contract["layers"]]


def test_every_word_rule_and_wire_form_is_bound_to_be_pure() -> None:
    (pure,) = [set(contract["source_modules"]) for contract in CONTRACTS if "are pure" in contract["name"]]
    rows = [row for row in rows_of("worker") if row & {f"worker.{name}" for name in PURE_ROWS}]
    assert len(rows) == len(PURE_ROWS)
    infobip = {f"worker.infobip.{path.stem}" for path in (ROOT / "worker/infobip").glob("[!_]*.py")}
    assert set.union(*rows, infobip) - pure == IMPURE
