"""Bytes that users wrote, answered as what they are: to keep, never to show as pages of ours. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import quote

USER_BYTES: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}
"""On every answer made of bytes that a user's job wrote."""

MAX_NAME: Final = 150  # characters of a download's name: most file systems take 255 bytes

# Reserved on Windows, whatever the extension.
_DEVICES: Final = re.compile(r"^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


def download_name(path: str) -> str:
    """The last part of `path` as a file name that is safe to save on any system; never empty."""
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    kept = []
    for char in unicodedata.normalize("NFC", name):
        category = unicodedata.category(char)
        # Control characters forge headers, bidirectional marks hide an extension, surrogates are no text at all.
        if category in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
            continue
        kept.append("_" if char in '<>:"|?*' else char)
    name = "".join(kept).strip(" .")
    if len(name) > MAX_NAME:
        stem, dot, suffix = name.rpartition(".")
        name = f"{stem[: MAX_NAME - len(suffix) - 1]}{dot}{suffix}" if dot and len(suffix) <= 16 else name[:MAX_NAME]
    if not name or _DEVICES.match(name):
        name = f"file-{name}" if name else "file"
    return name


def attachment(path: str) -> str:
    """`Content-Disposition` that saves the bytes under the path's last part (RFC 6266, RFC 8187)."""
    name = download_name(path)
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._- ") else "_" for char in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
