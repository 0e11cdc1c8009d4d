"""Which files an MMS may carry, and how large they may be. Pure.

Source: provider reference, media facts. The types are those that Infobip names; all operators handle 300 KB reliably,
most carriers of the US and Canada about 1 MB, and the size counts the whole message.
"""

import codecs
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

MOST_BYTES = 1024 * 1024
RELIABLE_BYTES = 300_000
WHAT_CARRIERS_TAKE = "all carriers take 300 KB, most of the US and Canada about 1 MB, all parts together"
HEAD_BYTES = 1_024  # of a file: by these it is told what it is

_BOM = "\ufeff"
_SMIL = re.compile(r"(?:<\?xml[^>]*\?>\s*)?(?:<!DOCTYPE\s+smil[^>]*>\s*)?<smil[\s/>]")


class BadMedia(ValueError):
    """Why a file cannot be carried."""


def _begins(*signatures: bytes, at: int = 0) -> Callable[[bytes], bool]:
    return lambda head: head[at:].startswith(signatures)


def _is_mp3(head: bytes) -> bool:
    """A tag, or the header of a frame of layer III. Source: ID3v2; ISO/IEC 11172-3."""
    return head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2)


def _is_wav(head: bytes) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"WAVE"


def _is_vcard(head: bytes) -> bool:
    return _text_of(head).upper().startswith("BEGIN:VCARD")


def _is_smil(head: bytes) -> bool:
    return is_smil(_text_of(head))


def _is_web_page(head: bytes) -> bool:
    return _text_of(head).lower().startswith(("<!doctype html", "<html", "<head", "<body"))


def _text_of(head: bytes) -> str:
    return head.decode(errors="replace").removeprefix(_BOM).lstrip()


_is_box_file = _begins(b"ftyp", at=4)  # MP4 and 3GP. Source: ISO/IEC 14496-12
_BY_BYTES: Final[Mapping[str, Callable[[bytes], bool]]] = {
    "image/jpeg": _begins(b"\xff\xd8\xff"),
    "image/png": _begins(b"\x89PNG\r\n\x1a\n"),
    "image/gif": _begins(b"GIF87a", b"GIF89a"),
    "audio/mpeg": _is_mp3,
    "audio/mp4": _is_box_file,
    "audio/3gpp": _is_box_file,
    "audio/midi": _begins(b"MThd"),
    "audio/wav": _is_wav,
    "video/mp4": _is_box_file,
    "video/3gpp": _is_box_file,
    "video/mpeg": _begins(b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"),  # a pack, or a sequence alone
    "application/pdf": _begins(b"%PDF-"),
    "text/plain": lambda head: b"\0" not in head,
    "text/vcard": _is_vcard,
    "application/smil": _is_smil,
}
TYPES: Final = tuple(_BY_BYTES)
_OTHER_NAMES: Final = MappingProxyType(
    {
        "image/jpg": "image/jpeg",
        "image/pjpeg": "image/jpeg",
        "audio/mp3": "audio/mpeg",
        "audio/mid": "audio/midi",
        "audio/x-midi": "audio/midi",
        "audio/wave": "audio/wav",
        "audio/x-wav": "audio/wav",
        "audio/vnd.wave": "audio/wav",
        "text/x-vcard": "text/vcard",
        "application/smil+xml": "application/smil",
    }
)
_TEXTS: Final = frozenset({"text/plain", "text/vcard", "application/smil"})
_FOUND: Final[Mapping[str, Callable[[bytes], bool]]] = {  # in the order to be asked: for the sentence alone
    "a web page": _is_web_page,
    "a JPEG": _BY_BYTES["image/jpeg"],
    "a PNG": _BY_BYTES["image/png"],
    "a GIF": _BY_BYTES["image/gif"],
    "a WebP": lambda head: head.startswith(b"RIFF") and head[8:12] == b"WEBP",
    "an MP4 or 3GP": _is_box_file,
    "a WAV": _is_wav,
    "a MIDI file": _BY_BYTES["audio/midi"],
    "an MPEG": _BY_BYTES["video/mpeg"],
    "a PDF": _BY_BYTES["application/pdf"],
    "an MP3": _is_mp3,
    "a vCard": _is_vcard,
    "SMIL": _is_smil,
}


def is_smil(text: str) -> bool:
    """Whether it begins as a layout does."""
    return _SMIL.match(text.removeprefix(_BOM).lstrip()) is not None


def media_type_of(content_type: str) -> str:
    """The one name of the type that a Content-Type names, parameters left out. Errors: BadMedia of one that no MMS may
    carry."""
    named = content_type.partition(";")[0].strip().lower()
    media_type = _OTHER_NAMES.get(named, named)
    if media_type not in _BY_BYTES:
        said = f"{named[:100]} is none that an MMS may carry" if named else "no Content-Type is given"
        raise BadMedia(f"{said}: these are {', '.join(TYPES)}")
    return media_type


class FileCheck:
    """A file that is to be of a type, looked at while it comes: how long it is, and whether its bytes are of that type.

    Each step raises BadMedia as soon as one is known not to be.
    """

    def __init__(self, media_type: str) -> None:
        """`media_type`: one of TYPES."""
        self.byte_count = 0
        self._media_type = media_type
        self._head: bytes | None = b""  # None: it was looked at
        self._text = codecs.getincrementaldecoder("utf-8")() if media_type in _TEXTS else None

    def feed(self, piece: bytes) -> None:
        self.byte_count += len(piece)
        self._read_text(piece, is_last=False)
        if self._head is not None:
            self._head += piece[:HEAD_BYTES]
            if len(self._head) >= HEAD_BYTES:
                self._look()

    def close(self) -> None:
        """No more comes."""
        if not self.byte_count:
            raise BadMedia("is empty: send the file's bytes as the body")
        self._read_text(b"", is_last=True)
        if self._head is not None:
            self._look()

    def _look(self) -> None:
        head, self._head = (self._head or b"")[:HEAD_BYTES], None
        if not _BY_BYTES[self._media_type](head):
            found = next((f", but like {name}" for name, is_found in _FOUND.items() if is_found(head)), "")
            raise BadMedia(f"does not begin like {self._media_type}{found}: send the file itself, with its own type")

    def _read_text(self, piece: bytes, *, is_last: bool) -> None:
        if self._text is None:
            return
        try:
            self._text.decode(piece, is_last)
        except UnicodeDecodeError as error:
            raise BadMedia(f"is not UTF-8, as {self._media_type} has to be") from error


def size_warnings(byte_count: int) -> list[str]:
    """What to tell of a file of this size that may be sent all the same."""
    if byte_count <= RELIABLE_BYTES:
        return []
    return [f"has {byte_count:,} bytes, and some carriers will not deliver it: {WHAT_CARRIERS_TAKE}"]
