"""`outrider-tracker user|team|key|project`: what is said, and the exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from outrider_tracker.__main__ import main
from outrider_tracker.store.projects import ensure_project
from outrider_tracker.store.store import Store

Run = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on one folder: exit code, output, complaints."""

    def call(line: str) -> tuple[int, str, str]:
        code = main([*line.split(), "--data", str(tmp_path / "data")])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_a_teams_life(run: Run) -> None:
    """From nothing to a team with an admin and a machine, and back."""
    assert run("user add ada --email ada@x.org")[0] == 0
    assert run("user add bob")[0] == 0
    assert run("team add vision") == (
        0,
        "Team vision is made. Add people with: outrider-tracker team add-member vision USER\n",
        "",
    )
    assert run("team add-member vision ada --role admin")[1] == "User ada is admin of team vision.\n"
    assert run("team add-member vision bob")[1] == "User bob is member of team vision.\n"
    said = run("team service-account add vision ci")[1]
    assert len(said.partition("API key: ")[2].split()[0]) == 40
    assert run("team list")[1] == "vision\tada:admin bob:member ci:member\n"
    assert run("team add-member vision bob --role viewer")[0] == 0
    assert run("user disable ada")[0] == 0
    assert run("team remove-member vision ci")[0] == 0
    assert run("team list")[1] == "vision\tbob:viewer\n"
    ada, bob, machine = run("user list")[1].splitlines()
    assert ada.startswith("ada\tada@x.org\tdisabled since ")
    assert bob == "bob\t-\t-\tbob:admin vision:viewer"
    assert machine.startswith("ci\t-\tservice account, disabled since ")


def test_keys_are_shown_once(run: Run) -> None:
    """Afterwards by their ids only."""
    first = run("user add ada")[1].partition("API key: ")[2].split()[0]
    said = run("key add ada --description laptop")[1].split()
    number, second = said[2], said[6]
    assert (len(number), len(second)) == (16, 40)
    listed = run("key list ada")[1]
    assert first not in listed
    assert second not in listed
    assert [line.split("\t")[2] for line in listed.splitlines()] == ["-", "laptop"]
    assert run(f"key remove ada {number}")[0] == 0
    assert run(f"key remove ada {number}")[2] == (
        f"outrider-tracker: user ada has no key {number}: see `outrider-tracker key list`\n"
    )


def test_who_sees_a_project(run: Run, tmp_path: Path) -> None:
    """Set for a project that is there."""
    run("team add vision")
    run("user add ada --entity vision:member --default-entity vision")
    store = Store(tmp_path / "data")
    try:
        store.writer.run(lambda connection: ensure_project(connection, "vision", "resnet", 1, 1.0))
    finally:
        store.close()
    assert run("project list vision")[1] == "resnet\tteam\tada\n"
    assert run("project set vision/resnet --visibility public")[1] == "Project vision/resnet is public.\n"
    assert run("project list vision")[1] == "resnet\tpublic\tada\n"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("user add files", "'files' is part of the tracker's own addresses: choose another name"),
        (
            "user add vision",
            "there is already an entity vision (a team, or a namespace with runs): choose another name",
        ),
        ("user add ada --entity vision:king", "--entity vision:king: ENTITY:ROLE is expected"),
        ("user add ada --entity vision:admin --default-entity web", "ada has no role in web: add it first with"),
        ("user add eve --key short", "an API key is 40 to 128 characters"),
        ("user disable eve", "there is no user 'eve': make it with `outrider-tracker user add`"),
        ("user disable root", "root is the last administrator of the tracker: make another one first"),
        ("team add root", "there is already a user root: choose another name"),
        ("team add-member visoin root", "there is no team 'visoin': make it with `outrider-tracker team add`"),
        ("team add-member vision eve", "there is no user 'eve'"),
        ("team add-member root eve", "root is the entity of a user and has no other members: make a team"),
        ("team remove-member vision root", "root has no role in team vision"),
        ("team service-account add visoin ci", "there is no team 'visoin'"),
        ("key add eve", "there is no user 'eve'"),
        ("key list eve", "there is no user 'eve'"),
        ("project set vision --visibility team", "vision: ENTITY/NAME is expected"),
        ("project set vision/x --visibility team", "there is no project 'x' in vision: its first run makes it"),
        ("project list web", "there is no entity 'web'"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(run: Run, line: str, sentence: str) -> None:
    """Exit code 2, and nothing is changed."""
    run("user add root --admin")
    run("team add vision")
    before = run("user list")[1], run("team list")[1]
    code, out, complaint = run(line)
    assert (code, out) == (2, "")
    assert sentence in complaint
    assert (run("user list")[1], run("team list")[1]) == before
