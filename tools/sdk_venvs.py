"""Virtual environments, one for each W&B SDK release that the tracker supports:  python -m tools.sdk_venvs [NAME...]

Each is installed from its lock, `locks/compat-RELEASE.txt`, all files checked by hash, into the user's cache folder.
Its folder carries the lock's hash, so that another lock makes another environment and one that is there never changes.
Packages are hard links into uv's cache: seven environments take about twice the disk of one.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.cluster.layout import cache
from tools.cluster.system import locked

ROOT = Path(__file__).resolve().parent.parent

# The current release, the five minors before it, and the last of 0.19. locks/update reads this list.
RELEASES = ("0.31.0", "0.30.0", "0.29.0", "0.28.2", "0.27.2", "0.26.1", "0.19.11")
# The current release once more, beside the libraries that people train with.
INTEGRATIONS = "integrations"
# What uv is asked to build with: the same interpreter minor for all, since the locks were made for it.
PYTHON = Path(sys.executable)


class SdkError(Exception):
    """An environment cannot be made; the message says why."""


def lock_of(release: str) -> Path:
    """The lock of a release, or of INTEGRATIONS."""
    return ROOT / "locks" / f"compat-{release}.txt"


def folder_of(release: str) -> Path:
    """Where the environment of a release lies once it is made. SdkError if it has no lock."""
    try:
        digest = hashlib.sha256(lock_of(release).read_bytes()).hexdigest()
    except FileNotFoundError:
        raise SdkError(f"there is no lock for release {release}: add it to RELEASES and run locks/update") from None
    return cache() / "wandb" / f"{release}-{digest[:16]}"


def python_of(release: str) -> Path:
    """The interpreter of a release's environment, which is made first where it is not there."""
    return environment(folder_of(release), lock_of(release))


def environment(folder: Path, lock: Path) -> Path:
    """The interpreter of the environment in a folder, which is made from the lock where it is not there."""
    done = folder / ".installed"
    if not done.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not done.exists():  # else another process made it meanwhile
                _make(folder, lock)
                done.touch()
    return folder / "bin/python"


def _make(folder: Path, lock: Path) -> None:
    """A new environment; what an interrupted one left is removed first."""
    if folder.exists():
        shutil.rmtree(folder)
    uv = ROOT / ".venv/bin/uv"
    _run(uv, "venv", "--quiet", "--python", PYTHON, folder)
    _run(
        uv, "pip", "install", "--quiet", "--link-mode=hardlink", "--require-hashes",
        "--python", folder / "bin/python", "-r", lock,
    )  # fmt: skip


def _run(*command: str | Path) -> None:
    """uv, with its output shown where it fails."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SdkError(f"{' '.join(map(str, command))} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")


def main(argv: Sequence[str] | None = None) -> int:
    """Make what is not there, or list the releases; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.sdk_venvs", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the releases and make nothing")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only these releases; without any: all, and integrations"
    )
    options = parser.parse_args(argv)
    if options.list:
        print(*RELEASES)
        return 0
    try:
        for name in options.names or (*RELEASES, INTEGRATIONS):
            print(python_of(name))
    except SdkError as error:
        print(f"sdk_venvs: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
