"""Scripts that run in the environment of one SDK release, against a served tracker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.tracker.process import KEY, TrackerProcess
from tools.sdk_venvs import RELEASES, python_of

SCRIPTS = Path(__file__).parent / "scripts"
INTEGRATIONS = Path(__file__).parent / "integrations/scripts"
CURRENT, OLDEST = RELEASES[0], RELEASES[-1]
# The client interrupts a training by SIGINT, and whom a shell began in the background ignores that, with all it begins.
DEFAULT_SIGNALS = ("env", "--default-signal")
# More than any script takes on two busy cores: a client with a server that is wrong would wait for ever.
DEADLINE = 240.0


class ScriptError(AssertionError):
    """A script ended with another code than it should; the message has its output."""


def environment(folder: Path, base: str, key: str = KEY) -> dict[str, str]:
    """What a training process has in its environment; nothing of this user's own settings, and no proxy."""
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "WANDB_BASE_URL": base,
        "WANDB_API_KEY": key,
        "WANDB_DIR": str(folder),
        "WANDB_CACHE_DIR": str(folder / "cache"),
        "WANDB_DATA_DIR": str(folder / "data"),
        "WANDB_CONFIG_DIR": str(folder / "config"),
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "OMP_NUM_THREADS": "1",
    }


@dataclass
class Sdk:
    """One release, one tracker. Each script runs in a folder of its own."""

    release: str
    base: str
    work: Path
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def folder(self, name: str) -> Path:
        """A new folder for a script."""
        with self._lock:
            self._count += 1
            folder = self.work / f"{self._count}-{name}"
        folder.mkdir(parents=True)
        return folder

    def start(self, script: str, *arguments: str, folder: Path, **extra: str) -> subprocess.Popen[str]:
        """Begins a script; what it writes goes to `output` in its folder."""
        sources = (SCRIPTS / f"{script}.py", INTEGRATIONS / f"{script}.py", SCRIPTS / "reporting.py")
        for source in filter(Path.exists, sources):
            shutil.copy(source, folder)
        with (folder / "output").open("w") as output:
            return subprocess.Popen(
                [*DEFAULT_SIGNALS, str(python_of(self.release)), f"{script}.py", *arguments],
                cwd=folder,
                env={**environment(folder, self.base), "COMPAT_REPORT": str(folder / "report"), **extra},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def run(self, script: str, *arguments: str, ends_with: int = 0, **extra: str) -> Any:
        """Runs a script to its end and gives what it reported. ScriptError with its output if it ends otherwise."""
        folder = self.folder(script)
        process = self.start(script, *arguments, folder=folder, **extra)
        return self.finish(process, folder, ends_with)

    def finish(self, process: subprocess.Popen[str], folder: Path, ends_with: int = 0) -> Any:
        """Waits for a script and gives what it reported."""
        try:
            code = process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ScriptError(f"{self.release}: {folder.name} has not ended:\n{tail(folder)}") from None
        report = folder / "report"
        if code != ends_with or not report.exists():
            raise ScriptError(f"{self.release}: {folder.name} ended with {code}, not {ends_with}:\n{tail(folder)}")
        return json.loads(report.read_text())


def tail(folder: Path) -> str:
    """The end of a script's output, and of the client's own log."""
    output = (folder / "output").read_text(errors="replace")[-4000:]
    logs = [log.read_text(errors="replace")[-3000:] for log in folder.glob("**/logs/debug-internal.log")]
    return "\n".join([output, *(f"debug-internal.log:\n{log}" for log in logs[-1:])])


class Areas:
    """What was written and read in one release, once for all tests that look at it.

    An area is asked for by name; what it needs is run then, and its result (or its failure) is kept.
    """

    def __init__(self, tracker: TrackerProcess, work: Path) -> None:
        self.tracker = tracker
        self._work = work
        self._sdks: dict[str, Sdk] = {}
        self._results: dict[tuple[str, str], Future[Any]] = {}
        self._pool = ThreadPoolExecutor(2)

    def sdk(self, release: str) -> Sdk:
        """The scripts' runner of that release."""
        if release not in self._sdks:
            self._sdks[release] = Sdk(release, self.tracker.base, self._work / release)
        return self._sdks[release]

    def begin(self, release: str, name: str, make: Any) -> Future[Any]:
        """Starts `make(sdk)` in the background unless it was started; its result is kept under (release, name)."""
        if (release, name) not in self._results:
            self._results[release, name] = self._pool.submit(make, self.sdk(release))
        return self._results[release, name]

    def get(self, release: str, name: str, make: Any) -> Any:
        """The result of `make(sdk)`, made at most once."""
        return self.begin(release, name, make).result()

    def close(self) -> None:
        """Waits for what is under way."""
        self._pool.shutdown(cancel_futures=True)


# The tracker as it is, but for some of the seconds in which a silent run counts as one that lives.
HASTY = """
import json, sys
from outrider_tracker.core import run_states
for name, seconds in json.loads(sys.argv.pop(1)).items():
    assert hasattr(run_states, name)
    setattr(run_states, name, seconds)
from outrider_tracker.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def hasty_tracker(folder: Path, **seconds: float) -> Iterator[str]:
    """The address of a tracker that waits less: `seconds` replace constants of `core.run_states`."""
    (folder / "key").write_text(KEY)
    command = [sys.executable, "-c", HASTY, json.dumps(seconds), "serve", "--data", str(folder / "data")]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0", "--admin-key-file", str(folder / "key")],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        said = next((line for line in process.stdout if line.startswith("{")), None)
        if said is None:
            raise ScriptError(f"the tracker did not start:\n{(folder / 'log').read_text()[-3000:]}")
        try:
            yield json.loads(said)["http"]
        finally:
            process.kill()
