"""The examples' training image: a root file system of Debian packages, made once, and the training scripts upon it."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tools.cluster.images import ImageConfig, architecture, write_archive
from tools.cluster.system import run
from tools.images.engine import call
from tools.images.parts import ROOT, TRAINER, ImageError, content_key, files

CONFIG = ImageConfig(
    command=("python3",),
    # Debian's torch has no libuv (see finish.sh)
    environment=("USE_LIBUV=0", "PYTHONUNBUFFERED=1", "LANG=C.UTF-8"),
    folder="/work",
)


def archive(out: Path, work: Path) -> None:
    """Write the image as a docker archive: the packages' layer from the cache, the scripts' layer anew."""
    rootfs = _rootfs_layer(work)
    folder = Path(tempfile.mkdtemp(dir=work, prefix="trainer-"))
    try:
        app = folder / "layer/app"
        app.mkdir(parents=True)
        for script in sorted((ROOT / "examples/scripts").glob("*.py")):
            shutil.copy(script, app)
        app.chmod(0o755)
        owned = ("--owner=0", "--group=0", "--numeric-owner", "--sort=name", "--mtime=@0", "--mode=u=rwX,go=rX")
        run("tar", *owned, "-C", folder / "layer", "-cf", folder / "scripts.tar", "app")
        write_archive(out, TRAINER.reference, [rootfs, folder / "scripts.tar"], CONFIG, architecture())
    finally:
        shutil.rmtree(folder)


def _rootfs_layer(work: Path) -> Path:
    """The packages as a tar file, by the hash of the scripts that put them together."""
    makers = [path for path in files(TRAINER, architecture()) if path.is_relative_to(ROOT / "examples/trainer-image")]
    layer = work / f"trainer-rootfs-{content_key(makers, ROOT, architecture())}.tar"
    if layer.exists():
        return layer
    if os.geteuid() or not shutil.which("mmdebstrap"):
        raise ImageError(
            "the trainer's image is made by mmdebstrap, as root: run tools/install-prerequisites, and this as root"
        )
    print("making the trainer's root file system from Debian packages; this takes a minute, once", file=sys.stderr)
    folder = Path(tempfile.mkdtemp(dir=work, prefix="rootfs-"))
    try:
        call("sh", ROOT / "examples/trainer-image/rootfs.sh", folder / "root")
        new = layer.with_suffix(".new")
        run("tar", "--numeric-owner", "--sort=name", "-C", folder / "root", "-cf", new, ".")
        for old in work.glob("trainer-rootfs-*.tar"):
            old.unlink()
        new.rename(layer)
    finally:
        shutil.rmtree(folder)
    return layer
