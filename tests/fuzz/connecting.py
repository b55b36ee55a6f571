"""Connections to the tracker under test, of whoever asks it."""

from __future__ import annotations

import http.client

ANSWER_SECONDS = 30.0  # whatever is asked: an answer comes by then


def connect(port: int) -> http.client.HTTPConnection:
    """One that waits no longer for an answer."""
    return http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
