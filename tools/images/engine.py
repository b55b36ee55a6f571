"""The programs that build images: buildah, which needs no daemon, or docker."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tools.cluster.layout import cache
from tools.images.parts import ImageError

CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# What a machine tells its pip; a folder of wheels does not exist inside a build, so find-links is not among them.
_PIP_SETTING = re.compile(
    r"^(?:global|:env:)\.(index-url|extra-index-url|trusted-host|proxy|cert|(?:default-)?timeout)='(.*)'$"
)


class Engine(Protocol):
    """What is asked of a builder of images."""

    def build(self, dockerfile: Path, context: Path, reference: str, arguments: Mapping[str, str], out: Path) -> None:
        """Build an image and save it as a docker archive."""

    def push(self, archive: Path, reference: str, target: str) -> None:
        """Push the image of that name in a docker archive to a registry, as `target`."""


def call(*argv: str | Path) -> None:
    """Run a program without showing what it says; ImageError with its last words where it fails."""
    words = [str(arg) for arg in argv]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        said = "\n".join(done.stdout.strip().splitlines()[-40:])
        raise ImageError(f"`{' '.join(words)}` failed with exit code {done.returncode}; it said:\n{said}")


def pip_settings(listed: str) -> str:
    """A pip.conf with what `pip config list` printed, as far as it matters inside a build."""
    found = {}
    for line in listed.splitlines():
        if setting := _PIP_SETTING.match(line):
            found[setting[1].replace("default-", "")] = setting[2]
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in found.items())


@dataclass(frozen=True, slots=True)
class Buildah:
    """Buildah with a store of its own in the cache folder."""

    program: str
    store: Path
    verify_tls: bool = True  # off only for a registry on loopback, which buildah then speaks plain HTTP to

    @property
    def command(self) -> list[str | Path]:
        """The beginning of every command line."""
        return [self.program, "--root", self.store / "root", "--runroot", self.store / "run"]

    def has(self, reference: str) -> bool:
        """Whether the store holds an image of that name."""
        words = [str(word) for word in (*self.command, "inspect", "--type", "image", reference)]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def pull(self, reference: str) -> str | None:
        """Bring an image into the store; gives the reason where that does not work."""
        words = [str(word) for word in (*self.command, "pull", "--quiet", reference)]
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
        except subprocess.TimeoutExpired:
            return "no answer within 300 s"
        return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it said nothing"])[-1]

    def import_rootfs(self, folder: Path, reference: str) -> None:
        """Make an image of a root file system."""
        words = [str(word) for word in (*self.command, "from", "scratch")]
        container = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        call(*self.command, "add", "--quiet", container, folder, "/")
        call(
            *self.command,
            "config",
            "--env",
            "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
            container,
        )
        call(*self.command, "commit", "--quiet", "--rm", container, reference)

    def build(self, dockerfile: Path, context: Path, reference: str, arguments: Mapping[str, str], out: Path) -> None:
        """Build without a daemon, each step in a chroot with this machine's pip settings and certificates lent to it.

        They are mounted while it builds and are no part of the image.
        """
        pip = self.store / "pip.conf"
        pip.parent.mkdir(parents=True, exist_ok=True)
        pip.write_text(pip_settings(_pip_config()))
        lent = ["--volume", f"{pip}:/etc/pip.conf:ro"]
        if CA_BUNDLE.exists():
            lent += ["--volume", f"{CA_BUNDLE}:{CA_BUNDLE}:ro"]
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        how = ["--isolation", "chroot", "--network", "host", "--pull-never", "--layers", "--force-rm"]
        call(*self.command, "bud", *how, *lent, *given, "--file", dockerfile, "--tag", reference, context)
        call(*self.command, "push", "--quiet", reference, f"docker-archive:{out}:{reference}")

    def push(self, archive: Path, reference: str, target: str) -> None:
        """Push from the store, where the archive's image is brought first."""
        call(*self.command, "pull", "--quiet", f"docker-archive:{archive}")
        call(*self.command, "push", f"--tls-verify={str(self.verify_tls).lower()}", reference, f"docker://{target}")


@dataclass(frozen=True, slots=True)
class Docker:
    """Docker with its daemon."""

    program: str

    def build(self, dockerfile: Path, context: Path, reference: str, arguments: Mapping[str, str], out: Path) -> None:
        """Build by the daemon, which pulls the base by itself."""
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        call(self.program, "build", *given, "--file", dockerfile, "--tag", reference, context)
        call(self.program, "save", "--output", out, reference)

    def push(self, archive: Path, reference: str, target: str) -> None:
        """Push from the daemon, where the archive's image is brought first."""
        call(self.program, "load", "--input", archive)
        call(self.program, "tag", reference, target)
        call(self.program, "push", target)


def _pip_config() -> str:
    """What this machine's pip is set to. The project's own environment may have none; the system's Python then has."""
    for python in (sys.executable, "/usr/bin/python3"):
        words = [python, "-m", "pip", "config", "list"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout
    return ""


def buildah() -> Buildah | None:
    """Buildah, where the machine has it."""
    program = shutil.which("buildah")
    return Buildah(program, cache() / "images/store") if program else None


def docker() -> Docker | None:
    """Docker, where the machine has it and its daemon answers."""
    program = shutil.which("docker")
    if program and subprocess.run([program, "info"], capture_output=True, check=False).returncode == 0:
        return Docker(program)
    return None


def choose() -> Engine:
    """Buildah before docker."""
    if found := buildah() or docker():
        return found
    raise ImageError(
        "neither buildah nor a docker that answers is here: run tools/install-prerequisites, or install one of them"
    )
