"""What a client told of the machine it ran on, as facts for the overview: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

MAX_TEXT: Final = 4000
MAX_LIST: Final = 200


@dataclass(frozen=True, slots=True)
class SdkFacts:
    """Every field is None (or empty) where the client did not say. Bytes are bytes."""

    host: str | None = None
    os: str | None = None
    python: str | None = None
    executable: str | None = None
    program: str | None = None
    folder: str | None = None
    command: str | None = None
    cli_version: str | None = None
    git_remote: str | None = None
    git_commit: str | None = None
    cpu: str | None = None
    cpu_count: int | None = None
    cpu_threads: int | None = None
    memory_bytes: int | None = None
    gpus: Sequence[str] = field(default_factory=tuple)
    cuda: str | None = None
    docker: str | None = None


def facts(metadata: Mapping[str, Any], wandb: Mapping[str, Any]) -> SdkFacts:
    """From wandb-metadata.json and the config's `_wandb` object, which has the same facts for each writer under `e`."""
    environments = wandb.get("e")
    first = (
        next((each for each in environments.values() if isinstance(each, dict)), {})
        if isinstance(environments, dict)
        else {}
    )
    said = {**first, **metadata}
    git, cpu, memory = _object(said.get("git")), _object(said.get("cpu")), _object(said.get("memory"))
    args = said.get("args")
    program = _text(said.get("program"))
    words = [str(each) for each in args[:MAX_LIST]] if isinstance(args, list) else []
    return SdkFacts(
        host=_text(said.get("host")),
        os=_text(said.get("os")),
        python=_text(said.get("python")) or _text(wandb.get("python_version")),
        executable=_text(said.get("executable")),
        program=program,
        folder=_text(said.get("root")),
        command=" ".join([program, *words])[:MAX_TEXT] if program else None,
        cli_version=_text(wandb.get("cli_version")),
        git_remote=_text(git.get("remote")),
        git_commit=_text(git.get("commit")),
        cpu=_text(cpu.get("model")),
        cpu_count=_whole(said.get("cpu_count")),
        cpu_threads=_whole(said.get("cpu_count_logical")),
        memory_bytes=_whole(memory.get("total")),
        gpus=_gpus(said),
        cuda=_text(said.get("cudaVersion")) or _text(said.get("cuda")),
        docker=_text(said.get("docker")),
    )


def _gpus(said: Mapping[str, Any]) -> list[str]:
    for field_name in ("gpu_nvidia", "gpu_amd", "gpuNvidia", "gpuAmd", "gpuapple", "gpuApple"):
        found = said.get(field_name)
        listed = found if isinstance(found, list) else [found]
        names = [name for each in listed[:MAX_LIST] if (name := _gpu(_object(each))) is not None]
        if names:
            return names
    name, count = _text(said.get("gpu")) or _text(said.get("gpu_type")), _whole(said.get("gpu_count"))
    return [] if name is None else [name] * max(1, min(count or 1, MAX_LIST))


def _gpu(device: Mapping[str, Any]) -> str | None:
    return _text(device.get("name")) or _text(device.get("gpuType")) or _text(device.get("seriesName"))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value[:MAX_TEXT] if isinstance(value, str) and value else None


def _whole(value: Any) -> int | None:
    """A count; the client writes large ones as texts."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62 else None
