"""A client's hands on the W&B door: documents and streamed lines, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.integration.tracker.process import KEY

UPSERT = """mutation UpsertBucket($input: UpsertBucketInput!) {
  upsertBucket(input: $input) { bucket { id name project { name entity { name } } } inserted } }"""


class Door:
    """Speaks for one API key, as the SDK does: Basic, user `api`."""

    def __init__(self, base: str, key: str = KEY, entity: str = "admin", project: str = "reads") -> None:
        self.client = httpx.Client(base_url=base, auth=("api", key), timeout=30.0, trust_env=False)
        self.entity, self.project = entity, project

    def close(self) -> None:
        """Lets its connections go."""
        self.client.close()

    def answer(self, text: str, **variables: Any) -> httpx.Response:
        """The whole answer. It is never a 500."""
        answer = self.client.post("/graphql", json={"query": text, "variables": variables, "operationName": ""})
        assert answer.status_code < 500, answer.text
        return answer

    def ask(self, text: str, **variables: Any) -> Any:
        """The data of an answer without errors."""
        answer = self.answer(text, **variables)
        body = answer.json()
        assert answer.status_code == 200, body
        assert "errors" not in body, body
        return body["data"]

    def errors(self, text: str, **variables: Any) -> str:
        """The sentences of an answer that has errors."""
        return " ".join(error["message"] for error in self.answer(text, **variables).json()["errors"])

    def run(self, name: str, fields: str, **variables: Any) -> Any:
        """Fields of a run; None if there is none. `declared`: variables' types, such as `$a: Int`."""
        declared = variables.pop("declared", "")
        text = (
            f"query Run($project: String!, $entity: String!, $name: String!{', ' if declared else ''}{declared}) {{ "
            f"project(name: $project, entityName: $entity) {{ run(name: $name) {{ {fields} }} }} }}"
        )
        data = self.ask(text, project=self.project, entity=self.entity, name=name, **variables)
        return data["project"] and data["project"]["run"]

    def make(self, name: str, **changes: Any) -> str:
        """Makes or changes a run; its storage id."""
        for key in ("config", "summaryMetrics"):
            if key in changes:
                changes[key] = json.dumps(changes[key])
        given = {"entityName": self.entity, "modelName": self.project, "name": name, **changes}
        return str(self.ask(UPSERT, input=given)["upsertBucket"]["bucket"]["id"])

    def stream(self, run: str, **said: Any) -> httpx.Response:
        """One request of the filestream."""
        return self.client.post(f"/files/{self.entity}/{self.project}/{run}/file_stream", json=said)

    def rows(self, run: str, rows: list[dict[str, Any]], file: str = "wandb-history.jsonl", offset: int = 0) -> None:
        """Appends rows; NaN stands bare in them."""
        lines = {"offset": offset, "content": [json.dumps(row) for row in rows]}
        assert self.stream(run, files={file: lines}).status_code == 200
