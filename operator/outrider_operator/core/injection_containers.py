"""Which containers are trainers, and what is done to each of them."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from outrider_operator.api.states import Capture
from outrider_operator.core.injection_settings import AnnotationError, Settings
from outrider_operator.core.pods import Container, Pod, annotations_of, main_containers, run_as_user, volumes_of
from outrider_operator.core.workloads import Owner
from outrider_sidecar import contract

DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
_WRAP_ONLY: Final = "wrap-only"  # tells the rider to leave the launcher's own files alone
# Kinds of volumes that training output lies on. Secrets, ConfigMaps, projected volumes and host paths are never read.
_FILE_VOLUMES: Final = frozenset({"emptyDir", "persistentVolumeClaim", "ephemeral", "csi", "nfs", "cephfs", "iscsi"})


@dataclass(frozen=True, slots=True)
class Trainer:
    """One trainer container and what is done to it."""

    index: int
    """Its place in spec.containers."""
    name: str
    capture: Capture
    """What is really done: wrap, env or none (auto is resolved)."""
    mounted: bool
    """Whether it sees the shared volume."""
    env: tuple[dict[str, str], ...]
    """Variables to add."""
    uid: int | None
    """The UID it runs as, where the pod says it."""
    file_mounts: tuple[dict[str, Any], ...] = ()
    """Mounts of the sidecar from which this container's files are read."""
    described: dict[str, Any] = field(default_factory=dict)
    """Its entry in OUTRIDER_CONTAINERS."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is done to one pod."""

    settings: Settings
    trainers: tuple[Trainer, ...]
    file_mounts: tuple[dict[str, Any], ...]
    """Mounts of the sidecar, one for each (volume, subPath) that files are read from."""
    owner: Owner | None
    notes: tuple[str, ...]
    """Pieces that were left out, and why."""


def choose(pod: Pod, settings: Settings) -> list[tuple[int, Container]]:
    """The trainer containers: those named, else kubectl's default container, else all that have a command, else all.

    Raises:
        AnnotationError: a named container does not exist.

    """
    containers = list(enumerate(main_containers(pod)))
    by_name = {container["name"]: (index, container) for index, container in containers}
    if settings.containers:
        missing = [name for name in settings.containers if name not in by_name]
        if missing:
            raise AnnotationError(
                f"{contract.CONTAINER} names {', '.join(missing)[:120]}, but the pod's containers are "
                f"{', '.join(by_name)}"
            )
        return [by_name[name] for name in settings.containers]
    default = annotations_of(pod).get(DEFAULT_CONTAINER, "")
    if default in by_name:
        return [by_name[default]]
    return [item for item in containers if item[1].get("command")] or containers


def make_plan(pod: Pod, settings: Settings, owner: Owner | None) -> Plan:
    """Decide what is done to the pod.

    Raises:
        AnnotationError: the annotations ask for what this pod cannot have.

    """
    trainers: list[Trainer] = []
    notes = list(settings.notes)
    for index, container in choose(pod, settings):
        trainer, more = _trainer(pod, index, container, settings)
        trainers.append(trainer)
        notes += more
    users = {trainer.uid for trainer in trainers if trainer.capture is Capture.ENV}
    if len(users) > 1:
        raise AnnotationError(
            f"{contract.CAPTURE}=env needs one runAsUser for all trainer containers, and here they are "
            f"{', '.join(str(user) for user in sorted(user or 0 for user in users))}"
        )
    return Plan(settings, tuple(trainers), tuple(_place(trainers)), owner, tuple(notes))


def _trainer(pod: Pod, index: int, container: Container, settings: Settings) -> tuple[Trainer, list[str]]:
    """What is done to one trainer container, and a sentence for each piece that is not."""
    name, notes = container["name"], []
    mounted = not _occupies(container, contract.MOUNT_PATH)
    if not mounted:
        notes.append(
            f"container {name} mounts a volume of its own at {contract.MOUNT_PATH}, so its output is not captured"
        )
    uid = run_as_user(pod, container)
    capture, why = _capture(container, settings.capture, uid) if mounted else (Capture.NONE, "")
    if why:
        notes.append(why)
    env = _env(container, capture, settings, notes) if mounted else ()
    mounts, described_mounts = _file_mounts(pod, container, settings, notes)
    if mounted:
        described_mounts.append({"path": contract.MOUNT_PATH, "at": contract.MOUNT_PATH})
    described = {"name": name, "capture": str(capture), "mounts": described_mounts}
    if container.get("workingDir"):
        described["workingDir"] = container["workingDir"]
    return Trainer(index, name, capture, mounted, env, uid, mounts, described), notes


