"""tracker/openapi.json from the routes: `python -m outrider_tracker.api.openapi > tracker/openapi.json`."""

from __future__ import annotations

import json
import sys
from typing import Any, cast

from fastapi import FastAPI

from outrider_tracker.api import routers
from outrider_tracker.services import Services


def document() -> dict[str, Any]:
    """The OpenAPI document of the read API."""
    app = FastAPI(title="Outrider tracker: read API", version="1")

    class Described:
        """Stands for the services: the routes are described here, never called."""

        reader = None
        sdk = None

    for router in routers(cast(Services, Described())):
        app.include_router(router)
    return app.openapi()


def text() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
