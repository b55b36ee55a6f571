"""The same request over many connections at once."""

from __future__ import annotations

import threading
import time
from collections import Counter

from tests.fuzz.connecting import connect
from tests.fuzz.doors.sent import Sent


def crowd(port: int, sent: Sent, seconds: float, connections: int) -> Counter[int]:
    """Again and again until the time is over: how many answers had which status."""
    counts: Counter[int] = Counter()
    end = time.monotonic() + seconds

    def ask() -> None:
        connection = connect(port)
        while time.monotonic() < end:
            connection.request(sent.method, sent.path, sent.body, dict(sent.headers))
            got = connection.getresponse()
            got.read()
            counts[got.status] += 1
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts
