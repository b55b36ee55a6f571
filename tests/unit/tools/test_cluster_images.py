"""Docker archives that containerd takes, and names as nodes know them."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from tools.cluster.errors import ClusterError
from tools.cluster.images import ImageConfig, full_reference, packed, references, write_archive


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("me/tool:2", "docker.io/me/tool:2"),
        ("ghcr.io/me/tool:2", "ghcr.io/me/tool:2"),
        ("localhost/tool:2", "localhost/tool:2"),
        ("registry:5000/tool", "registry:5000/tool:latest"),
        ("quay.io/a/b@sha256:00", "quay.io/a/b@sha256:00"),
    ],
)
def test_a_short_name_means_what_it_means_to_docker(short: str, full: str) -> None:
    """The distribution reference's rules for missing registries, folders and tags."""
    assert full_reference(short) == full


def make_layer(path: Path, text: str) -> Path:
    """A tar file with one file in it."""
    inside = path.with_suffix(".txt")
    inside.write_text(text)
    with tarfile.open(path, "w") as tar:
        tar.add(inside, arcname="etc/motd")
    return path


def test_an_archive_follows_docker_s_image_specification(tmp_path: Path) -> None:
    """manifest.json names a configuration by its own hash; diff_ids are the hashes of the layers, in order."""
    layers = [make_layer(tmp_path / "a.tar", "one"), make_layer(tmp_path / "b.tar", "two")]
    config = ImageConfig(command=("sh",), environment=("A=1",), user="65532:65532", folder="/work")
    image_id = write_archive(tmp_path / "out.tar", "tool:1", layers, config, "amd64")
    with tarfile.open(tmp_path / "out.tar") as tar:
        content = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    (entry,) = json.loads(content["manifest.json"])
    assert entry["RepoTags"] == ["docker.io/library/tool:1"]
    assert entry["Config"] == f"{image_id}.json"
    assert hashlib.sha256(content[entry["Config"]]).hexdigest() == image_id
    described = json.loads(content[entry["Config"]])
    assert described["rootfs"]["diff_ids"] == [
        f"sha256:{hashlib.sha256(content[n]).hexdigest()}" for n in entry["Layers"]
    ]
    assert content[entry["Layers"][0]] == layers[0].read_bytes()
    assert described["config"]["User"] == "65532:65532"
    assert "A=1" in described["config"]["Env"]


def test_the_same_content_gives_the_same_image(tmp_path: Path) -> None:
    """The id depends on nothing but layers and configuration."""
    layer = make_layer(tmp_path / "a.tar", "one")
    first = write_archive(tmp_path / "1.tar", "tool:1", [layer], ImageConfig(), "amd64")
    assert write_archive(tmp_path / "2.tar", "tool:1", [layer], ImageConfig(), "amd64") == first
    assert write_archive(tmp_path / "3.tar", "tool:1", [layer], ImageConfig(user="1"), "amd64") != first


def test_a_folder_is_packed_and_the_work_removed(tmp_path: Path) -> None:
    """Paths lie at the root of the layer."""
    source, work = tmp_path / "root", tmp_path / "work"
    (source / "bin").mkdir(parents=True)
    (source / "bin/tool").write_text("#!/bin/sh\n")
    work.mkdir()
    with packed("tool:1", source, ImageConfig(), work) as archive:
        assert references(archive) == ["docker.io/library/tool:1"]
        with tarfile.open(archive) as outer:
            layer = outer.extractfile("layer-0.tar")
            assert layer is not None
            with tarfile.open(fileobj=layer) as inner:
                assert "./bin/tool" in inner.getnames()
    assert list(work.iterdir()) == []


def test_a_tar_that_is_no_image_is_refused(tmp_path: Path) -> None:
    """Instead of an import that loads nothing."""
    with pytest.raises(ClusterError, match="no docker archive"):
        references(make_layer(tmp_path / "a.tar", "one"))
