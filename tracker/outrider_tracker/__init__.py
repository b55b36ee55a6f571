"""The tracker: takes the sidecars' streams, keeps them, and shows every Run."""

import os

from outrider_sidecar import __version__

# Read when numpy is loaded: the threads of its algebra would only cost memory, as nobody multiplies matrices here.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__all__ = ["__version__"]
