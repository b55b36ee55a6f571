"""What is kept of a cluster, and what the kernel tells about it."""

import socket
from pathlib import Path

import pytest

from tools.cluster import ClusterError, addresses, state, teardown
from tools.cluster.cgroups import _hand_down
from tools.cluster.layout import Layout
from tools.cluster.settings import Settings
from tools.cluster.status import node_line


def sample(mode: str = "node") -> state.State:
    """Some cluster."""
    settings = Settings(name="t", mode=mode, nodes=3)  # type: ignore[arg-type]
    return state.State(settings, addresses.in_slot(4), state.Ports(1, 2, 3, 4, 5))


def test_a_state_survives_its_file(tmp_path: Path) -> None:
    """All of it, networks included."""
    state.save(tmp_path / "t", sample())
    assert state.load(tmp_path / "t") == sample()
    assert state.load(tmp_path / "other") is None


def test_only_nodes_make_the_api_leave_loopback() -> None:
    """Without nodes nothing outside this machine reaches the API server."""
    assert sample("control").api_url == "https://127.0.0.1:1"
    assert sample("node").api_url == "https://10.213.4.1:1"
    assert list(sample("control").numbers) == []
    assert list(sample("node").numbers) == [1, 2, 3]


def test_chosen_ports_are_all_different() -> None:
    """Although each is free when it is looked at."""
    assert len(set(state.free_ports(50))) == 50


def test_chosen_ports_are_free_and_not_kept_by_another_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three, one is listened on and one is kept: the third is chosen, and there is no fourth."""
    listened, kept, free = three = state.free_ports(3)
    monkeypatch.setattr(state, "PORTS", three)
    with socket.socket() as other:
        other.bind(("127.0.0.1", listened))
        assert state.free_ports(1, {kept}) == [free]
        with pytest.raises(ClusterError, match="only 1 of 2 ports"):
            state.free_ports(2, {kept})


def test_a_link_s_name_fits_the_kernel() -> None:
    """IFNAMSIZ leaves 15 bytes; two long names of one beginning still differ."""
    names = [Layout("a" * 19 + end, Path("/x")).host_link for end in "bc"]
    assert all(len(name) <= 15 for name in names)
    assert names[0] != names[1]


def test_socket_paths_of_a_root_user_s_cluster_fit_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """sun_path holds 107 bytes and an end; the longest known socket of a node is the kubelet's of pod resources."""
    monkeypatch.delenv("OUTRIDER_CLUSTER_HOME", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    longest = Layout.of("a" * 20).node(99) / "kubelet/pod-resources/kubelet.sock"
    assert len(str(longest)) <= 107


MOUNTS = """\
21 1 0:20 / /proc rw - proc proc rw
30 1 0:5 / /var/lib/t/n1 rw - overlay overlay rw
31 30 0:6 / /var/lib/t/n1/a\\040b rw - tmpfs tmpfs rw
32 1 0:7 / /var/lib/tx/n1 rw - tmpfs tmpfs rw
"""


def test_mounts_are_found_below_a_folder_and_the_deepest_first() -> None:
    """Not those of a neighbour whose name begins the same; spaces are written \\040 in the kernel's table."""
    assert teardown.mounts(Path("/var/lib/t"), MOUNTS) == ["/var/lib/t/n1/a b", "/var/lib/t/n1"]


def test_cgroup_v2_controllers_are_handed_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that a kubelet wants, are offered and not given yet."""
    monkeypatch.setattr("tools.cluster.cgroups.is_v2", lambda: True)
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids rdma\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu\n")
    _hand_down(tmp_path)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpuset +io +memory +pids"


def test_cgroup_v1_children_inherit_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cpuset without them takes no process."""
    monkeypatch.setattr("tools.cluster.cgroups.is_v2", lambda: False)
    (tmp_path / "cpuset.cpus").write_text("0-1\n")
    _hand_down(tmp_path)
    assert (tmp_path / "cgroup.clone_children").read_text() == "1"


def test_a_node_that_has_said_nothing_yet_has_a_line_too() -> None:
    """Status may be empty just after it registered."""
    line = node_line({"metadata": {"name": "t-n1"}, "spec": {}, "status": {}})
    assert "t-n1" in line
    assert "NotReady" in line
