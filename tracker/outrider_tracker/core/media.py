"""Values with a `_type` as a list of things to show: pure. What a run logged is never trusted to have its own shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal[
    "image", "audio", "video", "html", "table", "histogram", "plotly", "object3d", "molecule", "file", "other"
]

MAX_ITEMS: Final = 500
MAX_BINS: Final = 4096
MAX_TEXT: Final = 10_000

# The client's names of single values, and of lists: the field that holds the list.
_SINGLE: Final[Mapping[str, Kind]] = {
    "image-file": "image",
    "audio-file": "audio",
    "video-file": "video",
    "html-file": "html",
    "table-file": "table",
    "incremental-table-file": "table",
    "partitioned-table": "other",
    "joined-table": "other",
    "histogram": "histogram",
    "plotly-file": "plotly",
    "object3D-file": "object3d",
    "molecule-file": "molecule",
    "bokeh-file": "file",
    "graph-file": "file",
    "file": "file",
}
_LISTS: Final[Mapping[str, tuple[Kind, str]]] = {
    "audio": ("audio", "audio"),
    "videos": ("video", "videos"),
    "html": ("html", "html"),
    "object3D": ("object3d", "filenames"),
    "molecule": ("molecule", "filenames"),
    "images": ("image", "filenames"),
    "images/separated": ("image", "filenames"),
}


@dataclass(frozen=True, slots=True)
class MediaItem:
    """One thing to show. `path`: the run file that holds it. `bins` has one more entry than `values` (histograms).

    `overlays`: run files with masks and boxes of an image, by name.
    """

    kind: Kind
    path: str | None = None
    caption: str | None = None
    width: int | None = None
    height: int | None = None
    rows: int | None = None
    columns: int | None = None
    bins: Sequence[float] | None = None
    values: Sequence[float] | None = None
    overlays: Sequence[tuple[str, str]] = ()


def kind_of(type_name: str) -> Kind:
    """What a `_type` is shown as."""
    if type_name in _LISTS:
        return _LISTS[type_name][0]
    return _SINGLE.get(type_name, "other")


def items_of(value: Any) -> list[MediaItem]:
    """Everything in one logged value, at most MAX_ITEMS."""
    if not isinstance(value, dict):
        return []
    name = str(value.get("_type", ""))
    if name in _LISTS:
        return _listed(value, *_LISTS[name])
    return [_item(kind_of(name), value, _text(value.get("caption")))]


def _listed(value: Mapping[str, Any], kind: Kind, field: str) -> list[MediaItem]:
    found = value.get(field)
    found = found[:MAX_ITEMS] if isinstance(found, list) else []
    captions = value.get("captions")
    made: list[MediaItem] = []
    for index, each in enumerate(found):
        caption = _text(captions[index]) if isinstance(captions, list) and index < len(captions) else None
        if isinstance(each, dict):
            made.append(_item(kind, each, caption or _text(each.get("caption"))))
        elif isinstance(each, str):
            overlays = _overlays(_at(value.get("all_masks"), index), _at(value.get("all_boxes"), index))
            width, height = _whole(value.get("width")), _whole(value.get("height"))
            made.append(MediaItem(kind, each, caption, width, height, overlays=overlays))
    return made


def _item(kind: Kind, value: Mapping[str, Any], caption: str | None) -> MediaItem:
    if kind == "histogram":
        bins, values = _histogram(value)
        return MediaItem(kind, caption=caption, bins=bins, values=values)
    return MediaItem(
        kind,
        _text(value.get("path")),
        caption,
        _whole(value.get("width")),
        _whole(value.get("height")),
        _whole(value.get("nrows")),
        _whole(value.get("ncols")),
        overlays=_overlays(value.get("masks"), value.get("boxes")),
    )


def _histogram(value: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """Edges and counts; the short form names the first edge, the width and how many."""
    values = _numbers(value.get("values"))
    packed = value.get("packedBins")
    if isinstance(packed, dict):
        low, size = _number(packed.get("min")), _number(packed.get("size"))
        bins = [] if low is None or size is None else [low + size * index for index in range(len(values) + 1)]
    else:
        bins = _numbers(value.get("bins"))
    return (bins, values) if len(bins) == len(values) + 1 else ([], [])


def _overlays(*groups: Any) -> tuple[tuple[str, str], ...]:
    return tuple(
        (str(name)[:200], path)
        for group in groups
        if isinstance(group, dict)
        for name, each in list(group.items())[:20]
        if isinstance(each, dict) and (path := _text(each.get("path"))) is not None
    )


def _at(value: Any, index: int) -> Any:
    return value[index] if isinstance(value, list) and index < len(value) else None


def _text(value: Any) -> str | None:
    return value[:MAX_TEXT] if isinstance(value, str) and value else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _numbers(value: Any) -> list[float]:
    if not isinstance(value, list):
        return []
    found = [_number(each) for each in value[: MAX_BINS + 1]]
    return [each for each in found if each is not None]
