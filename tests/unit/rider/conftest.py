"""The real rider, built once, and a volume for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.rider.riding import Volume

SOURCE = Path(__file__).resolve().parents[3] / "sidecar" / "rider"


@pytest.fixture(scope="session")
def binary() -> Path:
    """The program under test: $RIDER, else what make builds for this machine."""
    if given := os.environ.get("RIDER"):
        return Path(given)
    subprocess.run(["make", "-s", "-C", str(SOURCE)], check=True, timeout=110)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    return SOURCE / "build" / f"rider-{machine}"


@pytest.fixture
def volume(binary: Path) -> Iterator[Volume]:
    """A fresh shared volume as `rider supervise` would have laid it out, open to every user as an emptyDir is."""
    root = Path(tempfile.mkdtemp(prefix="outrider-rider-"))
    root.chmod(0o777)
    for name, mode in (("containers", 0o1777), ("user", 0o1777), ("sidecar", 0o711), ("sidecar/freed", 0o755)):
        (root / name).mkdir()
        (root / name).chmod(mode)
    (root / "bin").mkdir()
    shutil.copy(binary, root / "bin" / "rider")
    (root / "bin" / "rider").chmod(0o755)
    made = Volume(root)
    yield made
    made.close()
    shutil.rmtree(root, ignore_errors=True)
