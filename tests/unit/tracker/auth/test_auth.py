"""Rules, keys, signatures and key sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.auth.entities import EntityMap
from outrider_tracker.auth.jwks import KeySet, KeysUnavailableError
from outrider_tracker.auth.signing import HmacSigner
from outrider_tracker.core.principals import Controller, Person, Pod, Principal, Role
from outrider_tracker.core.rules import Action, Target, may
from outrider_tracker.store.people import new_key, put_person
from outrider_tracker.store.store import Store
from tests.integration.tracker.tokens import Cluster

MINE, ALIEN, WHOLE = Target("ml", "uid"), Target("other", "uid"), Target("")
OTHER_POD = Target("ml", "another uid")


def on(targets: tuple[Target, ...], actions: set[Action]) -> dict[Target, set[Action]]:
    """The same actions on several targets."""
    return dict.fromkeys(targets, actions)


WHO: dict[str, tuple[Principal | None, dict[Target, set[Action]]]] = {
    "nobody": (None, {}),
    "tracker admin": (Person("a", admin=True), on((MINE, OTHER_POD, ALIEN, WHOLE), set(Action))),
    "entity admin": (
        Person("a", roles={"ml": Role.ADMIN}),
        on((MINE, OTHER_POD), set(Action) - {Action.CONTROL}),
    ),
    "entity member": (
        Person("a", roles={"ml": Role.MEMBER}),
        on((MINE, OTHER_POD), {Action.READ, Action.WRITE, Action.DELETE, Action.INGEST}),
    ),
    "entity viewer": (Person("a", roles={"ml": Role.VIEWER}), on((MINE, OTHER_POD), {Action.READ})),
    "person without roles": (Person("a"), {}),
    "pod": (Pod("uid", "issuer", "ml", "pod", "ml"), {MINE: {Action.INGEST}}),
    "controller": (Controller("s"), on((MINE, OTHER_POD, ALIEN, WHOLE), {Action.CONTROL})),
}


@pytest.mark.parametrize(("principal", "allowed"), WHO.values(), ids=WHO)
def test_the_rule(principal: Principal | None, allowed: dict[Target, set[Action]]) -> None:
    """Every action on every target: what is not listed is refused."""
    for target in (MINE, OTHER_POD, ALIEN, WHOLE):
        assert {action for action in Action if may(principal, action, target)} == allowed.get(target, set())


def test_people_are_known_by_their_keys(tmp_path: Path) -> None:
    """Roles add up; a wrong key is nobody; the key itself is not in the folder."""
    store = Store(tmp_path / "data")
    try:
        first, second = new_key(), new_key()
        ml, other = {"ml": Role.VIEWER}, {"other": Role.ADMIN}
        store.writer.run(lambda connection: put_person(connection, Person("ada", roles=ml), first, 1.0))
        store.writer.run(lambda connection: put_person(connection, Person("ada", admin=True, roles=other), second, 2.0))
        # Besides what was given there is the entity of her own.
        roles = {"ml": Role.VIEWER, "other": Role.ADMIN, "ada": Role.ADMIN}
        want = Person("ada", admin=True, roles=roles, id=1, default_entity="ada")
        assert store.people.authenticate_key(first) == store.people.authenticate_key(second) == want
        assert store.people.find_person("ada") == want
        for wrong in (first[:-1], first.upper(), "", "x" * 500, "é" * 40):
            assert store.people.authenticate_key(wrong) is None
        with pytest.raises(ValueError, match="another user"):
            store.writer.run(lambda connection: put_person(connection, Person("eve"), first, 3.0))
        assert store.people.find_person("eve") is None
    finally:
        store.close()
    for file in (tmp_path / "data").rglob("*"):
        if file.is_file():
            assert first.encode() not in file.read_bytes()


@given(st.text(max_size=40), st.text("abcdef", max_size=10))
def test_signed_texts_come_back_until_they_expire(value: str, purpose: str) -> None:
    """For their purpose, from this secret, before their time only."""
    now = [1000.0]
    signer = HmacSigner(b"secret", lambda: now[0])
    value = value.encode("utf-8", "ignore").decode()
    token = signer.sign(purpose, value, 1060)
    assert signer.verify(purpose, token) == value
    assert signer.verify(purpose + "x", token) is None
    assert HmacSigner(b"other", lambda: now[0]).verify(purpose, token) is None
    head, _, tail = token.partition(".")
    assert signer.verify(purpose, f"{head}.9{tail}") is None
    now[0] = 1060.0
    assert signer.verify(purpose, token) is None


@given(st.text(max_size=60))
def test_noise_is_no_signature(noise: str) -> None:
    """Whatever is sent, nothing breaks."""
    assert HmacSigner(b"secret").verify("p", noise.encode("utf-8", "replace").decode()) is None


def test_entities_are_mapped(tmp_path: Path) -> None:
    """The issuer's own entry wins over the one for all, and the namespace's name is the default."""
    file = tmp_path / "map.json"
    entries = [{"namespace": "ml", "entity": "research"}, {"issuer": "i", "namespace": "ml", "entity": "special"}]
    file.write_text(json.dumps(entries))
    found = EntityMap.load(file)
    assert [found.entity(*key) for key in (("", "ml"), ("i", "ml"), ("i", "web"))] == ["research", "special", "web"]
    file.write_text('[{"namespace": 5}]')
    with pytest.raises(ValueError, match="needs the texts namespace and entity"):
        EntityMap.load(file)


class Source:
    """A key set that can be away."""

    def __init__(self) -> None:
        self.document: str | None = None
        self.asked = 0

    def load(self) -> bytes:
        """The document, or an error."""
        self.asked += 1
        if self.document is None:
            raise OSError("connection refused")
        return self.document.encode()


def test_keys_are_cached_and_looked_for_again() -> None:
    """An unknown key is looked for, but not at every request; what cannot be told is told so."""
    now = [0.0]
    source = Source()
    keys = KeySet(source.load, lambda: now[0])
    with pytest.raises(KeysUnavailableError, match="connection refused"):
        keys.key("es")
    source.document = Cluster().jwks()
    with pytest.raises(KeysUnavailableError):
        keys.key("es")  # not asked again so soon
    assert source.asked == 1
    now[0] = 11
    assert keys.key("es") is not None
    assert keys.key("unknown") is None
    assert source.asked == 2
    source.document = None
    now[0] = 60
    assert keys.key("es") is not None
    with pytest.raises(KeysUnavailableError):
        keys.key("unknown")
    now[0] = 10_000
    assert keys.key("es") is not None, "a key set that cannot be renewed still serves what it has"
