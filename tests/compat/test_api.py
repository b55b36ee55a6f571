"""`wandb.Api()`: what it reads and edits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import CURRENT, OLDEST, Areas, Sdk

ALL = [f"r{number:02}" for number in range(12)]


def _make(sdk: Sdk) -> dict[str, Any]:
    project = f"api-{sdk.release}"
    sdk.run("api_write", project)
    return {"in": project, **sdk.run("api_read", project)}


def _edit(sdk: Sdk) -> dict[str, Any]:
    edited: dict[str, Any] = sdk.run("api_edit", f"api-{sdk.release}")
    return edited


@pytest.fixture
def read(area: Area) -> dict[str, Any]:
    """What the API answered, before anything was edited."""
    found: dict[str, Any] = area("api", _make)
    return found


@pytest.fixture
def edited(area: Area, read: dict[str, Any]) -> dict[str, Any]:
    """What was read after each edit."""
    found: dict[str, Any] = area("edit", _edit)
    return found


def newer(release: str, minor: int) -> bool:
    """Whether a release is at least 0.`minor`."""
    return int(release.split(".")[1]) >= minor


def test_default_entity(read: dict[str, Any]) -> None:
    assert read["default_entity"] == "admin"


def test_viewer(read: dict[str, Any]) -> None:
    assert (read["viewer"]["username"], read["viewer"]["entity"]) == ("admin", "admin")


def test_run(read: dict[str, Any]) -> None:
    run = read["run"]
    assert (run["id"], run["name"], run["state"]) == ("r00", "run-00", "finished")
    assert (run["entity"], run["project"]) == ("admin", read["in"])
    assert run["path"] == ["admin", read["in"], "r00"]
    assert run["url"].endswith(f"/admin/{read['in']}/runs/r00")
    assert run["config"] == {"lr": 1.0, "number": 0, "opt": {"name": "adam"}, "text": "t0"}
    assert (run["notes"], run["group"], run["job_type"]) == ("the first", "even", "train")
    assert sorted(run["tags"]) == ["all", "special"]
    assert run["lastHistoryStep"] == 299
    assert read["user"] == "admin"


def test_run_by_path(read: dict[str, Any]) -> None:
    assert read["paths"] == {"full": "r00", "from_path": "r00", "runs": "r00"}


def test_run_that_is_not_there(read: dict[str, Any]) -> None:
    assert read["missing_run"] in {"CommError", "ValueError", "WandbApiFailedError"}
    assert read["missing_project"] in {"ValueError", "CommError", "WandbApiFailedError"}


def test_run_to_html(read: dict[str, Any]) -> None:
    assert "/runs/r00?jupyter=true" in read["html"]


def test_runs_order(read: dict[str, Any]) -> None:
    """The SDK's default is oldest first."""
    assert read["default_order"] == ALL
    assert read["orders"]["+created_at"] == ALL
    assert read["orders"]["-created_at"] == ALL[::-1]


def test_runs_order_by_summary(read: dict[str, Any]) -> None:
    # r00 ends at 1/300, the others at 1/2 … 1/12
    assert read["orders"]["+summary_metrics.loss"] == ["r00", *ALL[:0:-1]]
    assert read["orders"]["-summary_metrics.acc"] == ALL[::-1]


def test_runs_order_by_config(read: dict[str, Any]) -> None:
    assert read["orders"]["+config.number.value"] == ALL
    assert read["orders"]["-config.lr.value"] == ALL


def test_runs_order_by_name(read: dict[str, Any]) -> None:
    assert read["orders"]["+display_name"] == ALL


def test_runs_pages(read: dict[str, Any]) -> None:
    assert read["count"] == 12
    assert read["paged"] == ALL
    assert read["indexed"] == "r03"


FILTERS: dict[str, list[int]] = {
    "state": [3, 7],
    "not state": [3, 7],
    "group": [0, 2, 4, 6, 8, 10],
    "job type": [9, 10, 11],
    "tag": [0, 3, 6, 9],
    "tags in": [0, 3, 6, 9],
    "tags nin": [1, 2, 4, 5, 7, 8, 10, 11],
    "config": [4],
    "config value": [4],
    "config nested": [6, 7, 8, 9, 10, 11],
    "config gt": [9, 10, 11],
    "config lte": [0, 1, 2],
    "config in": [1, 5],
    "summary": [6, 7, 8, 9, 10, 11],
    "summary lt": [5, 6, 7, 8],
    "name": [3],
    "display name": [5],
    "regex": [10, 11],
    "or": [1, 2],
    "and": [1, 3],
    "not": [0, 1],
    "exists": [0],
    "not exists": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    "username": list(range(12)),
    "created": list(range(12)),
    "created never": [],
    "nothing": [],
    "empty": list(range(12)),
}


@pytest.mark.parametrize("name", FILTERS)
def test_runs_filter(read: dict[str, Any], name: str) -> None:
    assert read["filters"][name] == [ALL[number] for number in FILTERS[name]]


def test_runs_bad_filter(read: dict[str, Any]) -> None:
    """It is told, and nothing is guessed."""
    assert read["bad_filter"] is not None


def test_runs_lazy(read: dict[str, Any], release: str) -> None:
    if not newer(release, 26):
        assert read["lazy"] == "absent: runs(lazy)"
        return
    config, acc = read["lazy"]
    assert (config["number"], acc) == (4, pytest.approx(4 / 12))


