"""Addresses that are permissions: they name a method, a run and a file, and live for an hour (docs/decisions/0007)."""

from __future__ import annotations

import json
from typing import Final

from outrider_tracker.auth.signing import HmacSigner
from outrider_tracker.wandb.context import Context

SECONDS: Final = 3600
PUT: Final = "wandb PUT"
GET: Final = "wandb GET"


def upload_url(context: Context, run: int, name: str) -> str:
    """Where the file's bytes are to be PUT."""
    return f"{context.base_url}/wandb/upload/{_token(context, PUT, run, name)}"


def download_url(context: Context, run: int, name: str) -> str:
    """Where the file's bytes are."""
    return f"{context.base_url}/wandb/files/{_token(context, GET, run, name)}"


def read(signer: HmacSigner, purpose: str, token: str) -> tuple[int, str] | None:
    """(run, name) of an address's last part; None if it is not ours, for something else, or over."""
    try:
        value = signer.verify(purpose, token)
        run, name = json.loads(value or "")
    except (ValueError, TypeError):
        return None
    return int(run), str(name)


def _token(context: Context, purpose: str, run: int, name: str) -> str:
    return context.signer.sign(purpose, json.dumps([run, name]), int(context.now) + SECONDS)
