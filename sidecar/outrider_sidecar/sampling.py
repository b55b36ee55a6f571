"""Metrics of the node's scope that the collector can see itself: the pod's network and the disks of its volumes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from typing import Final

from outrider_sidecar import contract
from outrider_sidecar.config import Config
from outrider_sidecar.journal import Journal

NETWORK: Final = "/proc/net/dev"
_GB: Final = 1 << 30


def network(table: str) -> dict[str, float]:
    """Bytes through all interfaces but loopback, from the text of /proc/net/dev: since the pod's network was made."""
    received = sent = 0
    for line in table.splitlines():
        interface, colon, numbers = line.partition(":")
        fields = numbers.split()
        if colon and interface.strip() != "lo" and len(fields) >= 9:
            received += int(fields[0])
            sent += int(fields[8])
    return {"network.recv": float(received), "network.sent": float(sent)}


def disk(mount: str, status: os.statvfs_result) -> dict[str, float]:
    """How full the volume is that the trainer sees at `mount`; usage as `df` counts it."""
    used = (status.f_blocks - status.f_bfree) * status.f_frsize
    usable = used + status.f_bavail * status.f_frsize
    percent = 100.0 * used / usable if usable else 0.0
    return {f"disk.{mount}.usagePercent": percent, f"disk.{mount}.usageGB": used / _GB}


def volumes(config: Config) -> dict[str, str]:
    """{path in the trainer: where the collector sees it}, the shared volume first."""
    mounts = {contract.MOUNT_PATH: config.directory}
    for container in config.containers:
        for mount in container.mounts:
            mounts.setdefault(mount.path, mount.at)
    return mounts


def sample(mounts: Mapping[str, str]) -> dict[str, float]:
    """All of it, now. What cannot be read is left out: a volume may be gone while the pod ends.

    May hang as long as a network file system does: not for the main loop.
    """
    values: dict[str, float] = {}
    for text in _read(NETWORK):
        values |= network(text)
    for path, at in mounts.items():
        try:
            values |= disk(path, os.statvfs(at))
        except OSError:
            continue
    return values


class Sampler:
    """A thread that samples until it is stopped: statvfs of a volume that hangs holds up nothing else."""

    def __init__(self, config: Config, journal: Journal) -> None:
        self._interval = config.metrics_interval
        self._mounts = volumes(config)
        self._journal = journal
        self._stopped = threading.Event()

    def start(self) -> None:
        """The first sample comes after one interval."""
        threading.Thread(target=self._run, name="sampler", daemon=True).start()

    def stop(self) -> None:
        """No more samples."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            self._journal.metrics(sample(self._mounts))


def _read(path: str) -> Iterable[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            yield file.read(1 << 20)
    except OSError:
        return
