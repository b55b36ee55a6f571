"""Every role at every door: what a real tracker answers to whom. Tokens are real ES256 and RS256 ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from outrider_tracker.__main__ import main
from tests.integration.tracker.process import KEY, Sidecar, TrackerProcess, join_record, run_record
from tests.integration.tracker.tokens import CONTROLLER, ISSUER, Cluster
from tests.unit.tracker import wire

PEOPLE = {"mladmin": "ml:admin", "mlmember": "ml:member", "mlviewer": "ml:viewer", "stranger": "other:admin"}


def key_of(name: str) -> str:
    """The API key of one of PEOPLE."""
    return name.ljust(40, "0")


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    """One issuer for all tests here."""
    return Cluster()


@pytest.fixture(scope="module")
def guarded(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerProcess]:
    """A tracker that knows the cluster and some people."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "jwks.json").write_text(cluster.jwks())
    arguments = ("--issuer", ISSUER, "--jwks", str(folder / "jwks.json"), "--controller-subject", CONTROLLER)
    with TrackerProcess(folder / "data", *arguments) as tracker:
        for name, role in PEOPLE.items():
            assert (
                main(["user", "add", name, "--data", str(folder / "data"), "--key", key_of(name), "--entity", role])
                == 0
            )
        yield tracker


@pytest.fixture(scope="module")
def own(guarded: TrackerProcess, cluster: Cluster) -> str:
    """A pod's source with a stream, joined to run `matrix` of entity `ml`."""
    uid = f"own-{uuid4()}"
    client = httpx.Client(base_url=guarded.base, headers=bearer(cluster.token(uid)), trust_env=False, timeout=30.0)
    with client:
        sidecar = Sidecar(client, uid)
        assert sidecar.declare().status_code == 200
        assert sidecar.append(wire.body(wire.stream("a"), wire.data("a", 0, 0, b"x\n"))).status_code == 200
    guarded.client.put("/api/v1/control/runs/matrix", json=run_record()).raise_for_status()
    guarded.client.put(f"/api/v1/control/sources/{uid}", json=join_record("matrix")).raise_for_status()
    return uid


def bearer(secret: str) -> dict[str, str]:
    """The header."""
    return {"Authorization": f"Bearer {secret}"}


# role -> what each door answers: declaring, appending, asking for a file, directives | run, source, feed, ranks
WHO = {
    #             declare append files directives putrun putsource feed ranks collection
    "tracker admin": [200, 200, 200, 200, 200, 200, 200, 200, 200],
    "entity admin": [200, 200, 200, 200, 403, 403, 403, 403, 403],
    "entity member": [200, 200, 200, 200, 403, 403, 403, 403, 403],
    "entity viewer": [403, 403, 403, 403, 403, 403, 403, 403, 403],
    "stranger": [403, 403, 403, 403, 403, 403, 403, 403, 403],
    "own pod": [200, 200, 200, 200, 403, 403, 403, 403, 403],
    "own pod, RS256": [200, 200, 200, 200, 403, 403, 403, 403, 403],
    "another pod": [403, 403, 403, 403, 403, 403, 403, 403, 403],
    "own UID, other namespace": [403, 403, 403, 403, 403, 403, 403, 403, 403],
    "controller": [403, 403, 403, 403, 200, 200, 200, 200, 200],
    "wrong key": [401] * 9,
    "nobody": [401] * 9,
    "another issuer": [401] * 9,
    "another audience": [401] * 9,
    "expired token": [401] * 9,
    "token of no pod": [401] * 9,
    "token signed by somebody else": [401] * 9,
    "token without signature": [401] * 9,
    "public key used as HMAC secret": [401] * 9,
    "noise": [401] * 9,
}


def headers_of(who: str, cluster: Cluster, uid: str) -> dict[str, str]:
    """What that caller sends."""
    people = {
        "tracker admin": KEY,
        "entity admin": key_of("mladmin"),
        "entity member": key_of("mlmember"),
        "entity viewer": key_of("mlviewer"),
        "stranger": key_of("stranger"),
        "wrong key": "f" * 40,
    }
    if who in people:
        return bearer(people[who])
    if who == "nobody":
        return {}
    made: dict[str, Any] = {
        "own pod": lambda: cluster.token(uid),
        "own pod, RS256": lambda: cluster.token(uid, kid="rs"),
        "another pod": lambda: cluster.token("another"),
        "own UID, other namespace": lambda: cluster.token(uid, "other"),
        "controller": lambda: cluster.token("operator-pod", "outrider", sub=CONTROLLER),
        "another issuer": lambda: cluster.token(uid, iss="https://evil.example"),
        "another audience": lambda: cluster.token(uid, aud=["api"]),
        "expired token": lambda: cluster.token(uid, exp=1_600_000_000, iat=1_500_000_000, nbf=1_500_000_000),
        "token of no pod": lambda: cluster.token(None),
        "token signed by somebody else": lambda: forged(cluster.token(uid)),
        "token without signature": lambda: unsigned(cluster.token(uid)),
        "public key used as HMAC secret": lambda: confused(cluster, uid),
        "noise": lambda: "a.b.c",
    }
    return bearer(made[who]())


