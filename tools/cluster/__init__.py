"""A real Kubernetes on one Linux machine, for the demo and the tests: `python -m tools.cluster --help`."""

from tools.cluster.cluster import Cluster
from tools.cluster.errors import ClusterError
from tools.cluster.images import ImageConfig

__all__ = ["Cluster", "ClusterError", "ImageConfig"]
