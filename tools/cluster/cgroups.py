"""The cluster's cgroups, in the one tree of cgroup v2 or in every hierarchy of v1.

They are how a cluster finds all of its processes again, children of children included, and nobody else's.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tools.cluster.errors import ClusterError
from tools.cluster.system import until

ROOT = Path("/sys/fs/cgroup")
_WANTED = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


def is_v2() -> bool:
    """Whether the machine has the one tree of cgroup v2."""
    return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """The mount points to make a cgroup in: one with v2, one for each hierarchy with v1 (systemd's too)."""
    if is_v2():
        return [ROOT]
    found = sorted({path.resolve() for path in ROOT.iterdir()} if ROOT.is_dir() else ())
    found = [path for path in found if (path / "cgroup.procs").exists()]
    if not (ROOT / "memory/cgroup.procs").exists():
        raise ClusterError(
            f"{ROOT} holds neither cgroup v2 nor a memory hierarchy of v1: nodes cannot run on this machine"
        )
    return found


def make(relative: str) -> None:
    """Make a cgroup in every hierarchy, fit for a kubelet to keep its pods below."""
    for hierarchy in hierarchies():
        path = hierarchy
        for part in relative.split("/"):
            _hand_down(path)
            path /= part
            path.mkdir(exist_ok=True)
        _hand_down(path)


def _hand_down(path: Path) -> None:
    """Let children of a cgroup have what it has itself: v2's controllers; v1's processors and memory nodes."""
    if is_v2():
        offered = (path / "cgroup.controllers").read_text().split()
        given = (path / "cgroup.subtree_control").read_text().split()
        if missing := [name for name in _WANTED if name in offered and name not in given]:
            try:
                (path / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in missing))
            except OSError as error:
                raise ClusterError(
                    f"cannot enable the controllers {', '.join(missing)} below cgroup {path} ({error.strerror}); "
                    "where processes sit in it directly, as in a container, move them into a cgroup of their own first"
                ) from error
    elif (path / "cpuset.cpus").exists():
        (path / "cgroup.clone_children").write_text("1")


def tag(relative: str) -> Path:
    """Make the cgroup that a daemon is put into to be found again, and give its folder."""
    path = (ROOT if is_v2() else ROOT / "memory") / relative
    path.mkdir(parents=True, exist_ok=True)
    return path


def members(relative: str) -> set[int]:
    """The processes in a cgroup and below it."""
    found: set[int] = set()
    for folder in _below(relative):
        try:
            found.update(int(pid) for pid in (folder / "cgroup.procs").read_text().split())
        except OSError:  # gone between listing and reading
            continue
    return found


def kill(relative: str) -> None:
    """Kill everything in a cgroup and below it, and wait until it is gone."""

    def none_left() -> bool:
        left = members(relative) - {os.getpid()}
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not left

    until(f"the end of all processes in cgroup {relative}", none_left, timeout=30, every=0.02)


def remove(relative: str) -> None:
    """Remove an empty cgroup with everything below it."""

    def removed() -> bool:
        for folder in _below(relative):
            folder.rmdir()  # busy for a moment while the kernel buries its last process; `until` tries again
        return True

    until(f"the removal of cgroup {relative}", removed, timeout=30, every=0.02)


def present(relative: str) -> list[Path]:
    """Where a cgroup exists."""
    return [hierarchy / relative for hierarchy in hierarchies() if (hierarchy / relative).is_dir()]


def _below(relative: str) -> Iterator[Path]:
    """The folders of a cgroup in all hierarchies, children before parents."""
    for top in present(relative):
        for path, _, _ in os.walk(top, topdown=False):
            yield Path(path)