def forged(token: str) -> str:
    """The same claims and key id, signed with another key."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": "es"})


def unsigned(token: str) -> str:
    """`alg: none`."""
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "es"}).encode()).decode().rstrip("=")
    return f"{head}.{token.split('.')[1]}."


def confused(cluster: Cluster, uid: str) -> str:
    """HS256 with what everybody can read as the secret."""
    claims = jwt.decode(cluster.token(uid), options={"verify_signature": False})
    return jwt.encode(claims, cluster.jwks()[:64], algorithm="HS256", headers={"kid": "es"})


@pytest.mark.parametrize(("who", "want"), WHO.items(), ids=WHO)
def test_who_may_do_what(guarded: TrackerProcess, cluster: Cluster, own: str, who: str, want: list[int]) -> None:
    """One row of the matrix: the ingest door and the controller's door."""
    headers = headers_of(who, cluster, own)
    with httpx.Client(base_url=guarded.base, trust_env=False, timeout=30.0, headers=headers) as client:
        sidecar = Sidecar(client, own)
        declared = sidecar.declare()
        if declared.status_code != 200:
            shown = Sidecar(guarded.client, own)
            shown.declare()
            sidecar.epoch, sidecar.incarnation = shown.epoch, shown.incarnation
        control = "/api/v1/control"
        asked = {"path": "x", "size": 1, "sha256": "0" * 64, "policy": "end"}
        answers = [
            declared,
            sidecar.append(wire.body(wire.stream("a"))),
            client.post(f"/ingest/v1/sources/{own}/files", json=asked),
            client.get(f"/ingest/v1/sources/{own}/directives?wait=0"),
            client.put(f"{control}/runs/matrix", json=run_record()),
            client.put(f"{control}/sources/{own}", json=join_record("matrix")),
            client.get(f"{control}/feed"),
            client.get(f"{control}/runs/matrix/ranks"),
            client.get(f"{control}/runs/matrix/collection"),
        ]
    assert [answer.status_code for answer in answers] == want
    for answer in answers:
        if answer.status_code in {401, 403}:
            assert answer.json()["error"]["code"] == ("unauthenticated" if answer.status_code == 401 else "forbidden")


def test_a_deleted_pod_is_refused(guarded: TrackerProcess, cluster: Cluster) -> None:
    """Its token would verify for an hour more; the controller's word ends it."""
    uid = f"gone-{uuid4()}"
    with httpx.Client(
        base_url=guarded.base, trust_env=False, timeout=30.0, headers=bearer(cluster.token(uid))
    ) as client:
        sidecar = Sidecar(client, uid)
        assert sidecar.declare().status_code == 200
        joined = join_record("matrix", deleted=True)
        guarded.client.put(f"/api/v1/control/sources/{uid}", json=joined).raise_for_status()
        assert sidecar.append(wire.body(wire.stream("a"))).status_code == 401
        assert sidecar.declare().status_code == 401


def test_a_pod_cannot_claim_another_namespace(guarded: TrackerProcess, cluster: Cluster) -> None:
    """What the body says of the namespace is not believed: the token's is taken."""
    uid = f"liar-{uuid4()}"
    with httpx.Client(
        base_url=guarded.base, trust_env=False, timeout=30.0, headers=bearer(cluster.token(uid, "other"))
    ) as client:
        assert Sidecar(client, uid, namespace="ml").declare().status_code == 200
    stranger = httpx.Client(base_url=guarded.base, trust_env=False, timeout=30.0, headers=bearer(key_of("stranger")))
    with stranger:
        # The source is of entity `other`: its admin may write it, which tells whose it is.
        assert Sidecar(stranger, uid, namespace="other", instance="two").declare().status_code == 200


def test_keys_that_cannot_be_read_are_no_refusal(cluster: Cluster, tmp_path: Path) -> None:
    """503 with Retry-After, never 401: the sidecar must try again."""
    arguments = ("--issuer", ISSUER, "--jwks", str(tmp_path / "missing.json"))
    with TrackerProcess(tmp_path / "data", *arguments) as tracker:
        answer = httpx.get(
            f"{tracker.base}/api/v1/control/feed", headers=bearer(cluster.token("x")), trust_env=False, timeout=30.0
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
