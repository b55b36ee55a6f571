"""A namespace with the CRD, and controllers that end with the test."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.cluster_fixtures import Namespace
from tests.integration.operator.controller.acting import Controller, Stage, connect

CRDS = Path(__file__).parents[4] / "crds" / "runs.yaml"


@pytest.fixture
async def stage(namespace: Namespace) -> AsyncIterator[Stage]:
    namespace.cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    namespace.cluster.kubectl("wait", "crd/runs.outrider.dev", "--for=condition=Established", "--timeout=30s")
    async with connect(Path(namespace.cluster.kubeconfig)) as client:
        yield Stage(client, namespace.name)


@pytest.fixture
async def controllers(
    namespace: Namespace, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Callable[..., Controller]]:
    """Makes controllers of the test's namespace; their log is shown where the test fails."""
    made: list[Controller] = []

    def make(*flags: str, lease: str = "") -> Controller:
        log = tmp_path / f"controller-{len(made)}.log"
        made.append(Controller(Path(namespace.cluster.kubeconfig), namespace.name, log, *flags, lease=lease))
        return made[-1]

    yield make
    for controller in made:
        if controller.process is not None:
            await controller.stop()
            print(f"--- {controller.lease}\n{controller.log()}")
