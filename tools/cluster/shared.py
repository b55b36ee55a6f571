"""One cluster used by several processes at once, such as test workers: the first brings it up, the last takes it down.

Users are kept as process ids with start times, so one that was killed counts no longer.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.cluster.cluster import Cluster
from tools.cluster.layout import home
from tools.cluster.processes import start_time
from tools.cluster.system import locked, put

KEEP = "OUTRIDER_TEST_CLUSTER_KEEP"


@dataclass(slots=True)
class Users:
    """Who uses a cluster. `owned`: its users brought it up, so the last of them takes it down."""

    owned: bool
    users: list[tuple[int, str]] = field(default_factory=list)

    def living(self) -> "Users":
        """The same without processes that have ended."""
        return Users(self.owned, [(pid, start) for pid, start in self.users if start_time(pid) == start])


@contextmanager
def shared(cluster: Cluster) -> Iterator[Cluster]:
    """Use a cluster together with others. One that ran before anyone used it is left running, and so is any where the
    variable OUTRIDER_TEST_CLUSTER_KEEP is set to 1, for quick runs one after the other.
    """
    file = home() / f"{cluster.name}.users.json"
    lock = home() / f"{cluster.name}.users.lock"
    me = (os.getpid(), start_time(os.getpid()) or "")
    with locked(lock):
        known = _read(file) or Users(owned=not cluster.exists)
        # written first: where `up` fails or is killed, the next user still knows that it may take the rest down
        _write(file, Users(known.owned, [*known.living().users, me]))
        cluster.up()
    try:
        yield cluster
    finally:
        with locked(lock):
            known = _read(file) or Users(owned=False)
            left = Users(known.owned, [user for user in known.living().users if user != me])
            if left.users:
                _write(file, left)
            else:
                if left.owned and os.environ.get(KEEP) != "1":
                    cluster.down()
                file.unlink(missing_ok=True)


def _read(file: Path) -> Users | None:
    try:
        raw: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    return Users(raw["owned"], [(pid, start) for pid, start in raw["users"]])


def _write(file: Path, users: Users) -> None:
    put(file, json.dumps({"owned": users.owned, "users": users.users}))
