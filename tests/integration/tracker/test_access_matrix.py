"""Role x door x operation, for private, team and public projects: what a real tracker answers to whom.

The tables below are the access page (docs/accounts.md), written down by hand; doors and roles are real. `yes`: it was
done or shown; `no`: refused, or answered as if it were not there; `401`: who asks is not known at this door.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from outrider_tracker.__main__ import main
from tests.integration.tracker.process import KEY, Sidecar, TrackerProcess, join_record, run_record
from tests.integration.tracker.tokens import CONTROLLER, ISSUER, Cluster
from tests.unit.tracker import wire

YES, NO, UNKNOWN = "yes", "no", "401"
PROJECTS: Final = ("private", "team", "public")
PEOPLE: Final = ("maker", "member", "viewer", "boss", "stranger", "disabled", "guest")


def key_of(name: str) -> str:
    """The API key of one of PEOPLE."""
    return name.ljust(40, "0")


# What belongs to a project. Columns: private (made by `maker`), team, public.
#                  reading            writing            deleting
PEOPLES_PROJECTS = {
    "nobody": (["401", "401", "401"], ["401", "401", "401"], ["401", "401", "401"]),
    "wrong key": (["401", "401", "401"], ["401", "401", "401"], ["401", "401", "401"]),
    "disabled user": (["401", "401", "401"], ["401", "401", "401"], ["401", "401", "401"]),
    "stranger": (["no", "no", "yes"], ["no", "no", "no"], ["no", "no", "no"]),
    "viewer": (["no", "yes", "yes"], ["no", "no", "no"], ["no", "no", "no"]),
    "member": (["no", "yes", "yes"], ["no", "yes", "yes"], ["no", "yes", "yes"]),
    "maker": (["yes", "yes", "yes"], ["yes", "yes", "yes"], ["yes", "yes", "yes"]),
    "service account": (["no", "yes", "yes"], ["no", "yes", "yes"], ["no", "yes", "yes"]),
    "entity admin": (["yes", "yes", "yes"], ["yes", "yes", "yes"], ["yes", "yes", "yes"]),
    "tracker admin": (["yes", "yes", "yes"], ["yes", "yes", "yes"], ["yes", "yes", "yes"]),
}
# Tokens at W&B's door; the read API and its pages know people only. The pod's own Run is in the project `team`.
TOKENS_PROJECTS = {
    "pod": (["no", "yes", "no"], ["no", "no", "no"], ["no", "no", "no"]),
    "other pod": (["no", "no", "no"], ["no", "no", "no"], ["no", "no", "no"]),
    "controller": (["no", "no", "no"], ["no", "no", "no"], ["no", "no", "no"]),
}
# Of the entity and of the tracker.
#                   make a   invite a  an own  end another's  make a  make a  feed the  write
#                   project  member    key     key            team    user    source    Runs
ENTITY = {
    "nobody": ["401", "401", "401", "401", "401", "401", "401", "401"],
    "wrong key": ["401", "401", "401", "401", "401", "401", "401", "401"],
    "disabled user": ["401", "401", "401", "401", "401", "401", "401", "401"],
    "stranger": ["no", "no", "yes", "no", "no", "no", "no", "no"],
    "viewer": ["no", "no", "yes", "no", "no", "no", "no", "no"],
    "member": ["yes", "no", "yes", "no", "no", "no", "yes", "no"],
    "maker": ["yes", "no", "yes", "no", "no", "no", "yes", "no"],
    "service account": ["yes", "no", "no", "no", "no", "no", "yes", "no"],
    "entity admin": ["yes", "yes", "yes", "no", "no", "no", "yes", "no"],
    "tracker admin": ["yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes"],
    "pod": ["no", "no", "no", "no", "no", "no", "yes", "no"],
    "other pod": ["no", "no", "no", "no", "no", "no", "no", "no"],
    "controller": ["no", "no", "no", "no", "no", "no", "no", "yes"],
}


@dataclass
class World:
    """A tracker with everything that is acted on."""

    tracker: TrackerProcess
    cluster: Cluster
    service_key: str
    source: str
    sidecar: Sidecar
    clients: dict[str, httpx.Client] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)  # project -> id of the run `kept` there, as GraphQL names it

    @property
    def data(self) -> Path:
        """The tracker's data folder."""
        return self.tracker.log.parent / "data"

    def client(self, who: str) -> httpx.Client:
        """Somebody's client, with what they show."""
        if who not in self.clients:
            self.clients[who] = httpx.Client(base_url=self.tracker.base, trust_env=False, timeout=30.0)
            secret = self.secret(who)
            if secret is not None:
                self.clients[who].auth = httpx.BasicAuth("api", secret)
        return self.clients[who]

    def secret(self, who: str) -> str | None:
        """A key or a token; sent as W&B's clients do it."""
        tokens: dict[str, Callable[[], str]] = {
            "pod": lambda: self.cluster.token(self.source),
            "other pod": lambda: self.cluster.token("elsewhere", "other"),
            "controller": lambda: self.cluster.token("operator-pod", "outrider", sub=CONTROLLER),
        }
        keys = {
            "wrong key": "f" * 40,
            "disabled user": key_of("disabled"),
            "entity admin": key_of("boss"),
            "tracker admin": KEY,
            "service account": self.service_key,
        }
        if who == "nobody":
            return None
        return tokens[who]() if who in tokens else keys.get(who, key_of(who))

    def close(self) -> None:
        """Closes all clients."""
        for client in self.clients.values():
            client.close()


