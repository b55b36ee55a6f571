"""tracker/openapi.json is current and describes every door of docs/protocol.md section 7."""

from __future__ import annotations

import json
import re
from pathlib import Path

from outrider_tracker.api import openapi

ROOT = Path(__file__).parents[4]
RUN = "/api/v1/runs/{entity}/{project}/{run}"


def promised() -> set[str]:
    """The paths in the first column of the table of section 7, `…` meaning a Run's address."""
    section = (ROOT / "docs/protocol.md").read_text().partition("\n## 7.")[2].partition("\n## 8.")[0]
    paths = set()
    for line in section.splitlines():
        match = re.match(r"\| `(?:[A-Z]+ )?(/api/v1|…)([^?` ]*)", line)
        if match:
            name = re.sub(r"(streams|files)/\{id\}", lambda m: f"{m[1]}/{{{m[1][:-1]}}}", match[2])
            paths.add((RUN if match[1] == "…" else match[1]) + name)
    return paths


def test_the_committed_document_is_the_one_the_routes_give() -> None:
    """If this fails: python -m outrider_tracker.api.openapi > tracker/openapi.json"""
    assert (ROOT / "tracker/openapi.json").read_text() == openapi.text()


def test_every_promised_door_is_described() -> None:
    described = json.loads((ROOT / "tracker/openapi.json").read_text())["paths"]
    wanted = promised()
    assert len(wanted) >= 12
    assert wanted - described.keys() == set()
    only_written = {f"{RUN}/stop"}
    assert all("get" in described[path] for path in wanted - only_written)
    assert "post" in described[f"{RUN}/stop"]
    assert "patch" in described[RUN]
    assert {"get", "post", "delete"} <= described["/api/v1/session"].keys()


def test_no_door_is_described_that_was_not_promised() -> None:
    described = json.loads((ROOT / "tracker/openapi.json").read_text())["paths"]
    assert described.keys() - promised() == set()


def test_errors_have_one_form_everywhere() -> None:
    document = json.loads((ROOT / "tracker/openapi.json").read_text())
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    form = answer["content"]["application/json"]["schema"]
                    assert form == {"$ref": "#/components/schemas/ErrorAnswer"}, (path, method, status)


def test_the_lock_file_of_the_web_ui_names_no_registry() -> None:
    """A checkout must install from whatever registry its owner uses."""
    lock = json.loads((ROOT / "tracker/web/package-lock.json").read_text())
    assert lock["packages"]
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
