"""What the scripts that run in an SDK's own environment share: they say what they saw in a file of JSON.

It knows nothing of Outrider: everything here is what a user of that release could write.
"""

import json
import math
import os
import sys
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """A value as strict JSON: numbers that JSON lacks become text, mappings of any kind become objects."""
    if isinstance(value, bool) or value is None or isinstance(value, (int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if hasattr(value, "items"):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    return repr(value)


def report(value: Any) -> None:
    """Hands `value` to the test. The last call counts."""
    Path(os.environ["COMPAT_REPORT"]).write_text(json.dumps(plain(value)))


def raised(call: Any, *arguments: Any, **named: Any) -> str | None:
    """The name of the exception that a call raises; None if it raises none."""
    try:
        call(*arguments, **named)
    except Exception as error:
        return type(error).__name__
    return None


def project() -> str:
    """The project that the test chose for this script."""
    return sys.argv[1]


def missing(what: Any) -> str:
    """Stands in a report where this release has no such name."""
    return f"absent: {what}"
