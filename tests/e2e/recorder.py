"""Keeps what each rank recorded of itself, though the kubelet empties the pod's volume as soon as the pod has ended.

The nodes' volumes lie on this machine. Every record is opened as soon as it appears; an open file outlives its folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

K = TypeVar("K")


class Record(NamedTuple):
    """Which output a recorded file is the copy of."""

    pod_uid: str
    rank: int
    restart: int
    stream: str


NAME = re.compile(r"pods/(?P<uid>[^/]+)/volumes/.*/record/rank(?P<rank>\d+)\.restart(?P<restart>\d+)\.(?P<stream>\w+)$")


STREAM = re.compile(
    r"pods/(?P<uid>[^/]+)/volumes/[^/]+/outrider/"
    r"(?:containers/)?(?P<name>.+/(?:stdout|stderr|events|samples)|user/[^/]+|sidecar/(?:events|metrics))\.(?:log|jsonl)$"
)


def _files(folder: Path) -> Iterator[Path]:
    """Every file below a folder that the kubelet may be taking away meanwhile; `Path.glob` would raise then."""
    for parent, _, names in os.walk(folder):  # what cannot be listed any more is passed over
        yield from (Path(parent, name) for name in names)


class Recorder:
    """Watches the `work/record` folders of a cluster's pods in a thread of its own until it is closed."""

    def __init__(self, cluster_root: Path, every: float = 0.1) -> None:
        self._root = cluster_root
        self._open: dict[Record, BinaryIO] = {}
        self._streams: dict[tuple[str, str], BinaryIO] = {}
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(every,), daemon=True)
        self._thread.start()

    def _watch(self, every: float) -> None:
        while not self._done.wait(every):
            self._look()

    def _look(self) -> None:
        for volumes in self._root.glob("n*/kubelet/pods/*/volumes/kubernetes.io~empty-dir"):
            for path in _files(volumes / "outrider"):
                if found := STREAM.search(str(path)):
                    self._keep(self._streams, (found["uid"], found["name"]), path)
            for path in _files(volumes / "work" / "record"):
                if found := NAME.search(str(path)):
                    record = Record(found["uid"], int(found["rank"]), int(found["restart"]), found["stream"])
                    self._keep(self._open, record, path)

    def _keep(self, files: dict[K, BinaryIO], key: K, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError), self._lock:  # the pod may go between the look and the opening
            if key not in files:
                files[key] = path.open("rb")

    def written(self, pod_uids: set[str]) -> dict[tuple[str, str], int]:
        """(pod UID, stream name) -> bytes ever written, of every stream on these pods' shared volumes."""
        with self._lock:
            return {key: os.fstat(file.fileno()).st_size for key, file in self._streams.items() if key[0] in pod_uids}

    def of(self, pod_uids: set[str]) -> dict[Record, bytes]:
        """Everything that the ranks of these pods recorded so far."""
        with self._lock:
            mine = {key: file for key, file in self._open.items() if key.pod_uid in pod_uids}
            out = {}
            for key, file in mine.items():
                file.seek(0)
                out[key] = file.read()
        return out

    def close(self) -> None:
        """Ends the thread and gives the files back."""
        self._done.set()
        self._thread.join()
        for file in [*self._open.values(), *self._streams.values()]:
            file.close()
