"""What the pages of SDK runs read from what clients wrote: shapes as wandb 0.31 sends them, and anything else."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.api import sdk_answers
from outrider_tracker.core import media, metric_definitions, shown_files, table_file
from outrider_tracker.core.metric_definitions import Metric
from outrider_tracker.core.sdk_facts import facts
from outrider_tracker.core.table_file import TableError

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


class TestMetricDefinitions:
    """`m` as the client writes it after define_metric: recorded from wandb 0.31."""

    # define_metric("epoch", hidden=True), ("train/*", step_metric="epoch"), ("val/acc", summary="max", step_metric=…)
    SENT: Final[Any] = [
        {"5": 2, "6": [1, 3], "7": [2], "1": "val/acc"},
        {"1": "epoch", "6": [3, 2], "7": []},
        {"5": 2, "6": [1], "7": [], "2": "train/*"},
    ]

    def test_the_step_metric_is_named_by_its_place(self) -> None:
        defined = metric_definitions.decode(self.SENT)
        assert defined.of("val/acc") == Metric("epoch", False, ("max",))
        assert defined.of("epoch") == Metric(None, True, ())

    def test_a_glob_is_for_keys_without_a_definition_of_their_own(self) -> None:
        defined = metric_definitions.decode([*self.SENT, {"1": "train/lr", "6": [3]}])
        assert defined.of("train/loss").x == "epoch"
        assert defined.of("train/lr").x is None
        assert defined.of("other") == Metric()

    def test_no_key_is_its_own_axis(self) -> None:
        defined = metric_definitions.decode([{"1": "step", "6": [3]}, {"2": "*", "5": 1}])
        assert defined.of("step").x is None
        assert defined.of("loss").x == "step"

    def test_an_older_client_names_the_step_metric_itself(self) -> None:
        assert metric_definitions.decode([{"1": "loss", "4": "epoch"}]).of("loss").x == "epoch"

    def test_a_dot_of_the_name_is_escaped(self) -> None:
        assert metric_definitions.decode([{"1": "a\\.b", "6": [2]}]).of("a.b").hidden

    def test_what_is_no_definition_keeps_its_place(self) -> None:
        assert metric_definitions.decode(["odd", {"1": "epoch"}, {"1": "loss", "5": 2}]).of("loss").x == "epoch"

    @given(ANYTHING | st.lists(st.dictionaries(st.sampled_from("1245678"), ANYTHING)))
    def test_anything_at_all_decodes(self, listed: Any) -> None:
        metric_definitions.decode(listed).of("loss")


class TestMedia:
    def test_an_image(self) -> None:
        value = {"_type": "image-file", "path": "media/images/a.png", "caption": "c1", "width": 8, "height": 6}
        (item,) = media.items_of(value)
        assert (item.kind, item.path, item.caption, item.width, item.height) == (
            "image", "media/images/a.png", "c1", 8, 6,
        )  # fmt: skip

    def test_a_list_of_images_keeps_each_caption(self) -> None:
        value = {
            "_type": "images/separated",
            "width": 8,
            "height": 8,
            "count": 2,
            "filenames": ["media/images/a.png", "media/images/b.png"],
            "captions": ["a", None],
        }
        assert [(item.path, item.caption) for item in media.items_of(value)] == [
            ("media/images/a.png", "a"),
            ("media/images/b.png", None),
        ]

    @pytest.mark.parametrize(
        ("value", "kind", "paths"),
        [
            ({"_type": "audio", "audio": [{"_type": "audio-file", "path": "a.wav"}]}, "audio", ["a.wav"]),
            ({"_type": "videos", "videos": [{"_type": "video-file", "path": "v.mp4"}]}, "video", ["v.mp4"]),
            ({"_type": "html", "html": [{"_type": "html-file", "path": "h.html"}]}, "html", ["h.html"]),
            ({"_type": "table-file", "path": "t.table.json", "nrows": 2}, "table", ["t.table.json"]),
            ({"_type": "plotly-file", "path": "p.plotly.json"}, "plotly", ["p.plotly.json"]),
            ({"_type": "from-the-future", "path": "x"}, "other", ["x"]),
        ],
    )
    def test_the_clients_other_types(self, value: dict[str, Any], kind: str, paths: list[str]) -> None:
        assert media.kind_of(value["_type"]) == kind
        assert [(item.kind, item.path) for item in media.items_of(value)] == [(kind, path) for path in paths]

    def test_a_histogram_has_one_edge_more_than_counts(self) -> None:
        (long,) = media.items_of({"_type": "histogram", "bins": [0, 1, 2], "values": [3, 4]})
        assert (long.bins, long.values) == ([0, 1, 2], [3, 4])
        packed = {"_type": "histogram", "packedBins": {"min": 1, "size": 0.5, "count": 2}, "values": [3, 4]}
        (short,) = media.items_of(packed)
        assert (short.bins, short.values) == ([1, 1.5, 2], [3, 4])
        (broken,) = media.items_of({"_type": "histogram", "bins": [0, "x"], "values": [3, 4, 5]})
        assert (broken.bins, broken.values) == ([], [])

    @given(ANYTHING | st.dictionaries(st.sampled_from(["filenames", "captions", "html", "bins"]), ANYTHING))
    def test_anything_at_all_has_a_bounded_list(self, value: Any) -> None:
        for name in ("images/separated", "html", "histogram", "image-file", ""):
            odd = {**value, "_type": name} if isinstance(value, dict) else value
            assert len(media.items_of(odd)) <= media.MAX_ITEMS


class TestTables:
    @given(
        st.lists(st.text(max_size=5), min_size=1, max_size=4, unique=True),
        st.lists(st.lists(st.integers() | st.text(max_size=5) | st.none(), min_size=4, max_size=4), max_size=30),
        st.integers(0, 40),
        st.integers(1, 40),
    )
    def test_a_page_is_a_slice_of_the_whole(self, columns: list[str], rows: list[Any], first: int, limit: int) -> None:
        data = [row[: len(columns)] for row in rows]
        text = json.dumps({"ncols": len(columns), "data": data, "columns": columns}, indent=1)
        page = table_file.read_page(text, first, limit)
        assert page.columns == columns
        assert page.total == len(data)
        assert page.rows == data[first : first + limit]

    def test_the_clients_own_file(self) -> None:
        text = '{"columns":["a","b","img"],"data":[[1,"x",{"_type":"image-file","path":"p.png"}],[2,"y",null]]}'
        page = table_file.read_page(text, 0, 10)
        assert page.rows == [[1, "x", {"_type": "image-file", "path": "p.png"}], [2, "y", None]]

    def test_ragged_rows_are_fitted_and_long_cells_cut(self) -> None:
        page = table_file.read_page(json.dumps({"columns": ["a", "b"], "data": [[1], [1, "x" * 10_000, 3]]}), 0, 10)
        assert page.rows[0] == [1, None]
        assert len(page.rows[1][1]) <= table_file.MAX_CELL + 1

    @pytest.mark.parametrize("text", ["", "[]", "{", '{"data": [', '{"data": [[1]', "null", '{"a" 1}', "[" * 100_000])
    def test_what_is_no_table_is_refused(self, text: str) -> None:
        with pytest.raises(TableError):
            table_file.read_page(text, 0, 10)

    @given(st.text(alphabet='{}[]",:0 datcolumns\n', max_size=60))
    def test_any_text_is_a_table_or_refused(self, text: str) -> None:
        try:
            table_file.read_page(text, 0, 10)
        except TableError:
            return


class TestFacts:
    METADATA: Final[Any] = {
        "os": "Linux-6.1-x86_64-with-glibc2.36",
        "python": "CPython 3.11.7",
        "program": "/app/train.py",
        "args": ["--lr", "0.1"],
        "git": {"remote": "https://example.com/r.git", "commit": "abc"},
        "root": "/app",
        "host": "node-1",
        "executable": "/usr/bin/python3",
        "cpu_count": 2,
        "cpu_count_logical": 4,
        "gpu": "NVIDIA H100",
        "gpu_count": 2,
        "memory": {"total": "25276502016"},
        "cpu": {"model": "EPYC"},
    }

    def test_the_clients_metadata(self) -> None:
        found = facts(self.METADATA, {"cli_version": "0.31.0"})
        assert found.command == "/app/train.py --lr 0.1"
        assert (found.memory_bytes, found.cpu_count, found.cpu_threads) == (25276502016, 2, 4)
        assert list(found.gpus) == ["NVIDIA H100"] * 2
        assert (found.git_commit, found.cli_version) == ("abc", "0.31.0")

    def test_before_the_file_came_the_config_has_them(self) -> None:
        found = facts({}, {"e": {"writer": self.METADATA}, "python_version": "3.11.7"})
        assert (found.host, found.python) == ("node-1", "CPython 3.11.7")

    @given(st.dictionaries(st.sampled_from(["git", "cpu", "memory", "args", "gpu_nvidia", "gpu", "e"]), ANYTHING))
    def test_anything_at_all_gives_facts(self, told: dict[str, Any]) -> None:
        facts(told, told)


def test_charts_of_wandb_plot_name_their_table_and_columns() -> None:
    """`visualize` as wandb.plot.bar of 0.31 writes it."""
    table = {"name": "summaryTable", "args": [{"name": "tableKey", "value": "Custom Chart Tables/bar_table"}]}
    runs = {"name": "runSets", "args": [{"name": "runSets", "value": "${runSets}"}], "fields": [table]}
    query = {"queryFields": [runs]}
    panel = {
        "panelDefId": "wandb/bar/v0",
        "fieldSettings": {"label": "l", "value": "v"},
        "stringSettings": {"title": "T"},
        "userQuery": query,
    }
    sent = {"visualize": {"bar": {"panel_type": "Vega2", "panel_config": panel}}}
    assert sdk_answers.custom_charts(sent) == [
        {
            "key": "bar",
            "preset": "wandb/bar/v0",
            "table": "Custom Chart Tables/bar_table",
            "fields": {"label": "l", "value": "v"},
            "texts": {"title": "T"},
        }
    ]


@given(st.dictionaries(st.just("visualize"), ANYTHING))
def test_anything_at_all_gives_charts(told: dict[str, Any]) -> None:
    sdk_answers.custom_charts(told)


class TestShownFiles:
    @pytest.mark.parametrize(
        ("head", "name", "kind"),
        [
            (b"\x89PNG\r\n\x1a\n....", "a.png", "image/png"),
            (b"\x89PNG\r\n\x1a\n....", "a.html", "image/png"),
            (b"\xff\xd8\xff\xe0", "a.jpg", "image/jpeg"),
            (b"RIFF....WAVEfmt ", "a.wav", "audio/wav"),
            (b"\x00\x00\x00\x20ftypisom", "a.mp4", "video/mp4"),
            (b"<?xml?><svg xmlns='x'>", "a.svg", "image/svg+xml"),
        ],
    )
    def test_first_bytes_decide(self, head: bytes, name: str, kind: str) -> None:
        assert shown_files.content_type(head, name) == kind

    @pytest.mark.parametrize("head", [b"<html><script>1</script>", b"", b"GIF8", b"<svg>", b"%PDF-1.7", b"PK\x03\x04"])
    def test_nothing_else_is_shown(self, head: bytes) -> None:
        assert shown_files.content_type(head, "a.html") is None

    @given(st.binary(max_size=64), st.text(max_size=20))
    def test_never_as_a_page_or_a_script(self, head: bytes, name: str) -> None:
        kind = shown_files.content_type(head, name)
        assert kind is None or kind.split("/")[0] in {"image", "audio", "video"}
