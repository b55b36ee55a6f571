"""Which files the rules mean, when they are due, and what is invisible."""

from __future__ import annotations

import glob
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_sidecar.config import FileRule, Mount, TrainerContainer
from outrider_sidecar.files import is_due, working_dir
from outrider_sidecar.globbing import absolute
from outrider_sidecar.walking import find, invisible

parts = st.sampled_from(["a", "b", "ab", "*", "**", "?", "[ab]", "a*"])
patterns = st.lists(parts, min_size=1, max_size=4).map("/".join)
trees = st.sets(st.lists(st.sampled_from(["a", "b", "ab", "c", "x.pt"]), min_size=1, max_size=4).map(tuple), max_size=8)


@given(patterns, trees)
def test_patterns_mean_what_python_s_glob_means(pattern: str, tree: set[tuple[str, ...]]) -> None:
    """Files alone, `**` as any number of folders."""
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(tree, key=len, reverse=True):
            file = Path(folder, *path)
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                file.touch()
        expected = {
            os.path.normpath(path)
            for path in glob.glob(pattern, root_dir=folder, recursive=True, include_hidden=True)  # noqa: PTH207
            # `a/**` of a file `a` gives `a/` in some releases of Python: no file has such a name
            if not path.endswith("/") and Path(folder, path).is_file()
        }
        container = TrainerContainer("c", "/work", (Mount("/work", folder),))
        found = {match.name for match in find(container, "/work", [FileRule(pattern, "live")])}
        assert found == expected


def test_files_are_found_through_volumes_only(tmp_path: Path) -> None:
    """A volume over a folder of another hides what is below it; links are not followed; `live` wins over `end`."""
    outer, inner = tmp_path / "outer", tmp_path / "inner"
    (outer / "ckpt").mkdir(parents=True)
    inner.mkdir()
    (outer / "ckpt" / "hidden.pt").touch()
    (outer / "report.json").touch()
    (outer / "link.json").symlink_to("/etc/hostname")
    (outer / "folder-link").symlink_to(inner)
    (inner / "step1.pt").touch()
    (tmp_path / "single.json").touch()
    mounts = (
        Mount("/data", str(outer)),
        Mount("/data/ckpt", str(inner)),
        Mount("/data/one.json", str(tmp_path / "single.json")),
    )
    container = TrainerContainer("c", "/data", mounts)
    rules = [FileRule("**", "end"), FileRule("ckpt/*.pt", "live")]
    found = {match.name: (match.policy, match.key) for match in find(container, "/data", rules)}
    assert found == {
        "report.json": ("end", str(outer / "report.json")),
        "ckpt/step1.pt": ("live", str(inner / "step1.pt")),
        "one.json": ("end", str(tmp_path / "single.json")),
    }


def test_a_file_outside_the_working_directory_has_its_whole_path(tmp_path: Path) -> None:
    """Below it, the relative one."""
    (tmp_path / "f").touch()
    container = TrainerContainer("c", None, (Mount("/out", str(tmp_path)),))
    assert [m.name for m in find(container, "/work", [FileRule("/out/f", "end")])] == ["/out/f"]
    assert [m.name for m in find(container, "/", [FileRule("out/*", "end")])] == ["out/f"]
    assert [m.name for m in find(container, "/out/x", [FileRule("../f", "end")])] == ["/out/f"]


def test_a_link_put_in_the_way_after_the_walk_is_not_followed(tmp_path: Path) -> None:
    """Between finding and opening a trainer may change the folder into a link."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").touch()
    container = TrainerContainer("c", "/w", (Mount("/w", str(tmp_path)),))
    (match,) = find(container, "/w", [FileRule("d/f", "end")])
    (tmp_path / "d").rename(tmp_path / "e")
    (tmp_path / "d").symlink_to("e")
    with pytest.raises(OSError):
        match.open()


@pytest.mark.parametrize(
    ("pattern", "mounts", "hidden"),
    [
        ("out/*.json", ["/work/out"], False),
        ("out/*.json", ["/work"], False),
        ("out/*.json", ["/data"], True),
        ("**/x", ["/work/deep/volume"], False),
        ("*/x", ["/work/deep/volume"], True),
        ("/data/**", ["/data"], False),
        ("/dat/**", ["/data"], True),
    ],
)
def test_a_pattern_on_no_volume_is_known_to_be_invisible(pattern: str, mounts: list[str], hidden: bool) -> None:
    """So that the Run can be told what to mount."""
    seen = absolute(pattern, "/work")
    assert seen is not None
    assert invisible(seen, [Mount(path, "/at") for path in mounts]) is hidden


def test_a_relative_pattern_waits_for_the_working_directory() -> None:
    """And a working directory is never taken for a pattern."""
    assert absolute("x", None) is None
    pattern = absolute("x", "/a[b]*")
    assert pattern is not None
    assert pattern.accepts(pattern.enters("/a[b]*/x"))
    assert not pattern.accepts(pattern.enters("/ab/x"))


A, B = (1, 10, 100), (1, 20, 200)


@pytest.mark.parametrize(
    ("policy", "now", "before", "stored", "ending", "due"),
    [
        ("live", A, None, None, False, False),  # seen once: it may still be written
        ("live", A, A, None, False, True),
        ("live", B, A, None, False, False),
        ("live", A, A, A, False, False),  # stored already
        ("live", B, B, A, False, True),  # written again
        ("live", B, A, A, True, True),  # at the end, at rest or not
        ("end", A, A, None, False, False),
        ("end", A, A, None, True, True),
        ("end", A, None, A, True, False),
    ],
)
def test_when_a_file_is_due(policy: str, now: object, before: object, stored: object, ending: bool, due: bool) -> None:
    """live: twice the same and not stored; end: at the end."""
    assert is_due(policy, now, before, stored, ending=ending) is due  # type: ignore[arg-type]


def test_the_working_directory_comes_from_the_rider_s_record() -> None:
    """The first container.start; anything else on the way is passed over."""
    events = b'{"type": "warning"}\nnot json\n[]\n{"type": "container.start", "cwd": "/app"}\n'
    assert working_dir(events) == "/app"
    assert working_dir(b'{"type": "container.start", "cwd": 5}\n') is None
    assert working_dir(b"") is None
