"""W&B's client as it is on the wire: the documents of its releases, its headers, its posts."""

from __future__ import annotations

import json
import re
from typing import Any, Self
from uuid import uuid4

import httpx

from tests.integration.tracker.process import KEY, TrackerProcess

# As wandb-core sends it (core/api/graphql/mutation_run.graphql; genqlient puts each input field in).
UPSERT = """
mutation UpsertBucket ($id: String, $name: String, $project: String, $entity: String, $groupName: String,
  $description: String, $displayName: String, $notes: String, $commit: String, $config: JSONString, $host: String,
  $debug: Boolean, $program: String, $repo: String, $jobType: String, $state: String, $sweep: String,
  $tags: [String!], $summaryMetrics: JSONString) {
  upsertBucket(input: {id: $id, name: $name, groupName: $groupName, modelName: $project, entityName: $entity,
    description: $description, displayName: $displayName, notes: $notes, config: $config, commit: $commit,
    host: $host, debug: $debug, jobProgram: $program, jobRepo: $repo, jobType: $jobType, state: $state,
    sweep: $sweep, tags: $tags, summaryMetrics: $summaryMetrics}) {
    bucket {
      id name displayName description config sweepName
      project { id name entity { id name } }
      historyLineCount
    }
    inserted
  }
}"""
# The variables that a Go client always sends, set or not.
UNSET: dict[str, Any] = dict.fromkeys(re.findall(r"\$(\w+):", UPSERT))
RESUME = """
query RunResumeStatus ($project: String, $entity: String, $name: String!) {
  model(name: $project, entityName: $entity) {
    id name entity { id name }
    bucket(name: $name, missingOk: true) {
      id name summaryMetrics displayName logLineCount historyLineCount eventsLineCount historyTail eventsTail config
      tags notes wandbConfig(keys: ["t"])
    }
  }
}"""
REWIND = """
mutation RewindRun ($runName: String!, $entity: String, $project: String, $metricName: String!, $metricValue: Float!) {
  rewindRun(input: {runName: $runName, entityName: $entity, projectName: $project, metricName: $metricName,
    metricValue: $metricValue}) {
    rewoundRun {
      id name displayName description config sweepName project { id name entity { id name } } historyLineCount
    }
  }
}"""
# wandb 0.19: internal_api.py polls it every 15 s.
STOPPED = """
query RunStoppedStatus ($entityName: String, $projectName: String, $runId: String!) {
  project(name: $projectName, entityName: $entityName) { run(name: $runId) { stopped } }
}"""
STOP = "mutation StopRun ($id: ID!) { stopRun(input: {id: $id}) { success } }"
CREATE_FILES = """
mutation CreateRunFiles ($entity: String!, $project: String!, $run: String!, $files: [String!]!) {
  createRunFiles(input: {entityName: $entity, projectName: $project, runName: $run, files: $files}) {
    runID uploadHeaders files { name uploadUrl }
  }
}"""
# apis/public/files.py
FILES = """
query RunFiles ($project: String!, $entity: String!, $name: String!, $fileCursor: String, $fileLimit: Int = 50,
  $fileNames: [String] = [], $upload: Boolean = false, $pattern: String) {
  project(name: $project, entityName: $entity) {
    internalId
    run(name: $name) { fileCount ...RunFilesFragment }
  }
}
fragment RunFilesFragment on Run {
  files(names: $fileNames, after: $fileCursor, first: $fileLimit, pattern: $pattern) {
    edges { node { id name url(upload: $upload) directUrl sizeBytes mimetype updatedAt md5 } cursor }
    pageInfo { endCursor hasNextPage }
  }
}"""
DELETE_FILES = """
mutation deleteFiles($files: [ID!]!, $projectId: Int) {
  deleteFiles(input: { files: $files projectId: $projectId }) { success }
}"""
ALERT = """
mutation NotifyScriptableRunAlert ($entityName: String!, $projectName: String!, $runName: String!, $title: String!,
  $text: String!, $severity: AlertSeverity = INFO, $waitDuration: Duration) {
  notifyScriptableRunAlert(input: {entityName: $entityName, projectName: $projectName, runName: $runName,
    title: $title, text: $text, severity: $severity, waitDuration: $waitDuration}) { success }
}"""
CHART = """
mutation CreateCustomChart ($entity: String!, $chartName: String!, $displayName: String!, $chartType: String!,
  $access: String!, $spec: JSONString!) {
  createCustomChart(input: {entity: $entity, name: $chartName, displayName: $displayName, type: $chartType,
    access: $access, spec: $spec}) { chart { id } }
}"""
STATE = """
query RunState($project: String!, $entity: String!, $name: String!) {
  project(name: $project, entityName: $entity) { run(name: $name) { state historyLineCount summaryMetrics } }
}"""
HISTORY = """
query HistoryPage ($entity: String!, $project: String!, $run: String!, $minStep: Int64!, $maxStep: Int64!,
  $pageSize: Int!) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { history(minStep: $minStep, maxStep: $maxStep, samples: $pageSize) }
  }
}"""
ENTITY, PROJECT = "admin", "wire"


