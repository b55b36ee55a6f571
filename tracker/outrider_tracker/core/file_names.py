"""Names of files that clients give: never paths of ours, and never paths that could leave a folder of theirs. Pure."""

from __future__ import annotations

import re
from typing import Final

MAX_BYTES: Final = 1024
# Control characters; what Windows takes for a way up or a disk.
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:|^/|(?:^|/)\.{1,2}(?:/|$)|//|/$")


def is_file_name(name: str) -> bool:
    """Whether a file may have this name: parts with `/` between them, none empty, `.` or `..`."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:  # half characters
        return False
    return 0 < size <= MAX_BYTES and _FORBIDDEN.search(name) is None
