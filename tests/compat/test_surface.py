"""surface.md is true: its tests exist for every release that says yes, and its names are there or absent as it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.compat.sdk import SCRIPTS, environment
from tools.sdk_venvs import RELEASES, ROOT, lock_of, python_of

TABLE = Path(__file__).with_name("surface.md")
STATES = re.compile(r"yes|absent|not tried|no: hashes|later: (artifacts|launch|sweeps)")


@dataclass(frozen=True)
class Row:
    """One line of the table. `states`: by release."""

    what: str
    name: str
    states: dict[str, str]
    test: str


def rows() -> list[Row]:
    """All rows of all sections, in order."""
    found = []
    for line in TABLE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|") or set(line) <= set("|- ") or cells[0] == "what":
            continue
        assert len(cells) == len(RELEASES) + 3, line
        found.append(Row(cells[0], cells[1].strip("`"), dict(zip(RELEASES, cells[2:-1], strict=True)), cells[-1]))
    return found


ROWS = rows()


def test_columns_are_the_supported_releases() -> None:
    heads = [line for line in TABLE.read_text().splitlines() if line.startswith("| what |")]
    assert set(heads) == {f"| what | name in the SDK | {' | '.join(RELEASES)} | test |"}


def test_every_cell_has_a_state() -> None:
    for row in ROWS:
        for release, state in row.states.items():
            assert STATES.fullmatch(state), f"{row.what}, {release}: {state!r}"


def test_a_row_has_a_test_where_it_says_yes() -> None:
    for row in ROWS:
        assert ("yes" in row.states.values()) == (row.test != "—"), row.what


def test_every_test_exists_for_its_releases() -> None:
    """pytest itself is asked which tests there are."""
    asked = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests/compat"],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stdout + asked.stderr
    there: dict[str, set[str]] = {}
    for line in asked.stdout.splitlines():
        node, bracket, parameters = line.removeprefix("tests/compat/").partition("[")
        there.setdefault(node, set()).update(re.split(r"[-\]]", parameters) if bracket else RELEASES)
    for row in ROWS:
        for release, state in row.states.items():
            if state == "yes":
                assert release in there.get(row.test, ()), f"{row.what}: no {row.test} for {release}"


@pytest.mark.parametrize("release", RELEASES)
def test_names_are_there_or_absent(release: str, tmp_path: Path) -> None:
    """In that release's own environment."""
    names, answer = tmp_path / "names", tmp_path / "answer"
    names.write_text(json.dumps(sorted({row.name for row in ROWS if row.name})))
    subprocess.run(
        [str(python_of(release)), str(SCRIPTS / "surface.py"), str(names), str(answer)],
        cwd=tmp_path, env=environment(tmp_path, "http://127.0.0.1:9"), check=True, timeout=100,
    )  # fmt: skip
    there = json.loads(answer.read_text())
    wrong = [row.what for row in ROWS if row.name and (row.states[release] != "absent") != there[row.name]]
    assert wrong == []


def test_a_row_without_a_name_is_nowhere_absent() -> None:
    assert [row.what for row in ROWS if not row.name and "absent" in row.states.values()] == []


@pytest.mark.parametrize("release", RELEASES)
def test_lock_is_of_that_release(release: str) -> None:
    assert f"\nwandb=={release} " in lock_of(release).read_text()
