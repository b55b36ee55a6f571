"""Files of a run: save, restore, code, and the public API's files."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx
import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import Sdk

UNICODE = "Grüße aus 東京 100%.txt"


def _make(sdk: Sdk) -> dict[str, Any]:
    project = f"files-{sdk.release}"
    said = sdk.run("files", project)
    return {"said": said, "read": sdk.run("files_read", project)}


@pytest.fixture
def made(area: Area) -> dict[str, Any]:
    """What the script said, and what was read."""
    found: dict[str, Any] = area("files", _make)
    return found


@pytest.fixture
def contents(made: dict[str, Any]) -> dict[str, str]:
    """The text files, as they were downloaded."""
    found: dict[str, str] = made["read"]["contents"]
    return found


def test_save_now(made: dict[str, Any], contents: dict[str, str]) -> None:
    assert made["said"]["now_arrives_early"] is True
    assert contents["now.txt"] == "now\n"


def test_save_live(made: dict[str, Any], contents: dict[str, str]) -> None:
    """It is there while the run goes on, and again when it has changed."""
    assert made["said"]["live_first"] is True
    assert contents["live.txt"] == "second, longer\n"


def test_save_end(made: dict[str, Any], contents: dict[str, str]) -> None:
    assert made["said"]["end_is_not_there"] is None
    assert contents["end.txt"] == "after\n"


def test_save_glob(contents: dict[str, str]) -> None:
    assert (contents["these/are/one.txt"], contents["these/are/two.txt"]) == ("one\n", "two\n")


def test_save_base_path(contents: dict[str, str]) -> None:
    assert (contents["are/one.txt"], contents["are/two.txt"]) == ("one\n", "two\n")


def test_save_absolute_keeps_one_level(contents: dict[str, str]) -> None:
    assert contents["level/kept.txt"] == "kept one level\n"


def test_save_literal_name(made: dict[str, Any], contents: dict[str, str]) -> None:
    if made["said"]["glob"] == "used":
        assert contents["odd[1].txt"] == "odd\n"


def test_save_policy_is_checked(made: dict[str, Any]) -> None:
    assert made["said"]["bad_policy"] == "ValueError"


def test_save_returns_paths(made: dict[str, Any]) -> None:
    assert made["said"]["saved"] == ["plain.txt"]


def test_names_of_all_kinds(made: dict[str, Any]) -> None:
    assert UNICODE in made["read"]["names"]
    assert made["read"]["contents"][UNICODE] == "unicode\n"


def test_empty_and_large_files(made: dict[str, Any]) -> None:
    assert made["read"]["sizes"]["empty.txt"] == 0
    assert made["read"]["sizes"]["big.bin"] == 2**20
    assert made["read"]["big"] is True


def test_log_code(made: dict[str, Any]) -> None:
    """What it logs is an artifact, which comes later; the call works and the run ends well."""
    assert made["said"]["log_code"] in {"InternalArtifact", "Artifact"}


def test_restore(made: dict[str, Any]) -> None:
    assert made["said"]["restored"] == "plain\n"


def test_restore_replace_and_root(made: dict[str, Any]) -> None:
    assert made["said"]["not_replaced"] == "old\n"
    assert made["said"]["replaced"] == "plain\n"


def test_restore_of_what_is_not_there(made: dict[str, Any]) -> None:
    assert made["said"]["restore_missing_file"] == "ValueError"
    assert made["said"]["restore_missing_run"] in {"CommError", "ValueError"}


def test_files_are_listed(made: dict[str, Any]) -> None:
    names = made["read"]["names"]
    assert len(names) == len(set(names)) == made["read"]["count"]
    always = {"wandb-metadata.json", "wandb-summary.json", "config.yaml", "requirements.txt"}
    assert always <= set(names)


def test_file_fields(made: dict[str, Any]) -> None:
    read = made["read"]
    assert read["sizes"]["plain.txt"] == 6
    # W&B gives digests of files as base64 of MD5
    assert (
        read["md5"]["plain.txt"] == base64.b64encode(hashlib.md5(b"plain\n", usedforsecurity=False).digest()).decode()
    )
    assert read["mimetypes"]["plain.txt"] == "text/plain"
    assert read["updated_at"].startswith("20")


def test_file_address_is_signed(made: dict[str, Any]) -> None:
    """It opens without any key."""
    address = made["read"]["urls"]["direct_url"]
    assert httpx.get(address, trust_env=False, follow_redirects=True, timeout=30).text == "plain\n"


def test_files_by_names(made: dict[str, Any]) -> None:
    assert made["read"]["by_names"] == ["now.txt", "plain.txt"]


def test_files_by_pattern(made: dict[str, Any], release: str) -> None:
    wanted: Any = ["these/are/one.txt", "these/are/two.txt"]
    assert made["read"]["by_pattern"] == (wanted if release != "0.19.11" else "absent: files(pattern)")


def test_file_that_is_not_there(made: dict[str, Any]) -> None:
    """W&B answers it with a size of 0."""
    assert made["read"]["absent_size"] == 0


def test_download_arguments(made: dict[str, Any]) -> None:
    assert made["read"]["exists"] in {"ValueError", "CommError"}
    assert made["read"]["exist_ok"] == "plain\n"


def test_upload(made: dict[str, Any]) -> None:
    read = made["read"]
    assert read["upload_returns"] == "uploaded.txt"
    assert (read["uploaded"], read["uploaded_below"]) == ("by the API\n", "by the API\n")
    assert read["uploaded_again"] == "by the API, again\n"


def test_delete_file(made: dict[str, Any]) -> None:
    left = made["read"]["after_delete"]
    assert "uploaded.txt" not in left
    assert {"plain.txt", "up/uploaded.txt"} <= set(left)
