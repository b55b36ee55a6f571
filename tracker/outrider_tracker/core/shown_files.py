"""Which files of a run a page may show, decided by their first bytes and never by their name alone: pure."""

from __future__ import annotations

from typing import Final

HEAD: Final = 4096  # bytes that decide

# First bytes, and the type as which a browser draws or plays them. None of them can run a script.
_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}


def content_type(head: bytes, name: str) -> str | None:
    """The type to show the file as; None: not to be shown.

    SVG is an image here: in an element for images it runs nothing and loads nothing, and as a page of its own the
    answer's headers put it into a sandbox.
    """
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return "video/ogg" if kind == "audio/ogg" and name.endswith(".ogv") else kind
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return "audio/mp4" if name.endswith(".m4a") else "video/mp4"
    if name.lower().endswith(".svg") and b"<svg" in head.lower():
        return "image/svg+xml"
    return None
