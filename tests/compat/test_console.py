"""Console output and system metrics."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import Sdk


def _make(sdk: Sdk) -> dict[str, Any]:
    project = f"console-{sdk.release}"
    said = sdk.run("console", project)
    return {"said": said, **sdk.run("console_read", project)}


@pytest.fixture
def made(area: Area) -> dict[str, Any]:
    """What the script said, and what was read."""
    found: dict[str, Any] = area("console", _make)
    return found


PRINTED = ["a first line", *(f"line {number}" for number in range(40)), "Grüße ✓", "an unfinished last line"]


def has_console_logs(release: str) -> bool:
    """Since 0.29 lines can be read without the file."""
    return tuple(map(int, release.split("."))) >= (0, 29)


def test_output_file(made: dict[str, Any]) -> None:
    lines = made["output"].splitlines()
    assert [line for line in lines if line in PRINTED] == PRINTED
    assert "to stderr" in lines


def test_rewritten_progress(made: dict[str, Any]) -> None:
    """A bar that was rewritten eleven times is one line, as it looked in the end."""
    assert [line for line in made["output"].splitlines() if "progress" in line] == ["progress 100%"]


def test_log_lines(made: dict[str, Any], release: str) -> None:
    if not has_console_logs(release):
        assert made["lines"] == "absent: console_logs"
        return
    lines = [one["line"] for one in made["lines"]]
    assert [line for line in lines if line in PRINTED] == PRINTED
    assert [line for line in lines if "progress" in line] == ["progress 100%"]
    assert [one["line"] for one in made["lines"] if one["level"] == "error"] == ["to stderr"]
    assert made["last"] == lines[-3:]


def test_write_logs(made: dict[str, Any]) -> None:
    if made["said"]["write_logs"] == "used":
        assert "written by write_logs" in made["output"].splitlines()


def test_console_off(made: dict[str, Any]) -> None:
    assert "output.log" not in made["quiet_files"]


def test_system_metrics(made: dict[str, Any]) -> None:
    """Sampled twice a second, until others saw two samples."""
    rows = made["system"]
    assert len(rows) >= 2
    keys = set().union(*rows)
    assert {"system.cpu", "system.memory_percent"} <= keys
    assert all(isinstance(row["_timestamp"], float) for row in rows)


def test_latest_system_metrics(made: dict[str, Any]) -> None:
    if isinstance(made["system_metrics"], dict):
        assert "system.memory_percent" in made["system_metrics"]


def test_system_metrics_off(made: dict[str, Any]) -> None:
    assert made["quiet_system"] == []
