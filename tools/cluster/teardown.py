"""Takes a cluster down so that nothing of it is left on the machine, also where it came up only in part."""

import json
import shutil
from pathlib import Path

from tools.cluster import cgroups, network, nodes, state
from tools.cluster.containerd import Containerd
from tools.cluster.layout import Layout, home
from tools.cluster.processes import Supervisor
from tools.cluster.state import State
from tools.cluster.system import locked, put, run

# kubelets set these for the whole machine
_SYSCTLS = ("vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops")
_CNI_RESULTS = Path("/var/lib/cni/results")
_CONTAINER_LOGS = Path("/var/log/containers")


def save_sysctls() -> None:
    """Keep what kubelets are about to change; with several clusters, the first one's find counts."""
    with locked(home() / "lock"):
        if not _sysctl_file().exists():
            found = {name: _sysctl(name).read_text().strip() for name in _SYSCTLS if _sysctl(name).exists()}
            put(_sysctl_file(), json.dumps(found))


def restore_sysctls() -> None:
    """Put the kept values back once no cluster with nodes is left."""
    with locked(home() / "lock"):
        if _sysctl_file().exists() and not any(other.rooted for other in state.present()):
            for name, value in json.loads(_sysctl_file().read_text()).items():
                if _sysctl(name).read_text().strip() != value:
                    _sysctl(name).write_text(value)
            _sysctl_file().unlink()


def down(layout: Layout, present: State, supervisor: Supervisor) -> None:
    """End everything and remove it; what is already gone is passed over."""
    runtimes = [Containerd(layout, number) for number in present.numbers]
    supervisor.stop([name for number in present.numbers for name in nodes.daemons(number)[:2]])
    pod_namespaces = {path for runtime in runtimes for path in _pod_namespaces(runtime, supervisor)}
    supervisor.stop([name for name in supervisor.names() if not name.startswith("containerd-")], grace=0)
    supervisor.stop([runtime.name for runtime in runtimes])
    if present.rooted:
        cgroups.kill(layout.cgroup)
        _remove_shim_sockets(layout)
        unmount(layout.root)
        for path in pod_namespaces:
            unmount(path)
            path.unlink(missing_ok=True)
        cgroups.remove(layout.cgroup)
        network.down(layout, present)
        _remove_log_links(layout)
    shutil.rmtree(layout.root)
    if present.rooted:
        restore_sysctls()


def mounts(below: Path, table: str) -> list[str]:
    """The mount points at and below a folder in the text of a mountinfo file, the deepest first."""
    found = [line.split()[4].replace("\\040", " ") for line in table.splitlines()]
    return sorted((m for m in found if m == str(below) or m.startswith(f"{below}/")), key=len, reverse=True)


def unmount(below: Path) -> None:
    """Unmount everything at and below a folder, what lies over each other included."""
    while found := mounts(below.resolve(), Path("/proc/self/mountinfo").read_text()):
        for point in found:
            run("umount", "--lazy", point)


def _pod_namespaces(runtime: Containerd, supervisor: Supervisor) -> set[Path]:
    """The network namespaces that a containerd, still running, made for pods; CNI's notes on them go here."""
    found: set[Path] = set()
    if not supervisor.pid(runtime.name):
        return found
    for container in runtime.ctr("containers", "ls", "--quiet", check=False).split():
        for note in _CNI_RESULTS.glob(f"*-{container}-*"):
            note.unlink(missing_ok=True)
        told = runtime.ctr("containers", "info", container, check=False)
        if not told:  # it ended meanwhile, and its namespace with it
            continue
        for namespace in json.loads(told).get("Spec", {}).get("linux", {}).get("namespaces", ()):
            path = Path(namespace.get("path", ""))
            if namespace["type"] == "network" and path.name.startswith("cni-"):
                found.add(path)
    return found


def _remove_shim_sockets(layout: Layout) -> None:
    """Killed shims leave their sockets behind, outside the cluster's folder."""
    for address in layout.root.glob("n*/containerd-run/io.containerd.runtime.v2.task/k8s.io/*/address"):
        Path(address.read_text().strip().removeprefix("unix://")).unlink(missing_ok=True)


def _remove_log_links(layout: Layout) -> None:
    """Kubelets link their pods' logs in a folder that cannot be chosen."""
    if _CONTAINER_LOGS.is_dir():
        for link in _CONTAINER_LOGS.iterdir():
            if link.is_symlink() and link.readlink().is_relative_to(layout.root):
                link.unlink()


def _sysctl_file() -> Path:
    return home() / "sysctl.json"


def _sysctl(name: str) -> Path:
    return Path("/proc/sys", *name.split("."))
