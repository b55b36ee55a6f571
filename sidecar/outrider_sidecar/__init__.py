"""The collector that rides beside the ranks of one pod. It knows no Kubernetes."""

__version__ = "0.1.0"
