"""Media, tables and charts: what was logged is what lies on the server, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import Sdk


def _make(sdk: Sdk) -> dict[str, Any]:
    project = f"media-{sdk.release}"
    said = sdk.run("media", project)
    return {"said": said, **sdk.run("media_read", project)}


@pytest.fixture
def media(area: Area) -> dict[str, Any]:
    """What was logged, and what was read and downloaded."""
    made: dict[str, Any] = area("media", _make)
    return made


def stored(media: dict[str, Any], value: dict[str, Any]) -> None:
    """The file that a value names was uploaded whole: size and digest are those of the value and of the local file."""
    found = media["files"][value["path"]]
    assert found["length"] == found["size"] == value["size"]
    assert found["sha256"] == value["sha256"] == media["said"]["local"][value["path"]]["sha256"]


def of_type(media: dict[str, Any], name: str, kind: str) -> dict[str, Any]:
    """The value that was logged under a name."""
    assert name not in media["said"]["errors"], media["said"]["errors"]
    value: dict[str, Any] = media["values"][name]
    assert value["_type"] == kind
    return value


def test_nothing_failed_in_the_script(media: dict[str, Any]) -> None:
    assert media["said"]["errors"] == {}
    assert media["state"] == "finished"


def test_every_local_file_was_uploaded(media: dict[str, Any]) -> None:
    local = {name: one["sha256"] for name, one in media["said"]["local"].items()}
    assert {name: one["sha256"] for name, one in media["files"].items()} == local


@pytest.mark.parametrize("how", ["numpy", "pil", "path", "jpg", "matplotlib", "boxes", "masks"])
def test_image(media: dict[str, Any], how: str) -> None:
    value = of_type(media, f"image/{how}", "image-file")
    stored(media, value)
    if how != "matplotlib":
        assert (value["width"], value["height"]) == (16, 12)
    assert value["format"] == ("jpg" if how == "jpg" else "png")


def test_image_caption(media: dict[str, Any]) -> None:
    assert of_type(media, "image/numpy", "image-file")["caption"] == "random"


def test_image_boxes(media: dict[str, Any]) -> None:
    value = of_type(media, "image/boxes", "image-file")["boxes"]["predictions"]
    assert value["_type"] == "boxes2D"
    stored(media, value)


def test_image_masks(media: dict[str, Any]) -> None:
    value = of_type(media, "image/masks", "image-file")["masks"]["predictions"]
    assert value["_type"] == "mask"
    stored(media, value)


def test_image_list(media: dict[str, Any]) -> None:
    value = of_type(media, "image/list", "images/separated")
    assert (value["count"], value["captions"]) == (3, ["c0", "c1", "c2"])
    assert set(value["filenames"]) <= set(media["files"])


def test_histogram_of_sequence(media: dict[str, Any]) -> None:
    assert of_type(media, "histogram/sequence", "histogram")["values"] == [1, 2, 3]


def test_histogram_of_numpy(media: dict[str, Any]) -> None:
    value = of_type(media, "histogram/numpy", "histogram")
    assert value["values"] == [1, 1, 1, 1]
    assert len(value["packedBins"]) == 3 if "packedBins" in value else len(value["bins"]) == 5


@pytest.mark.parametrize(("how", "shape"), [("data", (3, 2)), ("frame", (2, 2)), ("media", (1, 1)), ("built", (2, 2))])
def test_table(media: dict[str, Any], how: str, shape: tuple[int, int]) -> None:
    value = of_type(media, f"table/{how}", "table-file")
    assert (value["ncols"], value["nrows"]) == shape
    stored(media, value)


@pytest.mark.parametrize("how", ["numpy", "path"])
def test_video(media: dict[str, Any], how: str) -> None:
    stored(media, of_type(media, f"video/{how}", "video-file"))


def test_audio(media: dict[str, Any]) -> None:
    value = of_type(media, "audio/numpy", "audio-file")
    stored(media, value)
    assert value["caption"] == "tone"


@pytest.mark.parametrize("how", ["points", "scene", "obj", "gltf", "glb"])
def test_object3d(media: dict[str, Any], how: str) -> None:
    stored(media, of_type(media, f"object3d/{how}", "object3D-file"))


def test_molecule(media: dict[str, Any]) -> None:
    stored(media, of_type(media, "molecule", "molecule-file"))


@pytest.mark.parametrize("how", ["figure", "wrapped"])
def test_plotly(media: dict[str, Any], how: str) -> None:
    stored(media, of_type(media, f"plotly/{how}", "plotly-file"))


@pytest.mark.parametrize("how", ["text", "file"])
def test_html(media: dict[str, Any], how: str) -> None:
    stored(media, of_type(media, f"html/{how}", "html-file"))


@pytest.mark.parametrize("how", ["figure", "pyplot"])
def test_matplotlib(media: dict[str, Any], how: str) -> None:
    value = media["values"][f"matplotlib/{how}"]
    assert value["_type"] in {"plotly-file", "image-file"}
    stored(media, value)


@pytest.mark.parametrize(
    "how",
    ["line", "scatter", "bar", "histogram", "line_series", "pr_curve", "roc_curve", "confusion_matrix", "plot_table"],
)
def test_plot(media: dict[str, Any], how: str) -> None:
    """A custom chart is a table in the history, and how to draw it in the config."""
    stored(media, of_type(media, f"plot/{how}_table", "table-file"))
    chart = media["visualize"][f"plot/{how}"]
    assert chart["panel_type"] == "Vega2"
    assert chart["panel_config"]["panelDefId"].startswith("wandb/")


def test_summary_has_the_last_media(media: dict[str, Any]) -> None:
    assert media["summary"]["image/numpy"]["_type"] == "image-file"
