"""Sends a door's requests to a tracker for a while, and says what answers were wrong."""

from __future__ import annotations

import http.client
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.fuzz.connecting import ANSWER_SECONDS, connect
from tests.fuzz.doors import DOORS
from tests.fuzz.doors.sent import Sent
from tests.fuzz.doors.world import ENTITY, PROJECT, RUN, World
from tests.fuzz.hostile import Hostile

SHOWN = 5  # failures told in full


@dataclass
class Pressed:
    """What became of the requests: how many had which status; those that were answered wrongly, as text."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def press(port: int, door: str, seed: str, seconds: float, world: World) -> Pressed:
    """Requests one after the other, until the time is over."""
    made = Pressed()
    hostile = Hostile(f"{seed}/{door}", [ENTITY, PROJECT, RUN, "loss"])
    connection = connect(port)
    end = time.monotonic() + seconds
    for number, sent in enumerate(DOORS[door](hostile, world)):
        if time.monotonic() > end:
            break
        wrong = _send(connection, sent, made)
        if wrong:
            connection.close()
            body = (sent.body or b"")[:3000]
            made.failures.append(
                f"seed {seed}, request {number}: {wrong}\n{sent.method} {sent.path[:2000]}\n"
                f"{dict(sent.headers)}\n{body!r}"
            )
            if len(made.failures) >= SHOWN:
                break
    connection.close()
    return made


def _send(connection: http.client.HTTPConnection, sent: Sent, made: Pressed) -> str | None:
    """Sends one; what is wrong with its answer."""
    try:
        headers = {name: value.encode("utf-8").decode("latin-1") for name, value in sent.headers.items()}
        connection.request(sent.method, sent.path, sent.body, headers)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused while we sent: the answer is there all the same, or the connection is closed
    except (ValueError, http.client.InvalidURL):
        connection.close()
        return None  # our own client would not send this
    try:
        answer = connection.getresponse()
        text = answer.read()
    except TimeoutError:
        return f"no answer within {ANSWER_SECONDS} s"
    except (http.client.HTTPException, ConnectionError) as error:
        connection.close()
        # A body that is refused before it is read may cost the connection, not the process: the next request tells.
        made.statuses[0] += 1
        return None if isinstance(error, (ConnectionError, http.client.RemoteDisconnected)) else f"{error!r}"
    made.statuses[answer.status] += 1
    if answer.getheader("connection", "").lower() == "close":
        connection.close()
    if answer.status == 200 and sent.learn is not None:
        sent.learn(text)
    if answer.status >= 500 and answer.status not in {503, 507}:
        return f"status {answer.status}: {text[:500]!r}"
    if b"this is its fault" in text[:2000]:
        return f"a resolver failed: {text[:1000]!r}"
    return None