def said(arguments: list[str]) -> str:
    """What a command prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(arguments) == 0
    return printed.getvalue()


def graphql(client: httpx.Client, text: str, **variables: Any) -> tuple[str, Any]:
    """An outcome and the data."""
    response = client.post("/graphql", json={"query": text, "variables": variables, "operationName": ""})
    assert response.status_code in {200, 401, 403, 404, 422}, response.text
    if response.status_code == 401:
        return UNKNOWN, None
    body = response.json()
    return (NO if body.get("errors") else YES), body.get("data")


def plain(response: httpx.Response, *refused: int) -> str:
    """The outcome of a door that answers by status."""
    if response.status_code == 401:
        return UNKNOWN
    if response.status_code in (refused or (403, 404)):
        return NO
    assert response.status_code in {200, 204}, f"{response.request.url}: {response.status_code} {response.text}"
    return YES


UPSERT: Final = """
mutation UpsertBucket($entity: String, $project: String, $name: String, $id: String, $notes: String) {
  upsertBucket(input: {entityName: $entity, modelName: $project, name: $name, id: $id, notes: $notes}) {
    bucket { id name project { id name entity { id name } } } inserted
  }
}"""
READ: Final = """
query Run($project: String!, $entity: String!, $name: String!) {
  project(name: $project, entityName: $entity) { id run(name: $name) { id name notes } }
}"""
LIST: Final = """
query Runs($project: String!, $entity: String!) {
  project(name: $project, entityName: $entity) { runs(first: 50) { edges { node { name } } } }
}"""
PROJECTS_OF: Final = """
query Projects($entity: String) { models(entityName: $entity, first: 50) { edges { node { name } } } }"""
FILES: Final = """
query Files($project: String!, $entity: String!, $name: String!) {
  project(name: $project, entityName: $entity) {
    run(name: $name) { files(names: ["a.txt"]) { edges { node { directUrl } } } }
  }
}"""
UPLOAD: Final = """
mutation CreateRunFiles($entity: String!, $project: String!, $run: String!, $files: [String!]!) {
  createRunFiles(input: {entityName: $entity, projectName: $project, runName: $run, files: $files}) {
    runID uploadHeaders files { name uploadUrl }
  }
}"""
DELETE: Final = """
mutation DeleteRun($id: ID!) { deleteRun(input: {id: $id}) { clientMutationId } }"""
LISTED_FILES: Final = """
query RunFiles($project: String!, $entity: String!, $name: String!) {
  project(name: $project, entityName: $entity) {
    internalId run(name: $name) { files(first: 50) { edges { node { id name } } } }
  }
}"""
DELETE_FILES: Final = """
mutation deleteFiles($files: [ID!]!, $projectId: Int) {
  deleteFiles(input: {files: $files, projectId: $projectId}) { success }
}"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A tracker, its cluster, people, three projects with a run each, a pod that is joined to a Run."""
    folder = tmp_path_factory.mktemp("access")
    cluster = Cluster()
    (folder / "jwks.json").write_text(cluster.jwks())
    arguments = ("--issuer", ISSUER, "--jwks", str(folder / "jwks.json"), "--controller-subject", CONTROLLER)
    with TrackerProcess(folder / "data", *arguments) as tracker:
        source = f"pod-{uuid4()}"
        made = World(tracker, cluster, "", source, Sidecar(httpx.Client(), source))
        made.sidecar.client.close()
        _people(made, folder / "data")
        _runs(made, folder / "data")
        yield made
        made.close()


