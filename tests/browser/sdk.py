"""The real W&B client against a served tracker: data of tests and pictures."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tests.browser.served import ADMIN_KEY
from tests.compat.sdk import CURRENT, DEFAULT_SIGNALS, environment
from tools.sdk_venvs import python_of

TRAINING: Final = Path(__file__).with_name("sdk_training.py")
PROJECT: Final = "/vision/digits"
WHOLE: Final = f"{PROJECT}/runs/whole"
LIVE: Final = f"{PROJECT}/runs/live"
EVIL: Final = "<img src=x onerror='window.outriderHacked=true'>"  # as sdk_training.py has it
DEADLINE: Final = 240.0  # seconds that all trainings together may take on two busy cores


def _command(*what: str) -> list[str]:
    return [*DEFAULT_SIGNALS, str(python_of(CURRENT)), str(TRAINING), *what]


def log_runs(url: str, folder: Path, *what: str, key: str = ADMIN_KEY) -> None:
    """Makes the runs of `sdk_training.py`; back when their clients have sent everything."""
    folder.mkdir(parents=True, exist_ok=True)
    ended = subprocess.run(
        _command(*(what or ("log",))),
        cwd=folder,
        env=environment(folder, url, key),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@dataclass(frozen=True)
class Live:
    """A training that prints what it is told."""

    told: IO[str]
    process: subprocess.Popen[str]

    def say(self, line: str) -> None:
        """It prints the line; "bar" makes it draw a progress bar."""
        self.told.write(f"{line}\n")
        self.told.flush()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile it does nothing, and hears of nothing."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def live_run(url: str, folder: Path) -> Iterator[Live]:
    """A run that goes on until the context ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            _command("live"),
            cwd=folder,
            env=environment(folder, url, ADMIN_KEY),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdin is not None
        try:
            yield Live(process.stdin, process)
        finally:
            process.stdin.close()
            try:
                process.wait(60)
            finally:
                process.kill()
                process.wait(10)
