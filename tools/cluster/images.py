"""Brings images to the nodes: docker archives as they are, and plain root file systems packed into one."""

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.build import pause_program
from tools.cluster.containerd import PAUSE_IMAGE, Containerd
from tools.cluster.errors import ClusterError
from tools.cluster.system import run

# what an image on a node was made of, so that it is not brought there twice
CONTENT_LABEL = "outrider.dev/content"
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image says about how it is run."""

    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    folder: str = "/"
    user: str = ""


def architecture() -> str:
    """The machine's architecture as images name it."""
    machine = run("uname", "-m").stdout.strip()
    return _ARCHITECTURES.get(machine, machine)


def full_reference(reference: str) -> str:
    """A reference with registry and tag, as nodes know it: busybox:1 is docker.io/library/busybox:1."""
    if "@" not in reference and ":" not in reference.rsplit("/", 1)[-1]:
        reference += ":latest"
    first, slash, _ = reference.partition("/")
    if not slash:
        return f"docker.io/library/{reference}"
    if "." not in first and ":" not in first and first != "localhost":
        return f"docker.io/{reference}"
    return reference


def write_archive(out: Path, reference: str, layers: Sequence[Path], config: ImageConfig, arch: str) -> str:
    """Write a docker archive of some layers, tar files one upon the other; gives the image's id (sha256, hex)."""
    described = {
        "architecture": arch,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}" for layer in layers]},
        "config": {
            "Cmd": list(config.command),
            "Entrypoint": list(config.entrypoint),
            "Env": [DEFAULT_PATH, *config.environment],
            "WorkingDir": config.folder,
            "User": config.user,
        },
    }
    content = json.dumps(described, sort_keys=True).encode()
    image_id = hashlib.sha256(content).hexdigest()
    names = [f"layer-{number}.tar" for number in range(len(layers))]
    manifest = [{"Config": f"{image_id}.json", "RepoTags": [full_reference(reference)], "Layers": names}]
    with tarfile.open(out, "w") as archive:
        for name, data in ((f"{image_id}.json", content), ("manifest.json", json.dumps(manifest).encode())):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for name, layer in zip(names, layers, strict=True):
            archive.add(layer, arcname=name)
    return image_id


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def references(archive: Path) -> list[str]:
    """The names of the images in a docker archive."""
    with tarfile.open(archive) as opened:
        try:
            manifest = opened.extractfile("manifest.json")
        except KeyError:
            manifest = None
        if manifest is None:
            raise ClusterError(f"{archive} is no docker archive: there is no manifest.json in it")
        with manifest:
            found = [full_reference(tag) for image in json.load(manifest) for tag in image.get("RepoTags") or ()]
    if not found:
        raise ClusterError(f"{archive} names none of its images; save it with a tag")
    return found


@contextmanager
def packed(reference: str, source: Path, config: ImageConfig, work: Path) -> Iterator[Path]:
    """A docker archive of a root file system (a folder, or a tar file of one), put under `work` for a while."""
    folder = Path(tempfile.mkdtemp(dir=work, prefix="image-"))
    try:
        layer = source
        if source.is_dir():
            layer = folder / "layer.tar"
            run("tar", "--numeric-owner", "--sort=name", "--one-file-system", "-C", source, "-cf", layer, ".")
        archive = folder / "image.tar"
        write_archive(archive, reference, [layer], config, architecture())
        yield archive
    finally:
        shutil.rmtree(folder)


def content_of(runtime: Containerd, reference: str) -> str | None:
    """What an image on a node was made of, as told when it was loaded; None where the node has no such image."""
    lines = runtime.ctr("images", "ls", f"name=={full_reference(reference)}").splitlines()[1:]
    for line in lines:
        for label in line.split()[-1].split(","):
            name, _, value = label.partition("=")
            if name == CONTENT_LABEL:
                return value
    return "" if lines else None


def load(runtimes: Iterable[Containerd], archive: Path, content: str = "") -> None:
    """Load a docker archive on all nodes, beside each other, under the names that it holds."""
    names = references(archive)

    def one(runtime: Containerd) -> None:
        runtime.ctr("images", "import", archive)
        for name in names:
            runtime.ctr("images", "label", name, f"{CONTENT_LABEL}={content}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, runtimes))


def ensure_pause(runtime: Containerd) -> None:
    """Give a node the image that holds pods' namespaces; nobody may collect it."""
    if content_of(runtime, PAUSE_IMAGE) is None:
        rootfs = Path(tempfile.mkdtemp(dir=runtime.folder, prefix="pause-"))
        try:
            shutil.copy(pause_program(), rootfs / "pause")
            with packed(PAUSE_IMAGE, rootfs, ImageConfig(entrypoint=("/pause",)), runtime.folder) as archive:
                runtime.ctr("images", "import", archive)
        finally:
            shutil.rmtree(rootfs)
    runtime.ctr("images", "label", PAUSE_IMAGE, "io.cri-containerd.pinned=pinned")
