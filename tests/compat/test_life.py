"""wandb.init, a run's attributes, and how it ends its life in the script."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import Sdk
from tests.integration.tracker.process import TrackerProcess


def _make(sdk: Sdk) -> dict[str, Any]:
    project = f"life-{sdk.release}"
    said = sdk.run("life", project)
    return {"project": project, "said": said, "runs": sdk.run("dump", project)}


@pytest.fixture
def life(area: Area) -> dict[str, Any]:
    """What the script said, and the project's runs as `wandb.Api` reads them."""
    made: dict[str, Any] = area("life", _make)
    return made


def _said(life: dict[str, Any], name: str) -> Any:
    return life["said"]["attributes"][name]


def _read(life: dict[str, Any]) -> Any:
    return life["runs"]["everything"]


def test_init_project(life: dict[str, Any]) -> None:
    assert _said(life, "project") == life["project"]
    assert _read(life)["path"][1] == life["project"]


def test_init_id(life: dict[str, Any]) -> None:
    assert _said(life, "id") == "everything"
    assert life["said"]["settings_id"] == "everything"
    assert _read(life)["id"] == "everything"


def test_init_name(life: dict[str, Any]) -> None:
    assert _said(life, "name") == "A name of its own"


def test_name_may_be_changed(life: dict[str, Any]) -> None:
    assert _read(life)["name"] == "Renamed"


def test_random_name_and_id(life: dict[str, Any]) -> None:
    """The server invents a name where none is given; the SDK takes it for its own."""
    said = life["said"]
    assert re.fullmatch(r"[a-z0-9]{8}", said["random_id"])
    assert said["random_name"]
    assert life["runs"][said["random_id"]]["name"] == said["random_name"]
    assert said["second_name"] != said["random_name"]


def test_init_notes(life: dict[str, Any]) -> None:
    assert _said(life, "notes") == "# Notes\n\nsecond line with $x^2$"


def test_notes_may_be_changed(life: dict[str, Any]) -> None:
    assert _read(life)["notes"] == "rewritten"


def test_init_tags(life: dict[str, Any]) -> None:
    assert _said(life, "tags") == ["baseline", "night"]


def test_tags_may_be_changed(life: dict[str, Any]) -> None:
    assert sorted(_read(life)["tags"]) == ["baseline", "later", "night"]


def test_init_group(life: dict[str, Any]) -> None:
    assert _said(life, "group") == "fold-group"
    assert _read(life)["group"] == "fold-group"


def test_init_job_type(life: dict[str, Any]) -> None:
    assert _said(life, "job_type") == "train"
    assert _read(life)["job_type"] == "train"


def test_init_config(life: dict[str, Any]) -> None:
    wanted = {"lr": 0.1, "layers": 3, "model": {"name": "mlp", "sizes": [8, 4]}, "debug": True, "none": None}
    assert _said(life, "config") == wanted
    assert _read(life)["config"] == wanted


def test_init_config_exclude_keys(life: dict[str, Any]) -> None:
    assert not {"secret", "left"} & set(_read(life)["config"])


def test_init_config_include_keys(life: dict[str, Any]) -> None:
    assert life["runs"]["with-statement"]["config"] == {"kept": 1}


def test_init_dir(life: dict[str, Any]) -> None:
    assert "elsewhere/wandb/run-" in _said(life, "dir")
    assert _said(life, "dir").endswith("-everything/files")


def test_init_save_code(life: dict[str, Any]) -> None:
    """The script itself is kept below `code/`, by its path in the repository that it lies in."""
    assert [name for name in _read(life)["files"] if re.fullmatch(r"code/(.*/)?life\.py", name)]


def test_init_mode_disabled(life: dict[str, Any]) -> None:
    assert life["said"]["disabled"] is True
    assert _said(life, "disabled") is False


def test_init_reinit(life: dict[str, Any]) -> None:
    assert life["runs"]["quiet"]["state"] == "finished"


def test_two_runs_at_once(life: dict[str, Any]) -> None:
    assert [row["which"] for row in life["runs"]["two-at-once-a"]["rows"]] == [1, 10]
    assert [row["which"] for row in life["runs"]["two-at-once-b"]["rows"]] == [2]


def test_attribute_entity(life: dict[str, Any]) -> None:
    assert _said(life, "entity") == _read(life)["path"][0] == "admin"


def test_attribute_path(life: dict[str, Any]) -> None:
    assert _said(life, "path") == f"admin/{life['project']}/everything"


def test_attribute_mode(life: dict[str, Any], release: str) -> None:
    assert _said(life, "mode") == ("run" if release == "0.19.11" else "absent: mode")


def test_attribute_offline(life: dict[str, Any]) -> None:
    assert _said(life, "offline") is False


def test_attribute_resumed(life: dict[str, Any]) -> None:
    assert _said(life, "resumed") is False


