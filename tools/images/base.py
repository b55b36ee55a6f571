"""The base of the images: python:3.13-slim, or a stand-in from Debian packages where no registry is reached."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tools.images.engine import Buildah, Engine, call
from tools.images.parts import ImageError, content_key

REAL = "docker.io/library/python:3.13-slim"
_SCRIPT = Path(__file__).parent / "standin/rootfs.sh"


def standin_reference() -> str:
    """The stand-in's name; it changes with the script that makes it."""
    return f"localhost/outrider-base-standin:{content_key([_SCRIPT], _SCRIPT.parent)}"


def choose(engine: Engine, *, standin_allowed: bool) -> str:
    """The base to build on, brought into the store. A stand-in that is there is taken at once."""
    if not isinstance(engine, Buildah):
        return REAL  # docker pulls by itself
    if engine.has(REAL):
        return REAL
    if standin_allowed and engine.has(standin_reference()):
        return standin_reference()
    if not (reason := engine.pull(REAL)):
        return REAL
    if not standin_allowed:
        raise ImageError(f"cannot pull {REAL} ({reason}); images to be pushed are built on nothing else")
    print(f"cannot pull {REAL} ({reason}); making a stand-in for this machine from Debian packages", file=sys.stderr)
    _make_standin(engine)
    return standin_reference()


def _make_standin(engine: Buildah) -> None:
    if os.geteuid():
        raise ImageError(f"without {REAL} a stand-in is made from Debian packages, which needs root: run as root")
    if not shutil.which("mmdebstrap"):
        raise ImageError(f"without {REAL} a stand-in is made by mmdebstrap: run tools/install-prerequisites")
    engine.store.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=engine.store, prefix="standin-"))
    try:
        call("sh", _SCRIPT, folder / "root")
        engine.import_rootfs(folder / "root", standin_reference())
    finally:
        shutil.rmtree(folder)
