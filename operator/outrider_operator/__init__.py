"""The controller and the webhook: what makes Runs true and puts the sidecar into pods."""

from outrider_sidecar import __version__

__all__ = ["__version__"]