def test_attribute_settings_are_frozen(life: dict[str, Any]) -> None:
    """Setting one is refused, or changes a copy."""
    assert life["said"]["settings_id"] == "everything"


def test_attribute_start_time(life: dict[str, Any]) -> None:
    assert abs(_said(life, "start_time") - life["said"]["began"]) < 60


def test_attribute_starting_step(life: dict[str, Any]) -> None:
    assert _said(life, "starting_step") == 0


def test_attribute_step(life: dict[str, Any]) -> None:
    assert _said(life, "step") == 0
    assert life["said"]["step_after"] == 2


def test_attribute_sweep(life: dict[str, Any]) -> None:
    assert _said(life, "sweep_id") is None
    assert not _said(life, "sweep_url")


def test_attribute_summary(life: dict[str, Any]) -> None:
    assert _read(life)["summary"]["loss"] == 0.25


def test_attribute_url_opens(life: dict[str, Any], tracker: TrackerProcess) -> None:
    url = _said(life, "url")
    assert url == f"{tracker.base}/admin/{life['project']}/runs/everything"
    _opens(tracker, url)


def test_attribute_project_url_opens(life: dict[str, Any], tracker: TrackerProcess) -> None:
    url = _said(life, "project_url")
    assert url == f"{tracker.base}/admin/{life['project']}"
    _opens(tracker, url)


def test_sweep_address_opens(life: dict[str, Any], tracker: TrackerProcess) -> None:
    _opens(tracker, f"{tracker.base}/admin/{life['project']}/sweeps/abcdefgh")


def _opens(tracker: TrackerProcess, url: str) -> None:
    """A browser that follows the printed address gets the page of the UI."""
    answer = httpx.get(url, headers={"Accept": "text/html"}, trust_env=False, follow_redirects=True, timeout=30)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert urlsplit(str(answer.url)).netloc == urlsplit(tracker.base).netloc


def _older(life: dict[str, Any], release: str, name: str, wanted: Any) -> None:
    """Methods that releases before 0.29 still have."""
    has = tuple(map(int, release.split("."))) < (0, 29)
    assert life["said"]["methods"][name] == (wanted if has else f"absent: {name}")


def test_project_name(life: dict[str, Any], release: str) -> None:
    _older(life, release, "project_name", life["project"])


def test_get_url(life: dict[str, Any], release: str) -> None:
    _older(life, release, "get_url", _said(life, "url"))


def test_get_project_url(life: dict[str, Any], release: str) -> None:
    _older(life, release, "get_project_url", _said(life, "project_url"))


def test_get_sweep_url(life: dict[str, Any], release: str) -> None:
    _older(life, release, "get_sweep_url", _said(life, "sweep_url"))


def test_to_html(life: dict[str, Any]) -> None:
    html = life["said"]["methods"]["to_html"]
    assert "<iframe" in html
    assert f"{_said(life, 'url')}?jupyter=true" in html
    assert "height:333px" in html


def test_display(life: dict[str, Any]) -> None:
    """Outside a notebook there is nothing to display it in."""
    assert life["said"]["methods"]["display"] is False


def test_status(life: dict[str, Any]) -> None:
    assert life["said"]["status"] == "RunStatus"
    assert life["said"]["status_fields"] == ["sync_items_total", "sync_items_pending"]


def test_one_active_run(life: dict[str, Any]) -> None:
    said = life["said"]
    assert said["before"] == {"run": True, "log": "Error"}
    assert said["is_active"] is True
    assert said["after"] == {"run": True}


def test_with_statement_finishes(life: dict[str, Any]) -> None:
    assert life["said"]["after_with"] is True
    assert life["runs"]["with-statement"]["state"] == "finished"


def test_second_init_makes_another_run(life: dict[str, Any]) -> None:
    assert len({"everything", life["said"]["second_id"], life["said"]["random_id"]} & set(life["runs"])) == 3


def test_finish_exit_code(life: dict[str, Any]) -> None:
    assert life["runs"][life["said"]["random_id"]]["state"] == "finished"


def test_finish_quiet(life: dict[str, Any]) -> None:
    assert life["runs"]["quiet"]["state"] == "finished"


def test_join(life: dict[str, Any]) -> None:
    assert life["runs"][life["said"]["random_id"]]["state"] == "finished"


def test_detach(life: dict[str, Any], release: str) -> None:
    """In the only release that has it, it does nothing and the run goes on."""
    assert life["said"]["methods"]["detach"] == (None if release == "0.19.11" else "absent: detach")
    assert len(_read(life)["rows"]) == 2


def test_default_project(life: dict[str, Any]) -> None:
    assert life["said"]["default_project"] == "uncategorized"
    assert life["said"]["default_path"] == f"admin/uncategorized/nameless-{life['project']}"
