"""Files that the rules mean, brought to the tracker by a thread of their own.

A network file system that hangs, or five gigabytes of checkpoint, hold up this thread and nothing else.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from outrider_sidecar import atomic, contract, layout
from outrider_sidecar.config import Config, TrainerContainer
from outrider_sidecar.door import Door, UnreachableError
from outrider_sidecar.globbing import absolute
from outrider_sidecar.journal import Journal
from outrider_sidecar.sending import backoff
from outrider_sidecar.uploading import ChangedError, Pace, RefusedError, Uploader
from outrider_sidecar.walking import MAX_VISITED, Match, Signature, TooManyFilesError, find, invisible

SCAN: Final = 2.0
SCAN_SHARE: Final = 20.0  # a walk may take a twentieth of the time
RATE: Final = 50e6  # bytes a second
MAX_SIZE: Final = 5 << 30
KEPT: Final = "files.json"


def is_due(policy: str, now: Signature, before: Signature | None, stored: Signature | None, *, ending: bool) -> bool:
    """Whether to upload this state of a file: another than the stored one, and at rest (live) or at the end."""
    if now == stored:
        return False
    return ending or (policy == "live" and now == before)


def working_dir(events: bytes) -> str | None:
    """`cwd` of the first `container.start` in a container start's events."""
    for line in events.splitlines():
        with suppress(ValueError, RecursionError):
            event = json.loads(line)
            if isinstance(event, dict) and event.get("type") == "container.start":
                cwd = event.get("cwd")
                return cwd if isinstance(cwd, str) and cwd.startswith("/") else None
    return None


class FileWorker:
    """Watches and uploads until the process ends."""

    def __init__(
        self, config: Config, new_door: Callable[..., Door], journal: Journal, wake: Callable[[], None]
    ) -> None:
        self._config = config
        self._journal = journal
        self._wake = wake
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._due: dict[str, int] = {}
        self._before: dict[str, Signature] = {}
        self._stored: dict[str, Signature] = {}
        self._pace = Pace(RATE, self._ending.wait)
        self._uploader = Uploader(config.tracker_url, config.source, new_door, self._pace)
        self._folder = -1
        self._root = -1
        self.finished = not config.files

    def start(self) -> None:
        """Start the thread, if there are rules."""
        if self._config.files:
            self._root = os.open(self._config.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._folder = layout.open_folder(self._root, contract.DIR_SIDECAR)
            self._stored = _load(self._folder)
            threading.Thread(target=self._run, name="files", daemon=True).start()

    def due(self) -> dict[str, int]:
        """{file: size} of what should be at the tracker by now and is not."""
        with self._lock:
            return dict(self._due)

    def finish(self) -> None:
        """The end: take everything that the rules mean, without regard to rest and rate."""
        self._pace.rate = 0.0
        self._ending.set()

    def _run(self) -> None:
        pause = 0.0
        while not self._ending.wait(pause):
            began = time.monotonic()
            self._pass(ending=False)
            pause = max(SCAN, SCAN_SHARE * (time.monotonic() - began))
        while not self._pass(ending=True):
            time.sleep(0.2)
        self.finished = True
        self._wake()

    def _pass(self, *, ending: bool) -> bool:
        try:
            return self._look(ending=ending)
        except Exception as error:  # noqa: BLE001  a thread that dies silently would take no file any more
            self._journal.warn("FilesFailed", f"files could not be looked at: {type(error).__name__}: {error}")
            return False

    def _look(self, *, ending: bool) -> bool:
        """Walk once and upload what is due; True where nothing of it is left."""
        found: dict[str, Match] = {}
        for container in self._config.containers:
            try:
                for match in find(container, self._working_dir(container), self._config.files):
                    found.setdefault(match.key, match)
            except TooManyFilesError:
                text = f"the patterns lead through more than {MAX_VISITED} entries: make them narrower"
                self._journal.warn("TooManyFiles", text, container=container.name)
            self._tell_invisible(container)
        todo = [m for m in found.values() if self._wanted(m, ending=ending)]
        self._before = {key: match.signature for key, match in found.items()}
        with self._lock:
            self._due = {match.name: match.size for match in todo}
        left = [match for match in todo if not self._bring(match, ending=ending)]
        return not left

    def _wanted(self, match: Match, *, ending: bool) -> bool:
        before, stored = self._before.get(match.key), self._stored.get(match.key)
        if not is_due(match.policy, match.signature, before, stored, ending=ending):
            return False
        if match.size > MAX_SIZE:
            text = f"{match.name} has {match.size} bytes; files over {MAX_SIZE} are not taken"
            self._journal.warn("FileTooLarge", text, container=match.container, path=match.name)
            return False
        return True

    def _bring(self, match: Match, *, ending: bool) -> bool:
        failures = 0
        while True:
            try:
                self._uploader.upload(match)
            except (ChangedError, FileNotFoundError):
                return False  # the next walk sees what it is now
            except RefusedError as error:
                text = f"{match.name} is not stored: {error}"
                self._journal.warn("FileRefused", text, container=match.container, path=match.name)
                if error.status in {400, 413}:
                    break  # this content never will be
                pause = max(backoff(failures + 1, random.random()), error.retry_after or 0.0)  # noqa: S311
            except UnreachableError:
                pause = backoff(failures + 1, random.random())  # noqa: S311
            except OSError as error:
                text = f"{match.name} cannot be read: {error.strerror or error}"
                self._journal.warn("FileUnreadable", text, container=match.container, path=match.name)
                return False
            else:
                break
            failures += 1
            if ending:
                time.sleep(min(pause, 0.3))
            elif self._ending.wait(pause):
                return False
        self._stored[match.key] = match.signature
        with self._lock:
            self._due.pop(match.name, None)
        with suppress(OSError):  # only saves reading the file again after a restart
            atomic.replace(self._folder, KEPT, json.dumps(self._stored).encode())
        self._wake()
        return True

    def _working_dir(self, container: TrainerContainer) -> str | None:
        if container.working_dir:
            return container.working_dir
        try:
            folder = layout.open_folder(self._root, contract.DIR_CONTAINERS, container.name)
        except OSError:
            return None
        try:
            starts = sorted((int(name) for name in os.listdir(folder) if name.isdecimal()), reverse=True)
            for start in starts[:3]:
                with suppress(OSError):
                    fd = layout.open_file(folder, (str(start), contract.FILE_EVENTS))
                    with os.fdopen(fd, "rb") as file:
                        found = working_dir(file.read(contract.MAX_LINE))
                    if found:
                        return found
        finally:
            os.close(folder)
        return None

    def _tell_invisible(self, container: TrainerContainer) -> None:
        where = self._working_dir(container)
        for rule in self._config.files:
            pattern = absolute(rule.path, where)
            if pattern is not None and invisible(pattern, container.mounts):
                text = (
                    f"{rule.path} lies on no volume of container {container.name}: only volumes can be read; "
                    f"mount one (an emptyDir is enough) at {pattern.fixed}, or write to a volume that is there"
                )
                self._journal.warn("PathNotVisible", text, container=container.name, path=rule.path)


def _load(folder: int) -> dict[str, Signature]:
    """What was stored by an earlier collector of this pod; nothing where that cannot be read."""
    try:
        fd = os.open(KEPT, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(fd, "rb") as file:
            value = json.loads(file.read(16 << 20))
    except (OSError, ValueError, RecursionError):
        return {}
    stored: dict[str, Signature] = {}
    for key, item in value.items() if isinstance(value, dict) else ():
        match item:
            case [int(inode), int(size), int(mtime)]:
                stored[str(key)] = (inode, size, mtime)
    return stored