def _people(world: World, data: Path) -> None:
    """By the commands, beside the running tracker."""
    roles = {"maker": "ml:member", "member": "ml:member", "viewer": "ml:viewer", "boss": "ml:admin"}
    roles |= {"stranger": "other:admin", "disabled": "ml:admin", "guest": "other:member"}
    for name in PEOPLE:
        given = ["--key", key_of(name), "--entity", roles[name]]
        assert main(["user", "add", name, "--data", str(data), *given]) == 0
    assert main(["user", "disable", "disabled", "--data", str(data)]) == 0
    made = said(["team", "service-account", "add", "ml", "ci", "--data", str(data)])
    world.service_key = made.partition("API key: ")[2].split()[0]


def _runs(world: World, data: Path) -> None:
    """A run `kept` with a file in each project, and Runs of the controller's there."""
    maker = world.client("maker")
    for project in PROJECTS:
        outcome, got = graphql(maker, UPSERT, entity="ml", project=project, name="kept")
        assert outcome == YES
        world.runs[project] = got["upsertBucket"]["bucket"]["id"]
        assert upload(world, maker, project, "kept", "a.txt") == YES
        assert main(["project", "set", f"ml/{project}", "--visibility", project, "--data", str(data)]) == 0
        record = run_record(project=project, name=f"run-{project}", group="")
        world.tracker.client.put(f"/api/v1/control/runs/run-{project}", json=record).raise_for_status()
        _job(world, project)
    with httpx.Client(base_url=world.tracker.base, trust_env=False, timeout=30.0) as client:
        client.headers["Authorization"] = f"Bearer {world.cluster.token(world.source)}"
        sidecar = Sidecar(client, world.source)
        assert sidecar.declare().status_code == 200
        world.sidecar = sidecar
    joined = join_record("run-team")
    world.tracker.client.put(f"/api/v1/control/sources/{world.source}", json=joined).raise_for_status()
    other = world.client("other pod")
    other_sidecar = Sidecar(other, "elsewhere", "other")
    assert other_sidecar.declare().status_code == 200
    record = run_record(project="team", name="theirs", namespace="other")
    world.tracker.client.put("/api/v1/control/runs/theirs", json=record).raise_for_status()
    joined = join_record("theirs", namespace="other")
    world.tracker.client.put("/api/v1/control/sources/elsewhere", json=joined).raise_for_status()


def _job(world: World, project: str) -> None:
    """A Run `job-…` whose pod made one SDK run, which is shown as it."""
    record = run_record(project=project, name=f"job-{project}", group="")
    world.tracker.client.put(f"/api/v1/control/runs/job-{project}", json=record).raise_for_status()
    joined = join_record(f"job-{project}")
    world.tracker.client.put(f"/api/v1/control/sources/job-pod-{project}", json=joined).raise_for_status()
    with httpx.Client(base_url=world.tracker.base, trust_env=False, timeout=30.0) as pod:
        pod.auth = httpx.BasicAuth("api", world.cluster.token(f"job-pod-{project}"))
        assert graphql(pod, UPSERT, entity="ml", project=project, name=f"of-{project}")[0] == YES


def upload(world: World, client: httpx.Client, project: str, run: str, name: str) -> str:
    """Asks for an address and puts bytes there, without credentials, as the client does it."""
    outcome, got = graphql(client, UPLOAD, entity="ml", project=project, run=run, files=[name])
    if outcome != YES:
        return outcome
    made = got["createRunFiles"]
    headers = dict(line.split(":", 1) for line in made["uploadHeaders"])
    with httpx.Client(trust_env=False, timeout=30.0) as anybody:
        response = anybody.put(made["files"][0]["uploadUrl"], content=b"bytes", headers=headers)
    return plain(response)


