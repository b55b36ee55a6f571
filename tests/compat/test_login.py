"""Who the client is with each kind of key, and what administrators do through it."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from outrider_tracker.__main__ import main
from tests.compat.sdk import Sdk
from tests.integration.tracker.process import TrackerProcess, join_record, run_record
from tests.integration.tracker.tokens import CONTROLLER, ISSUER, Cluster

# Releases whose client takes a token where a key is asked for.
TAKES_TOKENS = {"0.31.0", "0.30.0", "0.29.0", "0.28.2", "0.27.2"}
# Releases whose client makes a key by logging in with another one that it reads from the server: refused here, where
# only hashes are kept.
READS_KEYS = {"0.19.11"}


@dataclass
class Team:
    """A tracker of a cluster with a team `crew`; what scripts said is kept for each release."""

    tracker: TrackerProcess
    cluster: Cluster
    folder: Path
    keys: dict[str, str]
    said: dict[tuple[str, str], Any] = field(default_factory=dict)

    def sdk(self, release: str) -> Sdk:
        """The scripts' runner."""
        return Sdk(release, self.tracker.base, self.folder / release / uuid4().hex[:6])


def said(*arguments: str) -> str:
    """What a command prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(list(arguments)) == 0
    return printed.getvalue()


def key_in(text: str) -> str:
    """The key that a command showed."""
    return text.partition("API key: ")[2].split()[0]


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """Accounts by the command line, beside the running tracker; a pod that is joined to a Run of the team's."""
    folder = tmp_path_factory.mktemp("login")
    cluster = Cluster()
    (folder / "jwks.json").write_text(cluster.jwks())
    arguments = ("--issuer", ISSUER, "--jwks", str(folder / "jwks.json"), "--controller-subject", CONTROLLER)
    with TrackerProcess(folder / "data", *arguments) as tracker:
        data = ("--data", str(folder / "data"))
        said("team", "add", "crew", *data)
        person = key_in(said("user", "add", "ada", "--entity", "crew:member", "--email", "ada@x.org", *data))
        said("user", "add", "outsider", *data)
        prefixed = f"local-{uuid4().hex}{uuid4().hex[:8]}"
        said("user", "add", "bea", "--entity", "crew:viewer", "--default-entity", "crew", "--key", prefixed, *data)
        machine = key_in(said("team", "service-account", "add", "crew", "ci", *data))
        tracker.client.put("/api/v1/control/runs/pods", json=run_record(project="pods", namespace="crew"))
        joined = join_record("pods", namespace="crew")
        tracker.client.put("/api/v1/control/sources/pod-uid", json=joined).raise_for_status()
        token = cluster.token("pod-uid", "crew")
        keys = {"person": person, "prefixed": prefixed, "service account": machine, "pod": token}
        yield Team(tracker, cluster, folder, keys)


@pytest.fixture
def logged_in(team: Team, release: str) -> dict[str, Any]:
    """What the script of log-ins said."""
    if ("login", release) not in team.said:
        keys = {name: key for name, key in team.keys.items() if name != "pod" or release in TAKES_TOKENS}
        team.said["login", release] = team.sdk(release).run("login", LOGIN_KEYS=json.dumps(keys))
    found: dict[str, Any] = team.said["login", release]
    return found


def test_wandb_login(logged_in: dict[str, Any]) -> None:
    """The command asks the server: it takes a key that is known, and no other."""
    assert logged_in["login"] == {"person": 0}
    assert logged_in["wrong"] != 0
    assert logged_in["wrong viewer"] is not None


def test_viewer(logged_in: dict[str, Any], release: str) -> None:
    """Who each key is, and where its runs go."""
    want = {
        "person": {"username": "ada", "entity": "ada", "teams": ["ada", "crew"]},
        "prefixed": {"username": "bea", "entity": "crew", "teams": ["bea", "crew"]},
        "service account": {"username": "ci", "entity": "crew", "teams": ["crew"]},
        "pod": {"username": "pod-pod-uid", "entity": "crew", "teams": ["crew"]},
    }
    if release not in TAKES_TOKENS:
        del want["pod"]
    for name, who in want.items():
        seen = logged_in["viewer"][name]
        assert seen == {**who, "admin": False, "default_entity": who["entity"]}, name


