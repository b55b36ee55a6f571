"""Who brings a shared cluster up and who takes it down."""

import os
import subprocess
from pathlib import Path

import pytest

from tools.cluster import shared as sharing
from tools.cluster.processes import start_time
from tools.cluster.shared import shared


class FakeCluster:
    """Stands for a cluster: knows whether it is there, and what was done to it."""

    name = "fake"

    def __init__(self) -> None:
        self.exists = False
        self.done: list[str] = []

    def up(self) -> None:
        self.exists = True
        self.done.append("up")

    def down(self) -> None:
        self.exists = False
        self.done.append("down")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """No cluster, and a folder for notes on its users."""
    monkeypatch.setenv("OUTRIDER_CLUSTER_HOME", str(tmp_path))
    monkeypatch.delenv(sharing.KEEP, raising=False)
    return FakeCluster()


def note_user(pid: int, start: str, home: Path, *, owned: bool) -> None:
    """Write down another process as a user."""
    sharing._write(home / "fake.users.json", sharing.Users(owned, [(pid, start)]))


def test_a_lone_user_brings_it_up_and_takes_it_down(cluster: FakeCluster, tmp_path: Path) -> None:
    """And leaves no notes."""
    with shared(cluster):  # type: ignore[arg-type]
        assert cluster.exists
    assert cluster.done == ["up", "down"]
    assert not (tmp_path / "fake.users.json").exists()


def test_one_that_ran_before_is_left_running(cluster: FakeCluster) -> None:
    """It is somebody's; `up` only makes sure that it is whole."""
    cluster.exists = True
    with shared(cluster):  # type: ignore[arg-type]
        pass
    assert cluster.done == ["up"]


def test_not_the_last_user_leaves_it_to_the_others(cluster: FakeCluster, tmp_path: Path) -> None:
    """Another living process uses it still."""
    parent = os.getppid()
    note_user(parent, start_time(parent) or "", tmp_path, owned=True)
    cluster.exists = True
    with shared(cluster):  # type: ignore[arg-type]
        pass
    assert cluster.done == ["up"]
    assert sharing._read(tmp_path / "fake.users.json") == sharing.Users(True, [(parent, start_time(parent) or "")])


def test_a_killed_user_counts_no_longer(cluster: FakeCluster, tmp_path: Path) -> None:
    """What a broken run left behind, the next one takes down."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    note_user(gone.pid, "1", tmp_path, owned=True)
    cluster.exists = True
    with shared(cluster):  # type: ignore[arg-type]
        pass
    assert cluster.done == ["up", "down"]


def test_on_request_it_is_kept(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """For quick runs one after the other; later runs leave it then, too."""
    monkeypatch.setenv(sharing.KEEP, "1")
    with shared(cluster):  # type: ignore[arg-type]
        pass
    monkeypatch.delenv(sharing.KEEP)
    with shared(cluster):  # type: ignore[arg-type]
        pass
    assert cluster.done == ["up", "up"]


def test_a_failing_test_still_takes_it_down(cluster: FakeCluster) -> None:
    """The exception goes on its way."""
    with pytest.raises(ZeroDivisionError), shared(cluster):  # type: ignore[arg-type]
        1 / 0  # noqa: B018
    assert not cluster.exists
