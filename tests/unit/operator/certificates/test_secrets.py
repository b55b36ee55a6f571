"""Which entry lies in which of the two Secrets, and that a stop between two writes harms nobody."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from outrider_operator.core.certificate_entries import CA_CERT, CA_KEY, NEXT_CERT, NEXT_KEY
from outrider_operator.core.certificate_secrets import Write, join, writes
from outrider_operator.core.certificates import Step, carry_out, decide, signs, split_bundle

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
NAMES = {"webhook": ("w.o.svc",), "tracker": ("t.o.svc",)}
LEAVES = {"webhook.crt", "webhook.key", "tracker.crt", "tracker.key"}
KEYS = {"ca.key", "next-ca.key", "next-ca.crt"}


class Secrets:
    """Both Secrets, and a controller that may be stopped after any write."""

    def __init__(self, shared: dict[str, str] | None = None, authority: dict[str, str] | None = None) -> None:
        self.shared, self.authority = dict(shared or {}), dict(authority or {})
        self.written: list[Write] = []

    def copy(self) -> Secrets:
        return Secrets(self.shared, self.authority)

    def step(self, now: dt.datetime, *, stop_after: int = 9) -> Step:
        """One pass of at most so many writes."""
        data = join(self.shared, self.authority)
        decision = decide(data, now, NAMES)
        wanted = data if decision.step is Step.KEEP else carry_out(decision, data, now, NAMES)
        for write in writes(self.shared, self.authority, wanted)[:stop_after]:
            self.written.append(write)
            if write.authority:
                self.authority = dict(write.entries)
            else:
                self.shared = dict(write.entries)
        return decision.step

    def settle(self, now: dt.datetime) -> Secrets:
        while self.step(now) is not Step.KEEP:
            pass
        return self


def old_form() -> dict[str, str]:
    """One Secret with everything, as older versions wrote it."""
    return carry_out(decide(None, NOW, NAMES), None, NOW, NAMES)


def test_what_signs_never_lies_where_others_read() -> None:
    """Eleven years of renewals and of a CA's replacement, each write of them."""
    secrets, now = Secrets(), NOW
    while now < NOW + 11 * 365 * DAY:
        secrets.settle(now)
        now += 20 * DAY
    shared = [write.entries for write in secrets.written if not write.authority]
    assert len(shared) > 50
    assert {frozenset(entries) for entries in shared} == {frozenset(LEAVES | {"ca.crt"})}
    assert all(set(write.entries) <= KEYS for write in secrets.written if write.authority)
    assert set(secrets.authority) == {"ca.key"}
    keys = [text.count("PRIVATE KEY-----") for entries in shared for text in entries.values()]
    assert sum(keys) == 4 * len(shared), "each leaf has its key, of two marks, and there is no third one"


def test_the_key_in_an_older_versions_secret_moves_once_and_still_signs() -> None:
    """Written to the new Secret before it is removed from the old one; the CA and the leaves stay as they are."""
    old = old_form()
    secrets = Secrets({**old, "mine": "stays"}, {"theirs": "stays"})
    assert secrets.step(NOW) is Step.KEEP
    assert [write.authority for write in secrets.written] == [True, False]
    assert secrets.authority == {"ca.key": old[CA_KEY], "theirs": "stays"}
    assert secrets.shared == {name: text for name, text in old.items() if name != "ca.key"} | {"mine": "stays"}
    secrets.step(NOW)
    assert len(secrets.written) == 2, "then nothing is written any more"


def test_a_ca_that_is_being_replaced_moves_whole() -> None:
    """The next CA's key goes along, and the next CA is still the one that was announced."""
    old = old_form()
    later = NOW + 3650 * DAY - 300 * DAY
    while (decision := decide(old, later, NAMES)).step is not Step.KEEP:
        old = carry_out(decision, old, later, NAMES)
    assert {NEXT_CERT, NEXT_KEY} <= old.keys()
    secrets = Secrets(old).settle(later)
    assert secrets.authority == {name: old[name] for name in KEYS}
    assert secrets.settle(later + 200 * DAY).authority == {"ca.key": old[NEXT_KEY]}


def test_after_a_rollback_the_key_that_signs_counts() -> None:
    """The older version made a CA of its own in its Secret; the key that was left in the new one signs nothing."""
    stale, current = old_form(), old_form()
    secrets = Secrets(current, {CA_KEY: stale[CA_KEY]}).settle(NOW)
    assert secrets.authority == {"ca.key": current[CA_KEY]}
    assert secrets.shared[CA_CERT] == current[CA_CERT]


def moments() -> Iterator[tuple[str, Secrets, dt.datetime]]:
    """Every kind of change that is due."""
    yield "the first CA", Secrets(), NOW
    yield "the move", Secrets(old_form()), NOW
    settled = Secrets().settle(NOW)
    yield "the next CA", settled.copy(), NOW + 3650 * DAY - 300 * DAY
    prepared = settled.copy().settle(NOW + 3650 * DAY - 300 * DAY)
    yield "the replacement", prepared, NOW + 3650 * DAY - 100 * DAY
    yield "a lost key", Secrets(settled.shared, {}), NOW


@pytest.mark.parametrize(("due", "now"), [m[1:] for m in moments()], ids=[m[0] for m in moments()])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_stop_after_any_write_loses_no_key_that_somebody_trusts(due: Secrets, now: dt.datetime, count: int) -> None:
    """Afterwards there are as many CAs as without the stop, every one that was shown is kept, and the first signs."""
    whole, stopped = due.copy().settle(now), due.copy()
    for _ in range(3):  # the same stop again and again makes no heap of CAs either
        stopped.step(now, stop_after=count)
    shown = split_bundle(stopped.shared.get(CA_CERT, ""))
    stopped.settle(now)
    bundle = split_bundle(stopped.shared[CA_CERT])
    assert set(shown) <= set(bundle)
    assert len(bundle) == len(split_bundle(whole.shared[CA_CERT]))
    assert signs(join(stopped.shared, stopped.authority))
    assert stopped.authority.keys() == whole.authority.keys()
