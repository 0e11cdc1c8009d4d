"""The sandbox's own media files: really there, and bad in the ways that files on the web are."""

import struct
import zlib

import httpx
import pytest

from sandbox import media


@pytest.mark.parametrize(
    ("name", "media_type", "start", "end"),
    [
        ("picture.jpg", "image/jpeg", b"\xff\xd8\xff\xe0\x00\x10JFIF\0", b"\xff\xd9"),
        ("picture.png", "image/png", b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"),
        ("picture.gif", "image/gif", b"GIF89a", b";"),
        ("clip.mp4", "video/mp4", b"\0\0\0\x18ftypisom", b"\0\0\0\x08mdat"),
    ],
)
def test_file_is_served_without_a_key_and_looks_like_what_it_is(sandbox, name, media_type, start, end):
    answer = sandbox.http.get(f"/sandbox/media/{name}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
    assert answer.content.startswith(start)
    assert answer.content.endswith(end)


def test_png_holds_its_points_under_good_checksums(sandbox):
    rest, chunks = sandbox.http.get("/sandbox/media/picture.png").content[8:], {}
    while rest:
        (length,) = struct.unpack(">I", rest[:4])
        kind, data = rest[4:8], rest[8 : 8 + length]
        assert rest[8 + length : 12 + length] == struct.pack(">I", zlib.crc32(kind + data))
        chunks[kind], rest = data, rest[12 + length :]
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + width)


@pytest.mark.parametrize("name", ["picture.png", "large.jpg"])
def test_head_tells_the_size_and_sends_nothing(sandbox, name):
    head, whole = sandbox.http.head(f"/sandbox/media/{name}"), sandbox.http.get(f"/sandbox/media/{name}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"] == str(len(whole.content))


def test_large_picture_has_five_mebibytes(sandbox):
    assert sandbox.http.head("/sandbox/media/large.jpg").headers["Content-Length"] == str(5 * 2**20)


@pytest.mark.parametrize("name", ["missing.jpg", "picture.bmp"])
def test_file_that_is_not_there_is_answered_404(sandbox, name):
    assert sandbox.http.get(f"/sandbox/media/{name}").status_code == 404


def test_redirect_leads_to_a_private_address(sandbox):
    answer = sandbox.http.get("/sandbox/media/redirect.jpg")
    assert (answer.status_code, answer.headers["Location"]) == (302, media.PRIVATE_URL)
    assert httpx.URL(media.PRIVATE_URL).host == "127.0.0.1"


def test_slow_picture_keeps_its_client_waiting(sandbox):
    with pytest.raises(httpx.ReadTimeout):
        sandbox.http.get("/sandbox/media/slow.jpg", timeout=0.2)


def test_media_are_no_calls_of_infobip(sandbox):
    sandbox.faults(server_error=1)
    assert sandbox.http.get("/sandbox/media/picture.jpg").status_code == 200
    assert sandbox.requests() == []
