"""Which images there are and what each is made from."""

import hashlib
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from outrider_sidecar import __version__

ROOT = Path(__file__).resolve().parents[2]
_UNWANTED = ("__pycache__",)


class ImageError(RuntimeError):
    """An image that cannot be built, loaded or pushed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Part:
    """One image. `inputs` are files and folders below the repository's root; `{arch}` in one is the architecture.

    made_by: inputs that are built themselves, and the command that does it. `wanted` ones may lack, with a warning.
    """

    name: str
    inputs: tuple[str, ...]
    made_by: tuple[tuple[str, str], ...] = ()
    wanted: tuple[tuple[str, str], ...] = ()
    version: str = __version__

    @property
    def repository(self) -> str:
        """The image's name without registry and tag."""
        return f"outrider-{self.name}"

    @property
    def reference(self) -> str:
        """The image's name with its tag, as the chart and the examples write it."""
        return f"{self.repository}:{self.version}"


OPERATOR = Part(
    "operator", ("operator/Dockerfile", "locks/operator.txt", "sidecar/outrider_sidecar", "operator/outrider_operator")
)
SIDECAR = Part(
    "sidecar",
    ("sidecar/Dockerfile", "locks/sidecar.txt", "sidecar/outrider_sidecar", "sidecar/rider/build/rider-{arch}"),
    (("sidecar/rider/build/rider-{arch}", "make rider"),),
)
TRACKER = Part(
    "tracker",
    ("tracker/Dockerfile", "locks/tracker.txt", "sidecar/outrider_sidecar", "tracker/outrider_tracker"),
    wanted=(("tracker/outrider_tracker/static/index.html", "make web"),),
)
# The examples' image is no Dockerfile's: see trainer.py.
TRAINER = Part("trainer", ("examples/trainer-image", "examples/scripts"))
PARTS = {part.name: part for part in (OPERATOR, SIDECAR, TRACKER, TRAINER)}


def files(part: Part, arch: str, root: Path = ROOT) -> list[Path]:
    """The files that an image is made from, sorted; ImageError where one is missing."""
    for needed, command in part.made_by:
        if not (root / needed.format(arch=arch)).exists():
            raise ImageError(
                f"{needed.format(arch=arch)} is not built yet, and image {part.repository} needs it: run `{command}`"
            )
    for wish, command in part.wanted:
        if not (root / wish).exists():
            print(f"warning: image {part.repository} is made without {wish}; `{command}` builds it", file=sys.stderr)
    return sorted(set(_walk(root, (given.format(arch=arch) for given in part.inputs))))


def _walk(root: Path, inputs: Iterable[str]) -> Iterator[Path]:
    for given in inputs:
        path = root / given
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from (p for p in path.rglob("*") if p.is_file() and not any(part in _UNWANTED for part in p.parts))
        else:
            raise ImageError(f"there is no {given} to make an image from; is this a whole checkout?")


def content_key(inputs: Iterable[Path], root: Path, *more: str) -> str:
    """A hash over the names, modes and contents of files, and over whatever else decides what an image becomes."""
    digest = hashlib.sha256("\0".join(more).encode())
    for path in inputs:
        content = path.read_bytes()
        executable = bool(path.stat().st_mode & 0o100)
        digest.update(f"\0{path.relative_to(root)}\0{executable}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:24]


def stage(inputs: Iterable[Path], root: Path, into: Path) -> None:
    """Copy files into a build context of their own, so that nothing else can get into an image; world-readable."""
    for path in inputs:
        target = into / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
        target.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
