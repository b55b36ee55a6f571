"""Builds images into docker archives of the cache folder, each named by the hash of what it is made from."""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.images import architecture, full_reference
from tools.cluster.layout import cache
from tools.cluster.system import locked
from tools.images import base, engine, trainer
from tools.images.parts import PARTS, ROOT, TRAINER, ImageError, Part, content_key, files, stage

_KEPT = 3

__all__ = ["Built", "ImageError", "build"]


@dataclass(frozen=True, slots=True)
class Built:
    """One image that was built: its name, the hash of what it is made from, and its docker archive."""

    part: Part
    key: str
    archive: Path

    @property
    def reference(self) -> str:
        """The name as the chart and the examples write it."""
        return self.part.reference


def build(names: Iterable[str] = tuple(PARTS), *, for_registry: bool = False) -> list[Built]:
    """Build images, each only where its content has changed.

    for_registry: build on the real base image alone; otherwise a stand-in does where no registry is reached.
    """
    wanted = [PARTS[name] for name in names]
    work = cache() / "images"
    with locked(work / "lock"):
        on = ""
        if any(part is not TRAINER for part in wanted):
            on = base.choose(engine.choose(), standin_allowed=not for_registry)
        return [_built(part, on, work) for part in wanted]


def superseded(work: Path, part: Part) -> list[Path]:
    """Archives of an image that may go. Some stay: other checkouts share the folder and may be about to load theirs."""
    return sorted(work.glob(f"{part.repository}-*.tar"), key=lambda path: path.stat().st_mtime_ns)[:-_KEPT]


def _built(part: Part, on: str, work: Path) -> Built:
    arch = architecture()
    inputs = files(part, arch)
    key = content_key(inputs, ROOT, arch, part.reference, *([] if part is TRAINER else [on]))
    archive = work / f"{part.repository}-{key}.tar"
    if not archive.exists():
        began = time.monotonic()
        new = archive.with_suffix(".new")
        new.unlink(missing_ok=True)
        if part is TRAINER:
            trainer.archive(new, work)
        else:
            _from_dockerfile(part, on, arch, inputs, new)
        new.rename(archive)
        for old in superseded(work, part):
            old.unlink(missing_ok=True)
        size = archive.stat().st_size / 2**20
        print(f"built {part.reference}: {size:.0f} MiB in {time.monotonic() - began:.1f} s", file=sys.stderr)
    return Built(part, key, archive)


def _from_dockerfile(part: Part, on: str, arch: str, inputs: list[Path], out: Path) -> None:
    context = Path(tempfile.mkdtemp(dir=out.parent, prefix="context-"))
    try:
        stage(inputs, ROOT, context)
        arguments = {"BASE": on, "TARGETARCH": arch}
        dockerfile = context / part.name / "Dockerfile"
        engine.choose().build(dockerfile, context, full_reference(part.reference), arguments, out)
    finally:
        shutil.rmtree(context)
