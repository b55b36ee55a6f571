"""What a cluster can be asked for, and what a running one can be turned into."""

import pytest

from tools.cluster.errors import ClusterError
from tools.cluster.settings import Settings


@pytest.mark.parametrize("name", ["", "-a", "a-", "Upper", "under_score", "a" * 21, "a/b", "1st"])
def test_a_name_that_would_not_do_for_the_kernel_or_kubernetes_is_refused(name: str) -> None:
    """Names become folders, network namespaces, cgroups and node names."""
    with pytest.raises(ClusterError, match="cluster's name"):
        Settings(name=name)


@pytest.mark.parametrize("name", ["a", "outrider", "test-api", "a" * 20])
def test_an_ordinary_name_is_taken(name: str) -> None:
    """One letter and twenty are the ends."""
    assert Settings(name=name).name == name


def test_a_cluster_keeps_the_nodes_that_it_has() -> None:
    """A smaller number in a later `up` takes nothing away; a larger one adds."""
    assert Settings(nodes=3).merged(nodes=1).nodes == 3
    assert Settings(nodes=3).merged(nodes=5).nodes == 5


def test_what_is_not_asked_for_stays() -> None:
    """An `up` without options leaves a running cluster's settings alone."""
    made = Settings(name="a", mode="control", audit=True, node_grace="8s")
    assert made.merged(name="a") == made


def test_a_running_cluster_does_not_change_its_mode() -> None:
    """The message says which way out there is."""
    with pytest.raises(ClusterError, match="take it down first"):
        Settings(mode="control").merged(mode="node")


@pytest.mark.parametrize("wrong", [{"mode": "swarm"}, {"nodes": 0}, {"nodes": 100}, {"node_grace": "8"}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    """Refused when they are said, not in the middle of `up`."""
    with pytest.raises(ClusterError):
        Settings(**wrong)  # type: ignore[arg-type]
