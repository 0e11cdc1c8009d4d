"""`delivery media` against a real API and the sandbox: up once, shown, and refused in one line."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlmodel import Session

from sandbox.media import JPEG
from tests.cli.shell import Delivery, failure
from tests.factories import make_lane
from tests.processes import running_sandbox
from worker.media_rules import MOST_BYTES, RELIABLE_BYTES


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with running_sandbox() as url:
        yield url


@pytest.fixture
def upload(at_home: Delivery, session: Session, sandbox: str, tmp_path: Path) -> Delivery:
    """Through a credential that leads to the sandbox, in a folder with a picture."""
    make_lane(session, name="main", base_url=sandbox)
    (tmp_path / "sale.jpg").write_bytes(JPEG)
    return lambda *words, **rest: at_home("media", "upload", *words, "--credential", "main", **rest)


def test_file_goes_up_once_under_its_name_and_type(
    upload: Delivery, at_home: Delivery, administrator: httpx.Client
) -> None:
    media = upload("sale.jpg", "--json").json
    assert (media["name"], media["content_type"], media["bytes"]) == ("sale.jpg", "image/jpeg", len(JPEG))
    assert media == administrator.get(f"/v1/media/{media['id']}").json()
    shown = upload("sale.jpg")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.splitlines()[0].split() == ["id", media["id"]]
    assert at_home("media", "list", "--json").json["items"] == [media]
    assert media["id"] in at_home("media", "list").out


def test_what_was_never_uploaded_is_said(at_home: Delivery, session: Session) -> None:
    assert at_home("media", "list").out == "no file was uploaded yet\n"


def test_large_file_comes_by_standard_input_with_a_warning(upload: Delivery) -> None:
    typed = JPEG + bytes(RELIABLE_BYTES)
    done = upload("-", "--content-type", "image/jpeg", "--name", "big", typed=typed)
    assert done.code == 0
    assert done.err.startswith(f"the file has {len(typed):,} bytes, and some carriers will not deliver it")
    assert "warnings" not in done.out


@pytest.mark.parametrize(
    ("words", "content", "said"),
    [
        (("none.jpg",), b"", "cannot read none.jpg: No such file or directory"),
        (("-",), JPEG, "the name '' does not tell its type: give --content-type, one of image/jpeg, "),
        (("-", "--name", "a.jpg"), b"<html>", "body: does not begin like image/jpeg, but like a web page"),
        (("-", "--name", "a.jpg"), bytes(MOST_BYTES + 1), f"- has more than {MOST_BYTES:,} bytes. Make it smaller"),
        (("sale.jpg", "--content-id", "a b"), b"", "content_id: must be 1 to 20 letters, digits and dots"),
    ],
    ids=["missing", "no type", "web page", "too large", "content ID"],
)
def test_file_that_cannot_go_is_one_line(upload: Delivery, words: tuple[str, ...], content: bytes, said: str) -> None:
    assert failure(upload(*words, typed=content)).startswith(said)
