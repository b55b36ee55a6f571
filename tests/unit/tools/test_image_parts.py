"""What goes into an image, and what makes it be built again."""

import os
from pathlib import Path

import pytest

from tools.images import engine, parts
from tools.images.build import superseded
from tools.images.parts import ImageError, Part, content_key, files, stage


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in miniature."""
    for name in (
        "part/Dockerfile",
        "locks/part.txt",
        "part/code/a.py",
        "part/code/__pycache__/a.pyc",
        "part/build/tool-amd64",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


PART = Part(
    "part",
    ("part/Dockerfile", "locks/part.txt", "part/code", "part/build/tool-{arch}"),
    (("part/build/tool-{arch}", "make tool"),),
)


def names(found: list[Path], root: Path) -> list[str]:
    """Paths below the root."""
    return [str(path.relative_to(root)) for path in found]


def test_byte_code_of_the_checkout_stays_out(checkout: Path) -> None:
    """It differs from machine to machine and would be built for nothing."""
    found = names(files(PART, "amd64", checkout), checkout)
    assert found == ["locks/part.txt", "part/Dockerfile", "part/build/tool-amd64", "part/code/a.py"]


def test_something_that_is_not_built_yet_is_named_with_its_command(checkout: Path) -> None:
    """The other architecture's, here."""
    with pytest.raises(ImageError, match=r"tool-arm64 is not built yet.*`make tool`"):
        files(PART, "arm64", checkout)


@pytest.mark.parametrize("change", ["content", "mode", "name"])
def test_any_change_of_an_input_changes_the_key(checkout: Path, change: str) -> None:
    """Content, executable bit and name are what an image sees."""
    before = content_key(files(PART, "amd64", checkout), checkout)
    file = checkout / "part/code/a.py"
    if change == "content":
        file.write_text("else")
    elif change == "mode":
        file.chmod(0o755)
    else:
        file.rename(file.with_name("b.py"))
    assert content_key(files(PART, "amd64", checkout), checkout) != before


def test_the_base_is_part_of_the_key(checkout: Path) -> None:
    """An image on a stand-in is never taken for one on the real base."""
    inputs = files(PART, "amd64", checkout)
    assert content_key(inputs, checkout, "real") != content_key(inputs, checkout, "stand-in")


def test_a_context_holds_the_inputs_alone_and_everyone_may_read_them(checkout: Path, tmp_path: Path) -> None:
    """Images run as another user; a strict umask of the builder must not lock it out."""
    (checkout / "part/code/a.py").chmod(0o600)
    (checkout / "part/build/tool-amd64").chmod(0o700)
    context = tmp_path / "context"
    inputs = files(PART, "amd64", checkout)
    stage(inputs, checkout, context)
    staged = sorted(path for path in context.rglob("*") if path.is_file())
    assert names(staged, context) == names(inputs, checkout)
    assert (context / "part/code/a.py").stat().st_mode & 0o777 == 0o644
    assert (context / "part/build/tool-amd64").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("part", [parts.OPERATOR, parts.SIDECAR, parts.TRACKER])
def test_what_a_dockerfile_copies_is_among_the_inputs(part: Part) -> None:
    """And the other way round: nothing makes an image be built again that is not copied."""
    lines = (parts.ROOT / part.name / "Dockerfile").read_text().splitlines()
    copied = {line.split()[1] for line in lines if line.startswith("COPY ") and "--from" not in line}
    given = {name.replace("{arch}", "${TARGETARCH}") for name in part.inputs if not name.endswith("Dockerfile")}
    assert copied == given


@pytest.mark.parametrize("part", [parts.OPERATOR, parts.SIDECAR, parts.TRACKER])
def test_an_image_runs_as_nobody_in_particular_and_isolated(part: Part) -> None:
    """A numeric user that is not root, as Pod Security asks for; Python heeds neither folder nor variables."""
    text = (parts.ROOT / part.name / "Dockerfile").read_text()
    final = text.rpartition("FROM ")[2]
    assert "USER 65532:65532" in final
    assert "--require-hashes" in text
    assert '"-I"' in final or "python -I" in text


def test_pip_settings_go_along_into_a_build() -> None:
    """Those of `pip config list` that mean something inside; a folder of the machine does not."""
    listed = """\
:env:.cert='/etc/ssl/certs/ca-certificates.crt'
:env:.default-timeout='180'
:env:.find-links='/opt/wheels'
global.index-url='https://example.test/simple'
install.user='true'
"""
    assert engine.pip_settings(listed) == (
        "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\ntimeout = 180\nindex-url = https://example.test/simple\n"
    )


def test_the_newest_archives_are_kept_for_other_checkouts(tmp_path: Path) -> None:
    """Two checkouts that take turns must not build for each other's deletion; another image's archives do not count."""
    for age, name in enumerate(("d", "c", "b", "a")):
        archive = tmp_path / f"outrider-operator-{name}.tar"
        archive.touch()
        os.utime(archive, (1000 - age, 1000 - age))
    (tmp_path / "outrider-tracker-old.tar").touch()
    assert [path.name for path in superseded(tmp_path, parts.OPERATOR)] == ["outrider-operator-a.tar"]
