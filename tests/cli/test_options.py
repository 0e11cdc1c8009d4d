"""What commands say beside what they print."""

import sys

import pytest

from cli.options import say


def test_remark_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("ph\x1b[31mone\n  line 2: \x9b0m")
    assert capsys.readouterr().err == "ph [31mone\n  line 2:  0m\n"


def test_remark_where_standard_error_is_closed_is_not_printed_instead(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    say("x")
    assert capsys.readouterr().out == ""