class Wire:
    """One client process: its key, its own id in shared mode."""

    def __init__(self, tracker: TrackerProcess, key: str = KEY, client: str = "") -> None:
        shared = {"X-WANDB-USE-ASYNC-FILESTREAM": "true", "X-WANDB-CLIENT-ID": client} if client else {}
        self.client = client
        self.http = httpx.Client(
            base_url=tracker.base, auth=("api", key) if key else None, headers=shared, timeout=30.0, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def send(self, query: str, **variables: Any) -> httpx.Response:
        """POST /graphql, as Python's side of the client does: an empty operation's name."""
        body = {"query": query, "variables": variables or None, "operationName": ""}
        return self.http.post("/graphql", json=body)

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """`data` of an answer without errors."""
        answer = self.send(query, **variables)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert "errors" not in body, body["errors"]
        found: dict[str, Any] = body["data"]
        return found

    def upsert(self, name: str, **given: Any) -> dict[str, Any]:
        """The client's word of a run; `bucket` and `inserted`."""
        found: dict[str, Any] = self.ask(UPSERT, **{**UNSET, "name": name, "project": PROJECT, **given})["upsertBucket"]
        return found

    def begin(self, name: str | None = None, **given: Any) -> str:
        """A new run; its name."""
        name = name or f"r{uuid4().hex[:8]}"
        config = given.pop("config", {"_wandb": {"value": {"t": {"1": [1]}}}})
        self.upsert(name, config=json.dumps(config), host="node", program="train.py", **given)
        return name

    def post(self, run: str, body: Any, **headers: str) -> httpx.Response:
        """POST to the filestream."""
        if self.client:
            headers["X-WANDB-ASYNC-CLIENT-ID"] = self.client
        path = f"/files/{ENTITY}/{PROJECT}/{run}/file_stream"
        if isinstance(body, bytes):
            return self.http.post(path, content=body, headers=headers)
        return self.http.post(path, json=body, headers=headers)

    def rows(self, run: str, offset: int, *rows: str) -> None:
        """Rows of history, taken."""
        answer = self.post(run, {"files": {"wandb-history.jsonl": {"offset": offset, "content": rows}}})
        assert (answer.status_code, answer.json()) == (200, {}), answer.text

    def history(self, run: str) -> list[dict[str, Any]]:
        """All rows, by step."""
        found = self.ask(HISTORY, entity=ENTITY, project=PROJECT, run=run, minStep=0, maxStep=1 << 40, pageSize=1000)
        return [json.loads(row) for row in found["project"]["run"]["history"]]

    def state(self, run: str) -> str:
        """The run's state."""
        return str(self.ask(STATE, entity=ENTITY, project=PROJECT, name=run)["project"]["run"]["state"])

    def summary(self, run: str) -> dict[str, Any]:
        """The run's summary."""
        found = self.ask(STATE, entity=ENTITY, project=PROJECT, name=run)["project"]["run"]["summaryMetrics"]
        summary: dict[str, Any] = json.loads(found)
        return summary

    def upload_urls(self, run: str, *names: str) -> list[str | None]:
        """Where the files are to be PUT, in their order."""
        found = self.ask(CREATE_FILES, entity=ENTITY, project=PROJECT, run=run, files=names)["createRunFiles"]
        assert [file["name"] for file in found["files"]] == list(names)
        return [file["uploadUrl"] for file in found["files"]]

    def files(self, run: str, **variables: Any) -> list[dict[str, Any]]:
        """Nodes of `RunFiles`."""
        found = self.ask(FILES, entity=ENTITY, project=PROJECT, name=run, **variables)["project"]["run"]["files"]
        return [edge["node"] for edge in found["edges"]]
