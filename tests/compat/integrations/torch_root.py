"""A Python with PyTorch, as a folder to change the root to: the examples' training image, and packages upon it.

PyPI's PyTorch comes with gigabytes of libraries for GPUs; Debian's is for the CPU. `make test` makes the training image
as root anyway; without it, or without root, there is none.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from tools.cluster.layout import cache
from tools.cluster.system import locked
from tools.sdk_venvs import ROOT

LOCK = ROOT / "locks/compat-torch.txt"
# Mounts that only this process and its children see; they go with it.
ENTER = """
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount --bind "$2" "$1/work"
shift 2
exec chroot "$0" sh -c 'cd /work && exec python3 "$@"' python3 "$@"
"""


def lacking() -> str | None:
    """Why there is no such Python here; None if there is."""
    if os.geteuid():
        return "it takes root to change the root"
    if not _layers():
        return "the training image is not made: python -m tools.images build trainer"
    return None


def root() -> Path:
    """The folder, made where it is not there."""
    layer = max(_layers(), key=lambda path: path.stat().st_mtime)
    folder = cache() / "wandb" / f"torch-{hashlib.sha256(layer.name.encode()).hexdigest()[:16]}"
    done = folder / ".installed"
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not done.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _run("tar", "-C", folder, "-xf", layer)
            for name in ("proc", "dev", "work"):
                (folder / name).mkdir(exist_ok=True)
            (folder / "etc/hosts").write_text("127.0.0.1 localhost\n")
            done.touch()
    return folder


def packages(folder: Path, lock: Path) -> str:
    """The path, inside, of what a lock names, for that Python: it is installed where it is not there."""
    inside = Path("opt") / f"{lock.stem}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    done = folder / inside / ".installed"
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not done.exists():
            uv, target = ROOT / ".venv/bin/uv", folder / inside
            _run(
                uv, "pip", "install", "--quiet", "--link-mode=hardlink", "--require-hashes", "--target", target,
                "--no-deps", "--only-binary", ":all:", "--python-version", "3.13", "-r", lock,
            )  # fmt: skip
            # a folder on PYTHONPATH is none whose .pth files are read, and older releases need that of setuptools
            site = "import os, site\nsite.addsitedir(os.path.dirname(__file__))\n"
            (folder / inside / "sitecustomize.py").write_text(site)
            done.touch()
    return f"/{inside}"


def command(folder: Path, work: Path, *words: str) -> list[str]:
    """The command line that runs `python3 WORDS` inside, with `work` as its folder."""
    return ["unshare", "--mount", "sh", "-ec", ENTER, str(folder), str(folder), str(work), *words]


def _layers() -> list[Path]:
    return list((cache() / "images").glob("trainer-rootfs-*.tar"))


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)
