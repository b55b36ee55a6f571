"""The tracker: takes the sidecars' streams, keeps them, and shows every Run."""

from outrider_sidecar import __version__

__all__ = ["__version__"]
