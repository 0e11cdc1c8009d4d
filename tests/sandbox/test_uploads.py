"""Which uploaded content is at hand."""

from sandbox.uploads import Uploads


def test_content_is_at_hand_until_its_validity_runs_out():
    uploads = Uploads()
    uploaded_id = uploads.keep(until_ms=1000)
    assert [uploads.has(uploaded_id, at_ms) for at_ms in (0, 999, 1000)] == [True, True, False]
    assert not uploads.has("unknown", 0)