def shown(answer: tuple[str, Any], *path: str) -> str:
    """Whether GraphQL showed what is at the path: null means that it is not there, or hidden."""
    outcome, value = answer
    if outcome != YES:
        return outcome
    for step in path:
        value = value[step]
        if value is None:
            return NO
    return YES if value else NO


def reads_at_wandb(world: World, client: httpx.Client, project: str) -> dict[str, str]:
    """Every way to read through W&B's door."""
    at = {"project": project, "entity": "ml"}
    found = graphql(client, FILES, name="kept", **at)
    file = shown(found, "project", "run", "files", "edges")
    if file == YES:
        address = found[1]["project"]["run"]["files"]["edges"][0]["node"]["directUrl"]
        with httpx.Client(trust_env=False, timeout=30.0) as anybody:
            file = plain(anybody.get(address))
    listed = graphql(client, PROJECTS_OF, entity="ml")
    names = [edge["node"]["name"] for edge in ((listed[1] or {}).get("models") or {"edges": []})["edges"]]
    return {
        "graphql run": shown(graphql(client, READ, name="kept", **at), "project", "run", "id"),
        "graphql Run": shown(graphql(client, READ, name=f"job-{project}", **at), "project", "run", "id"),
        "graphql list": shown(graphql(client, LIST, **at), "project", "runs", "edges"),
        "graphql file": file,
        "graphql projects": listed[0] if listed[0] == UNKNOWN else YES if project in names else NO,
    }


def reads_at_api(client: httpx.Client, project: str) -> dict[str, str]:
    """Every way to read through the read API."""
    answers = {
        "api Run": client.get(f"/api/v1/runs/ml/{project}/run-{project}"),
        "api ranks": client.get(f"/api/v1/runs/ml/{project}/run-{project}/ranks"),
        "api streams": client.get(f"/api/v1/runs/ml/{project}/run-{project}/streams"),
        "api SDK runs of a Run": client.get(f"/api/v1/runs/ml/{project}/run-{project}/sdk"),
        "api SDK run": client.get(f"/api/v1/runs/ml/{project}/kept"),
        "api series": client.get(f"/api/v1/runs/ml/{project}/kept/series"),
        "api series data": client.get(f"/api/v1/runs/ml/{project}/kept/series/data", params={"key": "loss"}),
        "api history": client.get(f"/api/v1/runs/ml/{project}/kept/history"),
        "api console": client.get(f"/api/v1/runs/ml/{project}/kept/console", params={"last": 5}),
        "api media": client.get(f"/api/v1/runs/ml/{project}/kept/media"),
        "api alerts": client.get(f"/api/v1/runs/ml/{project}/kept/alerts"),
        "api files": client.get(f"/api/v1/runs/ml/{project}/kept/files"),
        "api file": client.get(f"/api/v1/runs/ml/{project}/kept/files/content", params={"name": "a.txt"}),
        "api project": client.get(f"/api/v1/projects/ml/{project}"),
        "api project series": client.get(f"/api/v1/projects/ml/{project}/series", params={"run": "kept"}),
    }
    found = {name: plain(answer) for name, answer in answers.items()}
    owned = client.get("/api/v1/projects/ml")
    found["api projects"] = plain(owned)
    if found["api projects"] == YES:
        found["api projects"] = YES if project in {each["name"] for each in owned.json()["items"]} else NO
    listed = client.get("/api/v1/runs", params={"entity": "ml", "project": project})
    found["api list"] = plain(listed)
    if found["api list"] == YES:
        names = {run["url"].rpartition("/")[2] for run in listed.json()["items"]}
        assert not names or {f"run-{project}", "kept"} <= names
        found["api list"] = YES if names else NO
    return found


