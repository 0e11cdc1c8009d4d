"""Content uploaded for MMS: its ID, the headers it needs, and how long it can be sent."""

import re

import pytest


def status_of(sandbox, mms, uploaded_id):
    return sandbox.send_mms(
        mms(segments=[{"type": "UPLOADED_REFERENCE", "uploadedContentId": uploaded_id}])
    ).status_code


@pytest.mark.parametrize("content_type", ["application/octet-stream", "image/png", "image/png; q=1"])
def test_upload_is_answered_with_an_id_that_can_be_sent(sandbox, mms, content_type):
    answer = sandbox.upload(content_type=content_type)
    assert answer.status_code == 200
    assert list(answer.json()) == ["uploadedContentId"]
    uploaded_id = answer.json()["uploadedContentId"]
    assert re.fullmatch(r"[0-9A-F]{128}", uploaded_id)
    assert status_of(sandbox, mms, uploaded_id) == 200
    assert status_of(sandbox, mms, uploaded_id[:-1]) == 400


def test_each_upload_has_an_id_of_its_own(sandbox):
    assert sandbox.upload().json() != sandbox.upload().json()


def test_what_was_uploaded_outlives_an_emptied_log(sandbox, mms):
    uploaded_id = sandbox.upload().json()["uploadedContentId"]
    sandbox.http.delete("/sandbox/log")
    assert status_of(sandbox, mms, uploaded_id) == 200


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"x_content_id": ""}, "X-Content-Id"),
        ({"x_media_type": ""}, "X-Media-Type"),
        ({"x_media_type": "jpeg"}, "X-Media-Type"),
        ({"content_type": "image/gif"}, "Content-Type"),
        ({"content_type": ""}, "Content-Type"),
        ({"x_validity_period_minutes": "0"}, "X-Validity-Period-Minutes"),
        ({"x_validity_period_minutes": "-5"}, "X-Validity-Period-Minutes"),
        ({"x_validity_period_minutes": "1.5"}, "X-Validity-Period-Minutes"),
        ({"x_validity_period_minutes": "9223372036854775808"}, "X-Validity-Period-Minutes"),
        ({"x_validity_period_minutes": "9" * 5000}, "X-Validity-Period-Minutes"),
    ],
    ids=["no id", "no type", "half a type", "another type", "no content type"]
    + ["no minutes", "fewer than none", "a fraction", "more than 64 bits", "far more"],
)
def test_upload_with_a_bad_header_is_refused_in_the_old_form(sandbox, headers, name):
    answer = sandbox.upload(**headers)
    assert answer.status_code == 400
    error = answer.json()
    assert (error.pop("bulkId"), error.pop("messages")) == ("", [])
    assert name in error.pop("errorMessage")
    assert error == {}


def test_empty_upload_is_refused(sandbox):
    assert sandbox.upload(b"").status_code == 400


def test_log_of_requests_tells_the_size_of_an_upload(sandbox):
    """Bytes that are no text would break the lines of the log."""
    sandbox.upload(b"\xff\xd8\xc2\x85\n")
    (entry,) = sandbox.requests()
    assert (entry["path"], entry["request"]) == ("/mms/1/content", "(5 bytes)")