def test_a_pod_logs_with_its_token(team: Team, release: str) -> None:
    """To the entity of its namespace; the run is linked to the pod's Run."""
    if release not in TAKES_TOKENS:
        pytest.skip(f"the client of {release} takes no token for a key: it wants 40 characters without dots")
    name = f"pods-{release}"
    out = team.sdk(release).run("login_run", "pods", name, WANDB_API_KEY=team.keys["pod"])
    assert out == {"entity": "crew", "path": f"crew/pods/{name}"}
    listed = team.tracker.client.get("/api/v1/runs/crew/pods/pods/sdk").json()["items"]
    assert name in {run["url"].rpartition("/")[2] for run in listed}


def test_a_run_is_read_by_the_id_of_its_workload(team: Team, release: str) -> None:
    """`Api().run(<id of the Run>)` is the SDK run of its pods, as long as they made no other one."""
    if release not in TAKES_TOKENS:
        pytest.skip(f"the client of {release} takes no token for a key: it wants 40 characters without dots")
    control = f"{team.tracker.base}/api/v1/control"
    job, pod = f"job-{release}", f"pod-{release}"
    put = team.tracker.client.put
    put(f"{control}/runs/{job}", json=run_record(project="jobs", namespace="crew")).raise_for_status()
    put(f"{control}/sources/{pod}", json=join_record(job, namespace="crew")).raise_for_status()
    token, sdk = team.cluster.token(pod, "crew"), team.sdk(release)
    sdk.run("login_run", "jobs", f"first-{release}", WANDB_API_KEY=token)
    read = ("read_run", "jobs", f"crew/jobs/{job}")
    found = sdk.run(*read, WANDB_API_KEY=team.keys["person"])
    assert found == {"id": f"first-{release}", "path": ["crew", "jobs", f"first-{release}"], "loss": [0.5]}
    # A client that is about to log under the name asks in another way: it is to begin a run of its own.
    out = sdk.run("login_run", "jobs", job, WANDB_API_KEY=token, WANDB_RESUME="allow")
    assert out["path"] == f"crew/jobs/{job}"
    assert sdk.run(*read, WANDB_API_KEY=team.keys["person"])["id"] == job


def test_a_service_account_logs_for_a_person(team: Team, release: str) -> None:
    """Named in the environment, as launchers do it."""
    name = f"ci-{release}"
    key = team.keys["service account"]
    out = team.sdk(release).run("login_run", "nightly", name, WANDB_API_KEY=key, WANDB_USERNAME="ada")
    assert out == {"entity": "crew", "path": f"crew/nightly/{name}"}
    query = (
        'query($n: String!) { project(name: "nightly", entityName: "crew") { run(name: $n) { user { username } } } }'
    )
    answer = team.tracker.client.post("/graphql", json={"query": query, "variables": {"n": name}})
    assert answer.json()["data"]["project"]["run"]["user"]["username"] == "ada"


def test_administration(team: Team, release: str) -> None:
    """Teams, members, users, service accounts and keys through the public API."""
    tag = release.replace(".", "-")
    out = team.sdk(release).run("admin", tag, team.keys["person"])
    assert out["members"] == [["admin", True]]
    assert out["created"] == [f"new-{tag}", f"new-{tag}@x.org", False]
    assert (out["invited"], out["again"], out["nobody"]) == (True, False, False)
    assert out["service"] == ["SERVICE", False]
    assert out["after"] == ["admin", f"new-{tag}", f"team-{tag}-nightly-builds"]
    assert (out["removed"], out["left"]) == ([True], ["admin", f"team-{tag}-nightly-builds"])
    assert (out["found"], out["users"], out["not found"]) == (f"new-{tag}", [f"new-{tag}"], None)
    if release in READS_KEYS:
        assert out["keys"] is None
    else:
        assert out["keys"] == [1, 2, 40, False]
        assert (out["new key"], out["deleted"]) == ("ada", True)
        assert out["old key"] is not None
    assert out["member makes a team"] is not None
    assert out["member invites"] is False
    assert out["crew"] == ["ada", "bea", "ci"]
