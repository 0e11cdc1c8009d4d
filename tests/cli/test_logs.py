"""Log files: what is shown, and that they do not grow for ever."""

import json
from pathlib import Path

import pytest

from cli import logs


def test_rotation_keeps_one_earlier_run(tmp_path: Path) -> None:
    path = tmp_path / "api.log"
    for run in ("first", "second", "third"):
        logs.rotate(path)
        path.write_text(run)
    assert path.read_text() == "third"
    assert logs.previous(path).read_text() == "second"
    assert len(list(tmp_path.iterdir())) == 2


def test_line_is_shown_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "api.log"
    follower = logs.Follower(path)
    assert follower.notable_lines() == []
    path.write_text("ERROR: half a")
    assert follower.notable_lines() == []
    with path.open("a") as log:
        log.write(" line\nINFO: no\n")
    assert follower.notable_lines() == ["ERROR: half a line"]


def test_file_that_has_grown_large_is_begun_anew_under_its_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_KEPT_BYTES", 100)
    path = tmp_path / "api.log"
    follower = logs.Follower(path)
    with path.open("a") as writer:
        writer.write("x" * 200 + "\n")
        writer.flush()
        follower.notable_lines()
        writer.write("WARNING: after\n")
        writer.flush()
    assert follower.notable_lines() == ["WARNING: after"]
    assert path.read_text() == "WARNING: after\n"
    assert logs.previous(path).stat().st_size == 201


def test_json_event_is_shown_in_words_with_the_end_of_its_traceback() -> None:
    event = {"sweep": "expire", "event": "sweep_failed", "level": "error", "exception": "Trace\n  a\nE: x"}
    assert logs.pleasant(json.dumps(event)) == "error: sweep_failed sweep=expire E: x"


def test_line_that_would_fill_the_terminal_is_cut() -> None:
    assert len(logs.pleasant("ERROR " + "x" * 10_000)) == 300
