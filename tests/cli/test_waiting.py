"""What is said while a command waits."""

from cli.waiting import _pause


def test_reason_of_a_pause_does_not_steer_the_terminal() -> None:
    said = _pause({"state": "paused", "pause_reason": "EC_\x1b[2JX", "id": "1"})
    assert said == "the batch is paused (EC_ [2JX): `delivery batches resume 1` lets it go on"
