"""The last look at a patched pod: whatever could make the API server refuse it is found here first.

Failure policy Ignore does not cover a patch that makes a pod invalid: that pod is refused, in our name.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from outrider_operator.core.pods import Container, Pod, all_containers, annotations_of, labels_of, volumes_of

MAX_ANNOTATIONS: Final = 262144  # bytes of all keys and values together
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def problems(pod: Pod) -> Iterator[str]:
    """What the API server would refuse in the parts of a pod that injection touches; nothing for a good pod."""
    names = [container["name"] for container in all_containers(pod)]
    volumes = [volume["name"] for volume in volumes_of(pod)]
    yield from (f"container {name} would stand twice" for name in _twice(names))
    yield from (f"volume {name} would stand twice" for name in _twice(volumes))
    yield from (f"{name!r} is no name" for name in [*names, *volumes] if not _NAME.fullmatch(name))
    for container in all_containers(pod):
        yield from _container_problems(container, set(volumes))
    for key, value in labels_of(pod).items():
        if not _LABEL.fullmatch(value):
            yield f"label {key} has a value that is none"
    size = sum(len(k.encode()) + len(v.encode()) for k, v in annotations_of(pod).items())
    if size > MAX_ANNOTATIONS:
        yield f"annotations would take {size} bytes, of at most {MAX_ANNOTATIONS}"


def _container_problems(container: Container, volumes: set[str]) -> Iterator[str]:
    name = container["name"]
    mounts = container.get("volumeMounts") or ()
    paths = [posixpath.normpath(mount["mountPath"]) for mount in mounts]
    paths += [posixpath.normpath(device["devicePath"]) for device in container.get("volumeDevices") or ()]
    yield from (f"container {name} would mount {path} twice" for path in _twice(paths))
    yield from (
        f"container {name} would mount volume {mount['name']}, which does not exist"
        for mount in mounts
        if mount["name"] not in volumes
    )


def _twice(items: Iterable[str]) -> list[str]:
    return [item for item, count in Counter(items).items() if count > 1]
