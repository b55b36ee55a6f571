"""The programs that the images carry."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

BUILD = Path(__file__).resolve().parents[3] / "sidecar" / "rider" / "build"
MACHINES = {"rider-amd64": 62, "rider-arm64": 183}  # ELF's numbers
INTERPRETER, DYNAMIC = 3, 2  # kinds of program headers that ask for a loader


@pytest.mark.parametrize("name", MACHINES)
def test_program_is_small_and_needs_no_loader_and_no_library(binary: Path, name: str) -> None:
    """It must run in an image that holds nothing else."""
    program = BUILD / name
    if not program.exists():
        pytest.skip(f"{name} was not built: its compiler is not installed here")
    data = program.read_bytes()
    assert data[:5] == b"\x7fELF\x02"
    assert struct.unpack_from("<H", data, 18) == (MACHINES[name],)
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    kinds = {struct.unpack_from("<I", data, offset + index * size)[0] for index in range(count)}
    assert not kinds & {INTERPRETER, DYNAMIC}
    assert len(data) < 1 << 20
