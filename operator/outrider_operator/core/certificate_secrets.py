"""Which entry lies in which Secret, and in which order they are written.

One Secret is read by the webhook and mounted by the tracker: the bundle and the leaves. The other one is the
controller's alone: the keys that sign. Two Secrets cannot be written at once, so the order makes every stop in between
harmless: a new key is safe in the second Secret before the first one shows its certificate, and becomes the one that
signs after that.
"""

from __future__ import annotations

from dataclasses import dataclass

from outrider_operator.core.certificate_entries import AUTHORITY, CA_CERT, CA_KEY, NEXT_CERT, NEXT_KEY
from outrider_operator.core.certificates import Data, signs, split_bundle


@dataclass(frozen=True, slots=True)
class Write:
    """All text entries of one Secret as they are to be."""

    authority: bool
    """Whether it is the Secret of the CA's key."""
    entries: Data


def join(shared: Data, authority: Data) -> dict[str, str]:
    """The entries that decisions are about.

    Args:
        shared: decoded entries of the Secret that others read. It once held the CA's key as well, and does again after
            a rollback to such a version: a key in it counts where it signs and that of the other Secret does not.
        authority: decoded entries of the controller's own Secret; foreign ones among them are left out.

    """
    keys = _keys(authority)
    now, before = {**shared, **keys}, {**keys, **shared}
    return before if signs(before) and not signs(now) else now


def writes(shared: Data, authority: Data, wanted: Data) -> tuple[Write, ...]:
    """The writes, in order, after which both Secrets hold what is wanted; none where they do.

    Args:
        shared: as in ``join``.
        authority: as in ``join``.
        wanted: what ``join`` gave, or what was made of it. No entry of ``AUTHORITY`` stays in the first Secret.

    """
    had, keys = join(shared, authority), _keys(wanted)
    safe = keys
    if keys.get(CA_KEY) != had.get(CA_KEY):
        safe = {**_keys(had), NEXT_CERT: split_bundle(wanted[CA_CERT])[0], NEXT_KEY: keys[CA_KEY]}
    open_ = {name: text for name, text in wanted.items() if name not in AUTHORITY}
    foreign = {name: text for name, text in authority.items() if name not in AUTHORITY}
    made = []
    if safe != _keys(authority):
        made.append(Write(True, {**foreign, **safe}))
    if open_ != dict(shared):
        made.append(Write(False, open_))
    if keys != safe:
        made.append(Write(True, {**foreign, **keys}))
    return tuple(made)


def _keys(data: Data) -> dict[str, str]:
    return {name: text for name, text in data.items() if name in AUTHORITY}