def test_runs_histories(read: dict[str, Any]) -> None:
    assert read["histories"] == ALL


def test_history(read: dict[str, Any]) -> None:
    history = read["history"]
    assert (history["full"], history["frame rows"]) == (300, 300)


def test_history_samples(read: dict[str, Any]) -> None:
    assert 40 <= read["history"]["samples"] <= 50


def test_history_keys(read: dict[str, Any]) -> None:
    history = read["history"]
    assert [(row["_step"], row["sparse"]) for row in history["keys"]] == [(10, 10), (20, 20), (30, 30)]
    assert history["key count"] == 29
    assert [row["loss"] for row in history["two keys"]] == [1 / 11, 1 / 21]
    assert history["frame"] == ["_step", "loss"]


def test_history_x_axis(read: dict[str, Any]) -> None:
    assert [(row["step_squared"], row["loss"]) for row in read["history"]["x_axis"]] == [(1, 0.5), (4, 1 / 3)]


def test_scan_history(read: dict[str, Any]) -> None:
    assert read["scan"]["all"] is True


def test_scan_history_page_size(read: dict[str, Any]) -> None:
    assert read["scan"]["page_size"] is True


def test_scan_history_range(read: dict[str, Any]) -> None:
    assert read["scan"]["range"] == list(range(10, 20))
    assert read["scan"]["value"] == 1 / 151


def test_scan_history_keys(read: dict[str, Any]) -> None:
    assert [row["sparse"] for row in read["scan"]["keys"]] == [10, 20, 30]
    assert read["scan"]["keys count"] == 29


def test_beta_scan_history(read: dict[str, Any], release: str) -> None:
    assert read["scan"].get("beta") == (300 if newer(release, 26) else None)


def test_history_key_statistics(read: dict[str, Any]) -> None:
    keys = read["history_keys"]
    assert keys["lastStep"] == 299
    assert {"loss", "sparse", "_step"} <= set(keys["keys"])


def test_projects(read: dict[str, Any]) -> None:
    assert read["in"] in read["projects"]


def test_project(read: dict[str, Any]) -> None:
    project = read["project"]
    assert (project["name"], project["entity"], project["path"]) == (read["in"], "admin", ["admin", read["in"]])
    assert project["url"].startswith("http")
    assert project["id"] is None
    assert read["project_missing"] is not None


def test_create_project(read: dict[str, Any]) -> None:
    assert read["created_project"] is True


def test_create_run(read: dict[str, Any]) -> None:
    assert read["created_run"]["id"] == "by-the-api"


def test_user(read: dict[str, Any]) -> None:
    assert read["user_lookup"] == {"known": "admin", "unknown": None}
    assert read["users"] == ["admin"]


def test_team(read: dict[str, Any]) -> None:
    assert read["team"]["members"] == [["admin", True]]
    assert read["team_again"] == [read["team"]["name"], ["admin"]]
    assert read["team"]["name"] in read["teams_of_viewer"]


def test_service_account(read: dict[str, Any]) -> None:
    assert read["service_account"][0]


def test_api_keys(read: dict[str, Any], release: str) -> None:
    """One is made, opens, is listed by its name, and ends. 0.19 wants to read whole keys: only hashes are kept."""
    if not newer(release, 20):
        assert read["generated_key"] == "AuthenticationError"
        return
    assert read["generated_key"] >= 40
    assert read["key_works"] == "admin"
    assert read["key_deleted"] is True
    assert read["key_refused"] is not None


def test_edit_config(edited: dict[str, Any]) -> None:
    config = edited["edited"]["config"]
    assert (config["lr"], config["new"], config["number"]) == (0.5, {"deep": [1]}, 1)


def test_edit_tags(edited: dict[str, Any]) -> None:
    assert edited["edited"]["tags"] == ["all", "edited"]
    assert edited["saved_tags"] == ["only"]


def test_edit_notes(edited: dict[str, Any]) -> None:
    assert edited["edited"]["notes"] == "edited notes"


def test_edit_name(edited: dict[str, Any]) -> None:
    assert edited["edited"]["name"] == "edited name"


def test_edit_keeps_state_and_history(edited: dict[str, Any]) -> None:
    assert (edited["edited"]["state"], edited["edited"]["history"]) == ("finished", 0)


def test_edit_summary(edited: dict[str, Any]) -> None:
    summary = edited["summary"]
    assert (summary["final"], summary["deep"], summary["acc"]) == (0.75, {"er": 1}, 0.99)
    assert summary["loss"] == pytest.approx(1 / 3)


def test_edit_group(edited: dict[str, Any]) -> None:
    assert edited["group"] == "moved"


def test_delete_run(edited: dict[str, Any]) -> None:
    assert edited["deleted"] is not None
    assert "r05" not in edited["left"]
    assert "r04" in edited["left"]


def test_wait_until_finished(edited: dict[str, Any]) -> None:
    assert edited["waited"] == "finished"


def test_another_release_reads_the_same(areas: Areas, area: Area, release: str, read: dict[str, Any]) -> None:
    """What one release wrote, another one reads."""
    other = areas.sdk(OLDEST if release == CURRENT else CURRENT)
    runs = area("other", lambda _: other.run("dump", read["in"]))
    assert set(ALL) - {"r05"} <= set(runs)
    assert [row["_step"] for row in runs["r00"]["rows"]] == list(range(300))
    assert runs["r00"]["config"] == read["run"]["config"]