def writes(world: World, client: httpx.Client, project: str) -> dict[str, str]:
    """Every way to write an SDK run of somebody else's, and to make one."""
    line = json.dumps({"loss": 1.0, "_step": 0, "_timestamp": 1.0, "_runtime": 1.0})
    body = {"files": {"wandb-history.jsonl": {"offset": 0, "content": [line]}}}
    return {
        "graphql edit": graphql(client, UPSERT, id=world.runs[project], notes="n")[0],
        "filestream": plain(client.post(f"/files/ml/{project}/kept/file_stream", json=body)),
        "upload": upload(world, client, project, "kept", "b.txt"),
    }


def makes(client: httpx.Client, project: str) -> str:
    """A run of one's own."""
    return graphql(client, UPSERT, entity="ml", project=project, name=uuid4().hex[:8])[0]


def edits_at_api(client: httpx.Client, project: str) -> dict[str, str]:
    """The UI's form, and its Stop."""
    return {
        "api edit": plain(client.patch(f"/api/v1/runs/ml/{project}/kept", json={"notes": "n"})),
        "api stop": plain(client.post(f"/api/v1/runs/ml/{project}/kept/stop", json={})),
    }


def deletes(world: World, client: httpx.Client, project: str) -> dict[str, str]:
    """A run and a file, both made for this."""
    maker = world.client("maker")
    name = uuid4().hex[:8]
    _, got = graphql(maker, UPSERT, entity="ml", project=project, name=name)
    assert upload(world, maker, project, name, "c.txt") == YES
    _, listed = graphql(maker, LISTED_FILES, project=project, entity="ml", name=name)
    found = listed["project"]
    files = [edge["node"]["id"] for edge in found["run"]["files"]["edges"]]
    number = int(found["internalId"])
    return {
        "graphql files": graphql(client, DELETE_FILES, files=files, projectId=number)[0],
        "graphql run": graphql(client, DELETE, id=got["upsertBucket"]["bucket"]["id"])[0],
    }


def every(want: str, found: dict[str, str] | str) -> None:
    """All doors agree on one outcome."""
    assert found == (want if isinstance(found, str) else dict.fromkeys(found, want))


@pytest.mark.parametrize("project", PROJECTS)
@pytest.mark.parametrize("who", PEOPLES_PROJECTS)
def test_people_and_projects(world: World, who: str, project: str) -> None:
    """One role in one project, at every door."""
    reading, writing, deleting = (column[PROJECTS.index(project)] for column in PEOPLES_PROJECTS[who])
    client = world.client(who)
    every(reading, reads_at_wandb(world, client, project))
    every(reading, reads_at_api(client, project))
    every(writing, writes(world, client, project))
    every(writing, makes(client, project))
    every(writing, edits_at_api(client, project))
    every(deleting, deletes(world, client, project))


@pytest.mark.parametrize("project", PROJECTS)
@pytest.mark.parametrize("who", TOKENS_PROJECTS)
def test_tokens_and_projects(world: World, who: str, project: str) -> None:
    """Pods and the controller: somebody else's runs at W&B's door; nothing at the read API."""
    reading, writing, deleting = (column[PROJECTS.index(project)] for column in TOKENS_PROJECTS[who])
    client = world.client(who)
    seen = reads_at_wandb(world, client, project)
    seen.pop("graphql projects")  # pods do not list projects
    every(reading, seen)
    every(UNKNOWN, reads_at_api(client, project))
    every(UNKNOWN, edits_at_api(client, project))
    every(writing, writes(world, client, project))
    every(deleting, deletes(world, client, project))


def test_a_pod_logs_its_own_run(world: World) -> None:
    """In its own project or another one that is open to its entity; the run stays the pod's and its Run's."""
    pod = world.client("pod")
    made = {project: makes(pod, project) for project in PROJECTS}
    assert made == {"private": NO, "team": YES, "public": YES}
    assert makes(world.client("other pod"), "team") == NO
    outcome, got = graphql(pod, UPSERT, entity="ml", project="team", name="pods")
    assert (outcome, got["upsertBucket"]["inserted"]) == (YES, True)
    world.runs["pods"] = got["upsertBucket"]["bucket"]["id"]
    assert graphql(pod, UPSERT, id=world.runs["pods"], notes="n")[0] == YES
    assert plain(pod.post("/files/ml/team/pods/file_stream", json={"complete": False})) == YES
    assert upload(world, pod, "team", "pods", "a.txt") == YES
    # Its own, but what is written stays: a pod deletes nothing.
    assert graphql(pod, DELETE, id=world.runs["pods"])[0] == NO
    # It is a run of the team's like any other.
    assert (
        shown(graphql(world.client("viewer"), READ, project="team", entity="ml", name="pods"), "project", "run") == YES
    )
    assert graphql(world.client("member"), UPSERT, id=world.runs["pods"], notes="m")[0] == YES
    assert graphql(world.client("other pod"), UPSERT, id=world.runs["pods"], notes="x")[0] == NO