def _occupies(container: Container, path: str) -> bool:
    """Whether the container has a mount or device of its own at the path or below it."""
    taken = [mount["mountPath"] for mount in container.get("volumeMounts") or ()]
    taken += [device["devicePath"] for device in container.get("volumeDevices") or ()]
    return any(f"{posixpath.normpath(item)}/".startswith(f"{path}/") for item in taken)


def _capture(container: Container, asked: Capture, uid: int | None) -> tuple[Capture, str]:
    """How this container's output is captured, and why not as asked."""
    name = container["name"]
    if asked is Capture.NONE:
        return Capture.NONE, ""
    if asked is Capture.ENV:
        user_set = [v["name"] for v in container.get("env") or () if v["name"] in {"PET_LOG_DIR", "PET_TEE"}]
        if user_set:
            return Capture.NONE, f"container {name} sets {user_set[0]} itself, so its output is not captured"
        if not uid:
            return Capture.NONE, (
                f"{contract.CAPTURE}=env needs securityContext.runAsUser (not 0) on container {name}: the launcher's "
                "log folders can be read by their own user alone"
            )
        return Capture.ENV, ""
    if container.get("tty") or container.get("stdin"):
        return Capture.NONE, f"container {name} has a terminal (tty or stdin), so its output is not captured"
    if not container.get("command"):
        return Capture.NONE, (
            f"container {name} has no command in its pod spec, so its output is not captured: write the command of "
            "its image there"
        )
    return Capture.WRAP, ""


def _env(container: Container, capture: Capture, settings: Settings, notes: list[str]) -> tuple[dict[str, str], ...]:
    wanted = {
        contract.ENV_DIR: contract.MOUNT_PATH,
        contract.ENV_METRICS_INTERVAL: str(settings.metrics_interval),
    }
    if capture is Capture.WRAP and settings.capture is Capture.WRAP:
        wanted["OUTRIDER_CAPTURE"] = _WRAP_ONLY
    if capture is Capture.ENV:
        start = f"{contract.MOUNT_PATH}/{contract.DIR_CONTAINERS}/{container['name']}/0"
        wanted |= {"PET_LOG_DIR": f"{start}/{contract.DIR_TORCH}", "PET_TEE": "3"}
    present = {variable["name"]: variable.get("value") for variable in container.get("env") or ()}
    notes.extend(
        f"container {container['name']} sets {name} itself; it was left as it is"
        for name in wanted
        if name in present and present[name] != wanted[name]
    )
    return tuple({"name": name, "value": value} for name, value in wanted.items() if name not in present)


def _file_mounts(
    pod: Pod, container: Container, settings: Settings, notes: list[str]
) -> tuple[tuple[dict[str, Any], ...], list[dict[str, str]]]:
    """Read-only mounts for the sidecar of the volumes that this container writes to, and where each is seen."""
    if not settings.files:
        return (), []
    readable = {volume["name"] for volume in volumes_of(pod) if volume.keys() & _FILE_VOLUMES}
    mounts: list[dict[str, Any]] = []
    described: list[dict[str, str]] = []
    for mount in container.get("volumeMounts") or ():
        if mount["name"] not in readable:
            continue
        if mount.get("subPathExpr"):
            notes.append(
                f"files below {mount['mountPath']} of container {container['name']} are not kept: the mount has a "
                "subPathExpr"
            )
            continue
        own = {"name": mount["name"], "readOnly": True}
        if mount.get("subPath"):
            own["subPath"] = mount["subPath"]
        mounts.append(own)
        described.append({"path": posixpath.normpath(mount["mountPath"]), "at": ""})
    return tuple(mounts), described


def _place(trainers: Sequence[Trainer]) -> list[dict[str, Any]]:
    """The sidecar's mounts for files, one for each (volume, subPath); fills in where each container's mount is seen."""
    placed: dict[tuple[str, str], dict[str, Any]] = {}
    for trainer in trainers:
        for mount, described in zip(trainer.file_mounts, trainer.described["mounts"], strict=False):
            key = mount["name"], mount.get("subPath", "")
            if key not in placed:
                count = sum(name == mount["name"] for name, _ in placed)
                # A volume's name has no dot, so a second mount of it cannot meet another volume's.
                folder = mount["name"] if not count else f"{mount['name']}.{count}"
                placed[key] = {**mount, "mountPath": f"{contract.FILES_MOUNT}/{folder}"}
            described["at"] = placed[key]["mountPath"]
    return list(placed.values())
