"""Brings built images to the nodes of a cluster of tools.cluster."""

import sys
import time
from collections.abc import Iterable

from tools.cluster import Cluster
from tools.images.build import Built


def load(cluster: Cluster, images: Iterable[Built]) -> list[str]:
    """Load the images that a node lacks or has otherwise; gives the names of those that were loaded."""
    loaded = []
    for image in images:
        if not cluster.has_image(image.reference, image.key):
            began = time.monotonic()
            cluster.load_archive(image.archive, image.key)
            print(f"loaded {image.reference} in {time.monotonic() - began:.1f} s", file=sys.stderr)
            loaded.append(image.reference)
    return loaded
