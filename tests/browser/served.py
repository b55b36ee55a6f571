"""A tracker in a process of its own, on a free port of the loopback, with its data in a folder of the test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.integration.tracker.tokens import ISSUER, Cluster

ADMIN_KEY: Final = "a" * 40
VIEWER_KEY: Final = "b" * 40
STRANGER_KEY: Final = "c" * 40


@dataclass(frozen=True)
class Served:
    """Where it listens, where its data lies, and whose pods it knows."""

    url: str
    data: Path
    cluster: Cluster


def add_user(data: Path, name: str, key: str, *entities: str) -> None:
    """`outrider-tracker user add`, beside a running tracker."""
    roles = [part for entity in entities for part in ("--entity", entity)]
    command = [sys.executable, "-m", "outrider_tracker", "user", "add", name, "--key", key, "--data", str(data), *roles]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Started and answering; stopped at the end. Users: admin, ada (viewer of vision), bob (member of speech)."""
    data, key_file, jwks, cluster = folder / "data", folder / "admin-key", folder / "jwks.json", Cluster()
    key_file.write_text(ADMIN_KEY)
    jwks.write_text(cluster.jwks())
    command = [sys.executable, "-m", "outrider_tracker", "serve", "--data", str(data), "--listen", "127.0.0.1:0"]
    with (folder / "tracker.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--admin-key-file", str(key_file), "--issuer", ISSUER, "--jwks", str(jwks)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, f"the tracker did not start: {(folder / 'tracker.log').read_text()}"
            url = json.loads(line)["http"]
            add_user(data, "ada", VIEWER_KEY, "vision:viewer")
            add_user(data, "bob", STRANGER_KEY, "speech:member")
            yield Served(url, data, cluster)
        finally:
            process.terminate()
            process.wait(30)
            if process.stdout is not None:
                process.stdout.close()
