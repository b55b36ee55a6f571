"""What decides that programs are built anew, and how they are stamped."""

import subprocess
from pathlib import Path

import pytest

from tools.cluster import build
from tools.cluster.errors import ClusterError


def sources(root: Path) -> list[Path]:
    """A module in miniature."""
    for name, text in (("go.mod", "module x\n"), ("go.sum", ""), ("main.go", "package main\n")):
        (root / name).write_text(text)
    return sorted(root.iterdir())


def test_a_key_is_the_same_in_every_checkout(tmp_path: Path) -> None:
    """Paths above the module do not count."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert build.key(tmp_path / "a", sources(tmp_path / "a")) == build.key(tmp_path / "b", sources(tmp_path / "b"))


@pytest.mark.parametrize("changed", ["go.mod", "go.sum", "main.go"])
def test_a_change_of_any_source_gives_another_key(tmp_path: Path, changed: str) -> None:
    """So a changed pin never meets an old build."""
    before = build.key(tmp_path, sources(tmp_path))
    (tmp_path / changed).write_text("else\n")
    assert build.key(tmp_path, sorted(tmp_path.iterdir())) != before


def test_content_that_moves_from_one_file_to_the_next_gives_another_key(tmp_path: Path) -> None:
    """Lengths are hashed too."""
    (tmp_path / "a").write_text("xy")
    (tmp_path / "b").write_text("z")
    before = build.key(tmp_path, sorted(tmp_path.iterdir()))
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("yz")
    assert build.key(tmp_path, sorted(tmp_path.iterdir())) != before


def test_the_pinned_kubernetes_has_all_its_staging_modules_at_the_matching_release() -> None:
    """v1.X.Y of k8s.io/kubernetes goes with v0.X.Y of each staging module, or the programs are a mixture."""
    text = (build.KUBERNETES.folder / "go.mod").read_text()
    matching = "v0." + build.kubernetes_version().removeprefix("v1.")
    replaced = [line.split() for line in text.partition("replace (")[2].splitlines() if "=> k8s.io/" in line]
    assert len(replaced) == 33  # the staging modules of 1.36
    assert {line[-1] for line in replaced} == {matching}


@pytest.mark.parametrize("module", [build.KUBERNETES, build.COREDNS])
def test_modules_are_built_by_a_go_of_the_version_that_is_looked_for(module: build.Module) -> None:
    """go.mod's own line and GO_NEEDED say the same."""
    line = next(line for line in (module.folder / "go.mod").read_text().splitlines() if line.startswith("go "))
    assert build.go_version(line.replace("go ", "go")) == build.GO_NEEDED


def test_a_version_is_read_out_of_go_mod_and_its_absence_said() -> None:
    """Both forms of a require line."""
    assert build.required_version("require k8s.io/kubernetes v1.36.4\n", "k8s.io/kubernetes") == "v1.36.4"
    assert build.required_version("require (\n\ta.b/c v1.0.0 // indirect\n)\n", "a.b/c") == "v1.0.0"
    with pytest.raises(ClusterError, match="does not require"):
        build.required_version("require a.b/cc v1.0.0\n", "a.b/c")


def test_clients_are_told_the_version_through_both_packages() -> None:
    """The server reports component-base's, and user agents client-go's."""
    stamped = build.stamps("v1.36.4")
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        assert f"-X {package}.gitVersion=v1.36.4" in stamped
        assert f"-X {package}.gitMinor=36" in stamped


@pytest.mark.parametrize(
    ("words", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.9 linux/amd64", (1, 9)),
        ("command not found", None),
    ],
)
def test_go_says_its_version(words: str, version: tuple[int, int] | None) -> None:
    """Compared as numbers: 1.9 is older than 1.26."""
    assert build.go_version(words) == version


def test_the_pause_program_ends_on_sigterm() -> None:
    """A pod's last process must not need SIGKILL."""
    running = subprocess.Popen([build.pause_program()])
    running.terminate()
    assert running.wait(10) in {0, -15}  # -15 where the signal came before its handler was set
