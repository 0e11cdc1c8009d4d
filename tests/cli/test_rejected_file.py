"""The CSV of rejected rows: each with its line, field, reason and what stands there, and never over the people."""

import csv
from pathlib import Path

import pytest

from cli.audience import Wrong
from cli.errors import CommandError
from cli.rejected_file import rejecting


def test_each_row_has_its_line_field_reason_and_value(tmp_path: Path) -> None:
    file = tmp_path / "rejected.csv"
    with rejecting(str(file), "people.csv") as told:
        told(Wrong(3, "call me", "to", "holds letters"), "call me")
        told(Wrong(4, None, "line", "has 1 cell"), 'a,"b\n')
        told(Wrong(5, None, "variables", "give a value"), {"a": 1})
        told(Wrong(6, None, "to", "is missing"), None)
        assert not file.exists()
    with file.open(newline="") as written:
        assert list(csv.reader(written)) == [
            ["line", "field", "reason", "value"],
            ["3", "to", "holds letters", "call me"],
            ["4", "line", "has 1 cell", 'a,"b\n'],
            ["5", "variables", "give a value", '{"a":1}'],
            ["6", "to", "is missing", ""],
        ]


@pytest.mark.parametrize("name", ["people.csv", "./people.csv", "link.csv", "-"])
def test_file_of_the_people_is_not_written_over(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text("phone\n")
    Path("link.csv").symlink_to("people.csv")
    with pytest.raises(CommandError, match="name a file for the rejected rows"), rejecting(name, "people.csv"):
        pass
    assert Path("people.csv").read_text() == "phone\n"
