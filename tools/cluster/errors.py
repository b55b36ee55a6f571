"""The one error of this package: what went wrong with a cluster, said to the person at the keyboard."""


class ClusterError(RuntimeError):
    """Something a person has to act on; the message says what happened, to what, and what to do."""
