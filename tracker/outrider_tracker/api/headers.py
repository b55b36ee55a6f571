"""Headers that keep user bytes from becoming part of our pages: pure."""

from __future__ import annotations

from typing import Final

from outrider_tracker.core.user_bytes import USER_BYTES, attachment, download_name

__all__ = ["API", "PAGE", "USER_BYTES", "attachment", "download_name", "framed"]


def framed(*, scripts: bool) -> dict[str, str]:
    """For HTML that a job wrote, in a frame of our own pages: an origin of its own, that may load and ask for nothing.

    With `scripts` those that stand in the file itself run there; they see neither our pages nor anybody's session.
    """
    run = "script-src 'unsafe-inline' 'unsafe-eval' blob:; worker-src blob:; " if scripts else ""
    return {
        **USER_BYTES,
        "Content-Security-Policy": (
            f"sandbox{' allow-scripts' if scripts else ''}; default-src 'none'; {run}style-src 'unsafe-inline'; "
            "img-src data: blob:; font-src data:; media-src data:; form-action 'none'; frame-ancestors 'self'"
        ),
    }


PAGE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
"""On the UI itself: nothing but our own files is loaded or run, no page may frame it."""

API: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""On every JSON answer."""