def test_a_pod_that_is_not_joined_yet_is_told_to_come_again(world: World) -> None:
    """503 with Retry-After: the client tries again, and the controller is there within seconds."""
    with httpx.Client(base_url=world.tracker.base, trust_env=False, timeout=30.0) as young:
        young.auth = httpx.BasicAuth("api", world.cluster.token(f"young-{uuid4()}"))
        body = {"query": UPSERT, "variables": {"entity": "ml", "project": "team", "name": "young"}}
        answer = young.post("/graphql", json=body)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "not joined to a Run yet" in answer.json()["errors"][0]["message"]


def test_a_deleted_pods_token_opens_nothing(world: World) -> None:
    """It would verify for an hour more."""
    uid = f"gone-{uuid4()}"
    joined = join_record("run-team", deleted=True)
    world.tracker.client.put(f"/api/v1/control/sources/{uid}", json=joined).raise_for_status()
    with httpx.Client(base_url=world.tracker.base, trust_env=False, timeout=30.0) as client:
        client.auth = httpx.BasicAuth("api", world.cluster.token(uid))
        assert graphql(client, "{ viewer { id } }")[0] == UNKNOWN


@pytest.mark.parametrize("who", ENTITY)
def test_entities(world: World, who: str) -> None:
    """What concerns the entity and the tracker."""
    client = world.client(who)
    name = uuid4().hex[:8]
    key = said(["key", "add", "guest", "--data", str(world.data)]).split()[2]
    appending, frames = world.sidecar.headers(), wire.body(wire.stream("a"))
    spare, team = "x" + name, f"team-{name}"
    model = 'mutation($n: String) { upsertModel(input: {name: $n, entityName: "ml"}) { inserted } }'
    invite = 'mutation($u: String) { createInvite(input: {entityName: "ml", username: $u}) { invite { id } } }'
    end = "mutation($id: String!) { deleteApiKey(input: {id: $id}) { success } }"
    make_team = "mutation($n: String!) { createTeam(input: {teamName: $n}) { entity { id } } }"
    make_user = "mutation($e: String!) { createUser(input: {email: $e}) { user { id } } }"
    _, invited = graphql(world.client("tracker admin"), make_user, e=f"{spare}@x.org")
    assert invited["createUser"]["user"]["id"]
    outcomes = [
        graphql(client, model, n=f"p-{name}")[0],
        graphql(client, invite, u=spare)[0],
        graphql(client, "mutation { generateApiKey(input: {}) { apiKey { id name } } }")[0],
        graphql(client, end, id=key)[0],
        graphql(client, make_team, n=team)[0],
        graphql(client, make_user, e=f"made-{name}@x.org")[0],
        plain(client.post(f"/ingest/v1/sources/{world.source}/append", content=frames, headers=appending)),
        plain(client.put("/api/v1/control/runs/run-team", json=run_record(project="team", name="run-team"))),
    ]
    assert outcomes == ENTITY[who]


