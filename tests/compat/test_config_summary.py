"""config and summary."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import Sdk


def _make(sdk: Sdk) -> dict[str, Any]:
    project = f"config-{sdk.release}"
    said = sdk.run("config_summary", project)
    return {"said": said, "runs": sdk.run("dump", project)}


@pytest.fixture
def made(area: Area) -> dict[str, Any]:
    """What the script said, and the project's runs as `wandb.Api` reads them."""
    found: dict[str, Any] = area("config", _make)
    return found


def test_config_is_nested(made: dict[str, Any]) -> None:
    config = made["runs"]["config"]["config"]
    assert config["model"] == {"name": "mlp", "size": {"in": 8}}
    assert config["dotted.key"] == {"a.b": 1}


def test_config_items_and_attributes(made: dict[str, Any]) -> None:
    assert (made["said"]["item"], made["said"]["attribute"]) == (0.1, 0.1)
    config = made["runs"]["config"]["config"]
    assert (config["batch"], config["epochs"]) == (16, 3)


def test_config_update(made: dict[str, Any]) -> None:
    config = made["runs"]["config"]["config"]
    assert (config["lr"], config["extra"]) == (0.2, [1, 2])


def test_config_change_needs_leave(made: dict[str, Any]) -> None:
    assert made["said"]["change_refused"] == "ConfigError"


def test_init_allow_val_change(made: dict[str, Any]) -> None:
    assert made["runs"]["allowed"]["config"] == {"a": 2, "b": 3}


def test_config_setdefaults(made: dict[str, Any]) -> None:
    config = made["runs"]["config"]["config"]
    assert (config["batch"], config["new_default"]) == (16, "yes")


def test_config_of_numpy_and_unicode(made: dict[str, Any]) -> None:
    config = made["runs"]["config"]["config"]
    assert (config["array"], config["unicode ключ"]) == (1.5, "значение")


def test_config_from_arguments(made: dict[str, Any]) -> None:
    assert made["runs"]["namespace"]["config"] == {"alpha": 0.5, "nested": {"k": 1}}


def test_config_after_the_first_row(made: dict[str, Any]) -> None:
    assert made["runs"]["config-after-log"]["config"] == {"late": True}


def test_pin_config_keys(made: dict[str, Any], release: str) -> None:
    """What was pinned travels with the config and must come back with it."""
    assert ("pinned" in made["said"]) == (release != "0.19.11")
    assert made["runs"]["config"]["config"]["lr"] == 0.2


def test_summary_is_the_last_value_or_what_was_set(made: dict[str, Any]) -> None:
    summary = made["runs"]["summary"]["summary"]
    assert summary["loss"] == 0.01
    assert summary["nested"] == {"value": 0.75}


def test_summary_set_and_update(made: dict[str, Any]) -> None:
    summary = made["runs"]["summary"]["summary"]
    assert (summary["best"], summary["note"]) == (0.25, "text")
    # whether the older keys of a nested value stay is the client's decision: what it shows is what was stored
    assert summary["deep"] == made["said"]["summary_deep"]
    assert summary["deep"]["other"] == 2
    assert made["said"]["summary_read"] == 0.25
    assert made["said"]["summary_get"] == "default"


def test_summary_key_deleted(made: dict[str, Any]) -> None:
    assert "gone" not in made["runs"]["summary"]["summary"]


def test_summary_has_step_and_runtime(made: dict[str, Any]) -> None:
    summary = made["runs"]["summary"]["summary"]
    assert summary["_step"] == 2
    assert summary["_runtime"] >= 0


def test_client_keeps_its_own_part_of_the_config(made: dict[str, Any], release: str) -> None:
    """The SDK reads `cli_version` and its telemetry back from `_wandb`."""
    internal = made["runs"]["config"]["internal"]
    assert internal["cli_version"] == release
    assert "t" in internal
