"""The spool as a whole: a full volume, hostile folders."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from outrider_sidecar import cursors
from outrider_sidecar.spool import Spool


def test_on_a_full_volume_the_reserve_makes_room_for_what_frees_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it nothing could ever be freed: saying what may go needs some room, too."""
    spool = Spool(str(tmp_path), 1 << 30)
    reserve = tmp_path / "sidecar" / "reserve"
    assert reserve.stat().st_blocks * 512 >= 512 << 10
    plain: Callable[[int, bytes], None] = cursors.save

    def full(folder: int, data: bytes) -> None:
        if reserve.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(folder, data)

    monkeypatch.setattr(cursors, "save", full)
    spool.save()
    assert (tmp_path / "sidecar" / "cursors.json").exists()
    assert reserve.exists()  # kept again for the next time


def test_a_volume_that_takes_nothing_at_all_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not end the collector."""
    spool = Spool(str(tmp_path), 1 << 30)

    def broken(folder: int, data: bytes) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(cursors, "save", broken)
    spool.save()
    assert b"CursorsNotSaved" in (tmp_path / "sidecar" / "events.jsonl").read_bytes()


def test_own_folders_have_the_modes_that_the_rider_needs(tmp_path: Path) -> None:
    """Whatever the umask is; what is there already is left as it is."""
    (tmp_path / "user").mkdir(mode=0o700)
    before = os.umask(0o077)
    try:
        Spool(str(tmp_path), 1 << 30)
    finally:
        os.umask(before)
    modes = {name: (tmp_path / name).stat().st_mode & 0o7777 for name in ("containers", "sidecar", "sidecar/freed")}
    assert modes == {"containers": 0o1777, "sidecar": 0o711, "sidecar/freed": 0o755}
    assert (tmp_path / "user").stat().st_mode & 0o7777 == 0o700
    assert (tmp_path / "sidecar" / "events.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_linked_own_folder_is_refused(tmp_path: Path) -> None:
    """A trainer that puts a link in its place cannot make the collector write elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "sidecar").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        Spool(str(tmp_path / "volume"), 1 << 30)
    assert list((tmp_path / "elsewhere").iterdir()) == []
