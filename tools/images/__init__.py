"""Outrider's images: built from ordinary Dockerfiles, then loaded into a cluster or pushed to a registry."""

from tools.images.build import Built, ImageError, build
from tools.images.load import load

__all__ = ["Built", "ImageError", "build", "load"]
