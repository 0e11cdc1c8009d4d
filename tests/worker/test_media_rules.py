"""Which files an MMS may carry: by their type, and by their bytes."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import media as samples
from worker.media_rules import (
    HEAD_BYTES,
    RELIABLE_BYTES,
    TYPES,
    BadMedia,
    FileCheck,
    media_type_of,
    size_warnings,
)

WEB_PAGE = b"\n<!DOCTYPE html><html><body>404 Not Found</body></html>"
FILES: dict[str, list[bytes]] = {
    "image/jpeg": [samples.JPEG],
    "image/png": [b"\x89PNG\r\n\x1a\n" + b"\0" * 9],
    "image/gif": [b"GIF89a\1\0\1\0", b"GIF87a\1\0\1\0"],
    "audio/mpeg": [b"ID3\4\0", b"\xff\xfb\x90\x64", b"\xff\xf3\x44\xc4"],
    "audio/mp4": [b"\0\0\0\x18ftypM4A \0"],
    "audio/3gpp": [b"\0\0\0\x18ftyp3gp4\0"],
    "audio/midi": [b"MThd\0\0\0\6"],
    "audio/wav": [b"RIFF\x24\0\0\0WAVEfmt "],
    "video/mp4": [b"\0\0\0\x18ftypisom\0"],
    "video/3gpp": [b"\0\0\0\x18ftyp3gp5\0"],
    "video/mpeg": [b"\0\0\1\xba\x44", b"\0\0\1\xb3\x14"],
    "application/pdf": [b"%PDF-1.7\n"],
    "text/plain": ["Grüße, नमस्ते".encode(), b"a", b"\xef\xbb\xbfwith a mark"],
    "text/vcard": [b"BEGIN:VCARD\r\nVERSION:3.0\r\n", b"\xef\xbb\xbfbegin:vcard\n"],
    "application/smil": [b"<smil><head/></smil>", b'<?xml version="1.0"?>\n<smil xmlns="http://www.w3.org/ns/SMIL">'],
}
ITS_FILES = [(media_type, file) for media_type, files in FILES.items() for file in files]
UNLIKE = [
    (media_type, file)
    for media_type, others in FILES.items()
    if media_type != "text/plain"
    for file in {file for files in FILES.values() for file in files} - set(others)
    if not {"mp4", "3gpp"} & {media_type.partition("/")[2]} or b"ftyp" not in file
]


def check_file(media_type: str, pieces: Iterable[bytes]) -> int:
    """The length of a file that is of this type. Errors: BadMedia."""
    check = FileCheck(media_type)
    for piece in pieces:
        check.feed(piece)
    check.close()
    return check.byte_count


def test_each_type_has_a_file_here() -> None:
    assert tuple(FILES) == TYPES


@pytest.mark.parametrize(
    ("media_type", "file"), ITS_FILES, ids=[f"{n} {name}" for n, (name, _) in enumerate(ITS_FILES)]
)
def test_a_file_of_its_type_is_taken_and_counted(media_type: str, file: bytes) -> None:
    assert check_file(media_type, [file]) == len(file)


def test_a_file_of_another_type_is_refused() -> None:
    assert len(UNLIKE) > 200
    for media_type, file in UNLIKE:
        with pytest.raises(BadMedia, match=f"(like|not UTF-8, as) {media_type}"):
            check_file(media_type, [file])


@pytest.mark.parametrize("media_type", [name for name in TYPES if name != "text/plain"])
def test_a_web_page_is_refused_and_named(media_type: str) -> None:
    """What a server answers for a picture that it lacks."""
    with pytest.raises(BadMedia, match=f"does not begin like {media_type}, but like a web page"):
        check_file(media_type, [WEB_PAGE])


@pytest.mark.parametrize("media_type", TYPES)
def test_an_empty_file_is_refused(media_type: str) -> None:
    with pytest.raises(BadMedia, match="is empty"):
        check_file(media_type, [b"", b""])


@pytest.mark.parametrize(
    "file", [b"\xff\xfeh\0i\0", "Grüße".encode("latin-1"), b"cut \xe0\xa4", b"x" * 5_000 + b"\xff"], ids=str
)
def test_a_text_in_another_encoding_is_refused_wherever_that_shows(file: bytes) -> None:
    with pytest.raises(BadMedia, match="is not UTF-8"):
        check_file("text/plain", [file])


def test_a_text_with_zero_bytes_is_none() -> None:
    with pytest.raises(BadMedia, match="does not begin like text/plain"):
        check_file("text/plain", [b"a\0b"])


@given(st.sampled_from(ITS_FILES + UNLIKE), st.integers(1, 40), st.binary(max_size=2 * HEAD_BYTES))
def test_it_does_not_matter_how_a_file_is_cut(case: tuple[str, bytes], size: int, rest: bytes) -> None:
    media_type, file = case
    whole = file + rest
    assert verdict(media_type, [whole]) == verdict(
        media_type, [whole[at : at + size] for at in range(0, len(whole), size)]
    )


def verdict(media_type: str, pieces: list[bytes]) -> bool:
    try:
        check_file(media_type, pieces)
    except BadMedia:
        return False
    return True


def test_what_is_no_picture_is_refused_before_all_of_it_has_come() -> None:
    check = FileCheck("image/jpeg")
    with pytest.raises(BadMedia):
        check.feed(WEB_PAGE.ljust(HEAD_BYTES))


@pytest.mark.parametrize(
    ("content_type", "media_type"),
    [
        ("image/jpeg", "image/jpeg"),
        ("Image/JPG", "image/jpeg"),
        ("text/plain; charset=utf-8", "text/plain"),
        (" text/x-vCard ", "text/vcard"),
        ("audio/mp3", "audio/mpeg"),
        ("application/smil+xml", "application/smil"),
    ],
)
def test_a_type_has_one_name(content_type: str, media_type: str) -> None:
    assert media_type_of(content_type) == media_type


@pytest.mark.parametrize("content_type", ["", "image/webp", "image/svg+xml", "text/html", "application/octet-stream"])
def test_a_type_that_no_mms_may_carry_is_refused_with_those_that_are(content_type: str) -> None:
    with pytest.raises(BadMedia, match="image/jpeg, image/png, image/gif"):
        media_type_of(content_type)


def test_a_file_that_some_carriers_do_not_take_is_warned_of() -> None:
    assert size_warnings(RELIABLE_BYTES) == []
    (warning,) = size_warnings(RELIABLE_BYTES + 1)
    assert "300,001 bytes" in warning
