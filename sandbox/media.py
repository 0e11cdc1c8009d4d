"""Small media files, made here and served over plain HTTP: content to link from an MMS, good and bad.

| Name | Answer |
|---|---|
| `picture.png`, `picture.jpg`, `picture.gif` | a valid picture of 8 by 8 grey points, the GIF of one |
| `clip.mp4` | the boxes that an MP4 file begins with, and no frames |
| `large.jpg` | a valid picture with padding behind it, 5 MiB in all |
| `slow.jpg` | the picture, after 30 seconds |
| `redirect.jpg` | 302 to an address that only the machine itself can reach |
| `missing.jpg`, and any other | 404 |
"""

import struct
import zlib

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.calls import is_gone_within

SLOW_SECONDS = 30.0
LARGE_BYTES = 5 * 2**20
PRIVATE_URL = "http://127.0.0.1/private.jpg"

_SIDE = 8


def media_routes() -> list[Route]:
    return [Route("/sandbox/media/{name}", serve, methods=["GET"])]


async def serve(request: Request) -> Response:
    """No key is needed, and HEAD is answered as GET without the body."""
    name = request.path_params["name"]
    if name == "redirect.jpg":
        return RedirectResponse(PRIVATE_URL, 302)
    if name == "slow.jpg":
        await is_gone_within(SLOW_SECONDS, request.receive)
        return Response(JPEG, media_type="image/jpeg")
    if name == "large.jpg":
        return Response(JPEG.ljust(LARGE_BYTES, b"\0"), media_type="image/jpeg")
    if name not in _FILES:
        return Response("no such file", 404, media_type="text/plain")
    media_type, body = _FILES[name]
    return Response(body, media_type=media_type)


def _png() -> bytes:
    """Source: PNG specification, third edition. Each line of points has a byte before it: no filter."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 0, 0, 0, 0)  # eight bits of grey
    points = zlib.compress((b"\0" + b"\x80" * _SIDE) * _SIDE)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", points) + chunk(b"IEND", b"")


def _jpeg() -> bytes:
    """Source: ITU-T T.81. One block of one grey component: its two codes, "no difference" and "end of block", are one
    zero bit each, and the byte is filled up with ones."""

    def segment(marker: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data

    one_code = bytes([1] + [0] * 15 + [0])  # one code of one bit, for the symbol 0
    return b"".join(
        [
            b"\xff\xd8",
            segment(0xE0, b"JFIF\0" + struct.pack(">HBHHBB", 0x0101, 0, 1, 1, 0, 0)),
            segment(0xDB, bytes([0]) + bytes([1] * 64)),
            segment(0xC0, struct.pack(">BHHBBBB", 8, _SIDE, _SIDE, 1, 1, 0x11, 0)),
            segment(0xC4, bytes([0x00]) + one_code),
            segment(0xC4, bytes([0x10]) + one_code),
            segment(0xDA, bytes([1, 1, 0x00, 0, 63, 0])),
            b"\x3f\xff\xd9",
        ]
    )


def _gif() -> bytes:
    """Source: GIF89a. One point of the first of two colours; the data are the codes clear, 0 and end, of three bits."""
    screen = struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\x80\x80\x80\xff\xff\xff"
    image = struct.pack("<BHHHHB", 0x2C, 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + screen + image + b"\x3b"


def _mp4() -> bytes:
    """Source: ISO/IEC 14496-12. The box of file types, and an empty one of media data."""

    def box(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data) + 8) + kind + data

    return box(b"ftyp", b"isom" + struct.pack(">I", 0x200) + b"isommp41") + box(b"mdat", b"")


JPEG = _jpeg()

_FILES = {
    "picture.jpg": ("image/jpeg", JPEG),
    "picture.png": ("image/png", _png()),
    "picture.gif": ("image/gif", _gif()),
    "clip.mp4": ("video/mp4", _mp4()),
}
