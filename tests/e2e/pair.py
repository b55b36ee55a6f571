"""A scenario's two jobs: as root without a securityContext, and as UID 1000 where Pod Security is "restricted"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.e2e.kube import Obj
from tests.e2e.product import Product, names_of, state, uids


@dataclass
class Pair:
    """The two jobs of a scenario."""

    product: Product
    jobs: list[Obj]

    def each(self, act: Callable[[Obj], object]) -> None:
        """Does something for both."""
        for job in self.jobs:
            act(job)

    def pods(self) -> list[Obj]:
        """The pods of both."""
        return [pod for job in self.jobs for pod in self.product.pods_of(*names_of(job))]

    def check(self, expected_state: str) -> None:
        """Both ended in this state, and all of their bytes are there."""
        for job, pod_uids in zip(self.jobs, self.pod_uids, strict=True):
            run = self.product.wait_ended(job)
            assert state(run) == expected_state, run["status"]
            self.product.wait_bytes(run, pod_uids)

    def remember(self) -> None:
        """Keeps the pods' UIDs: some scenarios delete the pods."""
        self.pod_uids = [uids(self.product.pods_of(*names_of(job))) for job in self.jobs]
