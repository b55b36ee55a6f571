"""Keeps what each rank recorded of itself, though the kubelet empties the pod's volume as soon as the pod has ended.

The nodes' volumes lie on this machine. Every record is opened as soon as it appears; an open file outlives its folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from pathlib import Path
from typing import BinaryIO, NamedTuple


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
        self._look_at_streams()
        for path in self._root.glob("n*/kubelet/pods/*/volumes/kubernetes.io~empty-dir/work/record/*"):
            found = NAME.search(str(path))
            if not found:
                continue
            key = Record(found["uid"], int(found["rank"]), int(found["restart"]), found["stream"])
            with self._lock:
                if key not in self._open:
                    try:
                        self._open[key] = path.open("rb")
                    except FileNotFoundError:  # the pod went between the look and the opening
                        continue

    def _look_at_streams(self) -> None:
        for path in self._root.glob("n*/kubelet/pods/*/volumes/kubernetes.io~empty-dir/outrider/**/*"):
            found = STREAM.search(str(path))
            key = (found["uid"], found["name"]) if found else None
            if key and key not in self._streams:
                with contextlib.suppress(FileNotFoundError), self._lock:
                    self._streams[key] = path.open("rb")

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
