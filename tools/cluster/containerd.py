"""A node's containerd: its settings for the versions 1 and 2, and commands to it through ctr."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.errors import ClusterError
from tools.cluster.layout import Layout
from tools.cluster.processes import Daemon
from tools.cluster.system import find, put, run

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
CNI_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin")


@dataclass(frozen=True, slots=True)
class Containerd:
    """The container runtime of node `number`."""

    layout: Layout
    number: int

    @property
    def folder(self) -> Path:
        """The node's data folder."""
        return self.layout.node(self.number)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "containerd.sock"

    @property
    def name(self) -> str:
        """Its name as a daemon."""
        return f"containerd-{self.number}"

    def ctr(self, *argv: str | Path, check: bool = True) -> str:
        """Run a ctr command in Kubernetes' part of it; gives what was printed, nothing where it failed unchecked."""
        program = find("ctr", "containerd")
        return run(program, "--address", self.socket, "--namespace", "k8s.io", *argv, check=check).stdout

    def answers(self) -> bool:
        """Whether it takes commands."""
        program = find("ctr", "containerd")
        return run(program, "--address", self.socket, "version", check=False).returncode == 0

    def daemon(self) -> Daemon:
        """How to run it."""
        program = find("containerd", "containerd")
        write = _version_3 if _major(run(program, "--version").stdout) >= 2 else _version_2
        config = put(self.folder / "containerd.toml", write(self.folder, find("runc", "runc"), cni_folder()))
        return Daemon(
            self.name,
            (program, "--config", str(config), "--log-level", "warn"),
            (config,),
            self.layout.netns(self.number),
        )


def cni_folder() -> str:
    """Where the machine has its CNI plugins."""
    for folder in CNI_FOLDERS:
        if shutil.which("ptp", path=folder):
            return folder
    raise ClusterError(f"no CNI plugins in {' or '.join(CNI_FOLDERS)}: install containernetworking-plugins")


def _major(words: str) -> int:
    """The major version in the words of `containerd --version`."""
    found = re.search(r"\sv?(\d+)\.\d+\.\d+", words)
    if not found:
        raise ClusterError(f"cannot read a version in containerd's words {words!r}")
    return int(found[1])


def _head(folder: Path, version: int) -> str:
    return f"""version = {version}
root = "{folder}/containerd"
state = "{folder}/containerd-run"
[grpc]
  address = "{folder}/containerd.sock"
"""


def _version_2(folder: Path, runc: str, cni: str) -> str:
    """Settings for containerd 1.x."""
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""{_head(folder, 2)}[{cri}]
  sandbox_image = "{PAUSE_IMAGE}"
  max_container_log_line_size = -1
  restrict_oom_score_adj = true
  [{cri}.containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [{cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [{cri}.containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = "{runc}"
  [{cri}.cni]
    bin_dir = "{cni}"
    conf_dir = "{folder}/cni"
"""


def _version_3(folder: Path, runc: str, cni: str) -> str:
    """Settings for containerd 2.x."""
    images, runtime = 'plugins."io.containerd.cri.v1.images"', 'plugins."io.containerd.cri.v1.runtime"'
    return f"""{_head(folder, 3)}[{images}]
  snapshotter = "overlayfs"
  [{images}.pinned_images]
    sandbox = "{PAUSE_IMAGE}"
[{runtime}]
  max_container_log_line_size = -1
  restrict_oom_score_adj = true
  [{runtime}.cni]
    bin_dirs = ["{cni}"]
    conf_dir = "{folder}/cni"
  [{runtime}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [{runtime}.containerd.runtimes.runc.options]
      SystemdCgroup = false
      BinaryName = "{runc}"
"""
