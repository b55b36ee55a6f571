"""What the fault runs do to a living cluster: kill one process of a container, or swallow packets to a pod's port."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from outrider_sidecar.contract import RIDER_IN_IMAGE

CGROUPS = Path("/sys/fs/cgroup")


def container_id(pod: dict[str, Any], container: str) -> str:
    """The runtime's id of a running container of a pod, from its status."""
    status = pod.get("status", {})
    for entry in [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]:
        if entry["name"] == container and entry.get("containerID"):
            return str(entry["containerID"]).rpartition("/")[2]
    raise AssertionError(f"pod {pod['metadata']['name']} has no running container {container}: {status}")


def processes(pod: dict[str, Any], container: str) -> dict[int, str]:
    """pid -> command line of every process of a container. The nodes share this machine's process table."""
    wanted = container_id(pod, container)
    hierarchy = CGROUPS / "memory" if (CGROUPS / "memory").is_dir() else CGROUPS
    found: dict[int, str] = {}
    for folder, _, _ in os.walk(hierarchy):  # groups come and go meanwhile; `Path.glob` would raise then
        if Path(folder).name != wanted:
            continue
        for pid in map(int, Path(folder, "cgroup.procs").read_text().split()):
            with contextlib.suppress(OSError):  # it may end while we look
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


def kill(pod: dict[str, Any], container: str, word: str, sig: int = signal.SIGKILL) -> int:
    """Sends a signal to the one process of a container whose command line has `word`; answers its pid."""
    found = processes(pod, container)
    hits = [pid for pid, line in found.items() if word in line and not line.startswith(RIDER_IN_IMAGE)]
    assert len(hits) == 1, f"one process with {word!r} wanted in {container}: {found}"
    os.kill(hits[0], sig)
    return hits[0]


@contextlib.contextmanager
def packets_dropped(nodes: Sequence[str], addresses: Sequence[str], port: int) -> Iterator[None]:
    """On these network namespaces, TCP to `addresses`:`port` is swallowed, on open connections too."""
    rules = [["-d", address, "-p", "tcp", "--dport", str(port), "-j", "DROP"] for address in addresses]

    def change(action: str) -> None:
        for node in nodes:
            for rule in rules:
                for chain in ("FORWARD", "OUTPUT"):
                    command = ["nsenter", f"--net=/var/run/netns/{node}", "--", "iptables", "-w", action, chain, *rule]
                    subprocess.run(command, check=True, capture_output=True)

    change("-I")
    try:
        yield
    finally:
        change("-D")
