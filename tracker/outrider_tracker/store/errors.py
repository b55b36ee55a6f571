"""What can go wrong in the store, for those who answer requests.

StoreError
├── StorageFullError      no room on the disk: nothing was applied; try again when there is
├── StoreBrokenError      the disk failed in a way that leaves no truth but a restart
└── SchemaRefusedError    the data folder was written by a release that this one cannot read
"""

from __future__ import annotations


class StoreError(Exception):
    """Base of the store's errors."""


class StorageFullError(StoreError):
    """The disk has no room; the transaction was undone."""


class StoreBrokenError(StoreError):
    """An fsync or a page failed: what is durable is unknown until the tracker starts anew."""


class SchemaRefusedError(StoreError):
    """The schema is too new for this release."""