def test_addresses_of_files_are_for_what_they_were_made(world: World) -> None:
    """No key opens them, only the signature: for one method, and not with a letter changed."""
    member = world.client("member")
    _, got = graphql(member, UPLOAD, entity="ml", project="team", run="kept", files=["one.txt"])
    up = got["createRunFiles"]["files"][0]["uploadUrl"]
    _, found = graphql(member, FILES, project="team", entity="ml", name="kept")
    down = found["project"]["run"]["files"]["edges"][0]["node"]["directUrl"]
    with httpx.Client(trust_env=False, timeout=30.0) as anybody:
        for client in (anybody, world.client("tracker admin")):
            for address in (up, down):
                cut, middle = address[:-1], len(address) - 5
                other = "A" if address[middle] != "A" else "Q"
                changed = address[:middle] + other + address[middle + 1 :]
                for wrong in (cut, changed):
                    assert client.put(wrong, content=b"x").status_code in {401, 403, 404, 405}, wrong
                    assert client.get(wrong).status_code in {401, 403, 404, 405}, wrong
            assert client.get(up).status_code in {401, 403, 404, 405}
            assert client.put(down, content=b"x").status_code in {401, 403, 404, 405}
        assert anybody.put(up, content=b"x").status_code == 200
        assert anybody.get(down).content == b"bytes"


def test_a_wrong_key_is_401_and_nobody_is_null(world: World) -> None:
    """As the client's log-in needs it; an administrator's session is not borrowed by W&B's door."""
    for who in ("wrong key", "disabled user"):
        response = world.client(who).post("/graphql", json={"query": "query Viewer { viewer { id } }"})
        assert response.status_code == 401
        assert response.json()["errors"][0]["message"]
    assert graphql(world.client("nobody"), "query Viewer { viewer { id } }") == (YES, {"viewer": None})
    assert graphql(world.client("controller"), "query Viewer { viewer { id } }") == (YES, {"viewer": None})
    _, data = graphql(world.client("pod"), "query Viewer { viewer { entity flags teams { edges { node { name } } } } }")
    assert data == {"viewer": {"entity": "ml", "flags": "{}", "teams": {"edges": [{"node": {"name": "ml"}}]}}}
    with httpx.Client(base_url=world.tracker.base, trust_env=False, timeout=30.0) as browser:
        assert browser.post("/api/v1/session", json={"key": KEY}).status_code == 200
        assert graphql(browser, "query Viewer { viewer { id } }") == (YES, {"viewer": None})


def test_a_service_account_writes_in_a_persons_name(world: World) -> None:
    """For members of the entity only; a person's key cannot."""
    user = 'query($n: String!) { project(name: "team", entityName: "ml") { run(name: $n) { user { username } } } }'
    for who, header, value, want in (
        ("service account", "X-WANDB-USERNAME", "member", "member"),
        ("service account", "X-WANDB-USERNAME", "stranger", "ci"),
        ("service account", "X-WANDB-USERNAME", "", "ci"),
        ("maker", "X-WANDB-USERNAME", "member", "maker"),
    ):
        client, name = world.client(who), uuid4().hex[:8]
        body = {"query": UPSERT, "variables": {"entity": "ml", "project": "team", "name": name}}
        assert client.post("/graphql", json=body, headers={header: value}).status_code == 200
        _, got = graphql(client, user, n=name)
        assert got["project"]["run"]["user"]["username"] == want, (who, value)


def test_the_rule_changes_from_one_request_to_the_next(world: World) -> None:
    """By the command line beside the running tracker: visibility, roles, keys, accounts."""
    data = str(world.data)
    stranger = world.client("stranger")
    at = {"project": "team", "entity": "ml", "name": "kept"}
    assert shown(graphql(stranger, READ, **at), "project") == NO
    assert main(["team", "add-member", "ml", "stranger", "--role", "viewer", "--data", data]) == 0
    assert shown(graphql(stranger, READ, **at), "project") == YES
    assert main(["team", "remove-member", "ml", "stranger", "--data", data]) == 0
    assert shown(graphql(stranger, READ, **at), "project") == NO
    assert main(["project", "set", "ml/team", "--visibility", "public", "--data", data]) == 0
    assert shown(graphql(stranger, READ, **at), "project") == YES
    assert main(["project", "set", "ml/team", "--visibility", "team", "--data", data]) == 0
    assert main(["user", "disable", "guest", "--data", data]) == 0
    assert graphql(world.client("guest"), "{ viewer { id } }")[0] == UNKNOWN
    assert main(["user", "enable", "guest", "--data", data]) == 0
    assert graphql(world.client("guest"), "{ viewer { id } }")[0] == YES
