"""Rows of history and events: what the W&B SDK may put into a line, and what it means."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.core.columns import MAX_X, gather
from outrider_tracker.core.rows import read_row, read_rows, step_of, steps_of, value_at
from outrider_tracker.decode.rows import decode
from outrider_tracker.store.batches import SeriesKey
from outrider_tracker.store.found import Found
from outrider_tracker.store.line_blocks import LineFile

NOW = 1_700_000_000.0


def history(*lines: str) -> Found:
    """Decoded history."""
    return decode(lines, LineFile.HISTORY, "", NOW)


def points(found: Found, key: str) -> list[tuple[float, float, float]]:
    """Times, steps and values of a key of history."""
    series = found.series[SeriesKey(key, "user", "user", None, "")]
    return list(zip(series.times, series.steps, series.values, strict=True))


def types(found: Found) -> dict[str, set[tuple[str, int]]]:
    """Types of each key with their counts."""
    answer: dict[str, set[tuple[str, int]]] = {}
    for key, kind, count, _ in found.keys:
        answer.setdefault(key, set()).add((kind, count))
    return answer


class TestReading:
    """JSON as the SDK's simplejsonext writes it."""

    def test_bare_names_stand_for_numbers_that_json_lacks(self) -> None:
        rows = read_rows(['{"a":NaN}', '{"a":1}', '{"a":-Infinity,"b":[Infinity]}'])
        assert math.isnan(rows[0]["a"])
        assert rows[1:] == [{"a": 1}, {"a": -math.inf, "b": [math.inf]}]

    def test_integers_stay_integers(self) -> None:
        """A client takes `5.0` for no step at all."""
        rows = read_rows(['{"_step":5,"big":123456789012345678901234567890,"f":5.0}'])
        assert [type(value) for value in rows[0].values()] == [int, int, float]
        assert rows[0]["big"] == 123456789012345678901234567890

    def test_numbers_beyond_doubles(self) -> None:
        assert read_row('{"a":1e999}') == {"a": math.inf}

    @pytest.mark.parametrize(
        "line", ["", "{", "nan", "{}{}", '{"a":"\\ud800"}', '{"\\udfff":1}', "[" * 100_000, '{"a":' + "9" * 5000 + "}"]
    )
    def test_what_is_no_json_is_none(self, line: str) -> None:
        """Half characters are no text, and nothing takes down those beside it."""
        assert read_rows(['{"a":1}', line, '{"b":2}']) == [{"a": 1}, None, {"b": 2}]
        assert steps_of(['{"_step":1}', line, '{"_step":2}']) == [1, None, 2]

    def test_lines_that_only_together_are_json(self) -> None:
        """A line of two values is none of two lines."""
        assert read_rows(["{},{}"]) == [None]
        assert read_rows(["1,2", "3"]) == [None, 3]

    def test_steps(self) -> None:
        lines = ['{"_step":3}', "{}", '{"_step":"4"}', '{"_step":true}', '{"_step":2.5}', "[1]", '{"_step":NaN}']
        assert steps_of(lines) == [3, None, None, None, 2.5, None, None]
        assert [step_of(row) for row in read_rows(lines)] == steps_of(lines)

    def test_values_under_dots(self) -> None:
        row = {"a": {"b": 1, "c.d": 2}, "a.x": 3, "m": {"_type": "image-file", "path": "p"}}
        assert [value_at(row, key) for key in ("a.b", "a.c.d", "a.x", "m")] == [1, 2, 3, row["m"]]
        for key in ("a.z", "b", "m.path", ""):
            with pytest.raises(KeyError):
                value_at(row, key)


class TestHistory:
    """Points, statistics and media."""

    def test_points_by_step_and_time(self) -> None:
        found = history(
            '{"loss":0.5,"_step":0,"_timestamp":1.5,"_runtime":0.1}', '{"loss":0.25,"_step":1,"_timestamp":2.5}'
        )
        assert points(found, "loss") == [(1.5, 0.0, 0.5), (2.5, 1.0, 0.25)]
        assert list(found.series) == [SeriesKey("loss", "user", "user", None, "")]
        assert types(found)["_runtime"] == {("number", 1)}

    def test_nested_objects_give_keys_with_dots(self) -> None:
        found = history('{"a":{"b":{"c":1}},"a.d":2,"_step":0}')
        assert points(found, "a.b.c")[0][2] == 1
        assert points(found, "a.d")[0][2] == 2
        assert "a" not in types(found)

    def test_types(self) -> None:
        found = history('{"s":"x","b":true,"l":[1],"n":null,"i":1,"f":0.5}', '{"s":1}')
        assert types(found) == {
            "s": {("string", 1), ("number", 1)},
            "b": {("boolean", 1)},
            "l": {("list", 1)},
            "n": {("null", 1)},
            "i": {("number", 1)},
            "f": {("number", 1)},
        }
        assert {key.key for key in found.series} == {"s", "i", "f"}

    def test_numbers_written_as_texts(self) -> None:
        """Older clients write what JSON lacks as texts."""
        found = history('{"a":"NaN","_step":0}', '{"a":"Infinity","_step":1}', '{"a":1,"_step":2}')
        values = [value for _, _, value in points(found, "a")]
        assert math.isnan(values[0])
        assert values[1:] == [math.inf, 1.0]
        assert types(found)["a"] == {("number", 3)}

    def test_media(self) -> None:
        image = {"_type": "image-file", "path": "media/images/a.png", "size": 3, "sha256": "0" * 64}
        found = history(json.dumps({"val": {"img": image}, "h": {"_type": "histogram", "values": [1]}, "_step": 7}))
        assert {item[:3] for item in found.media} == {
            ("val.img", 7, "image-file"),
            ("h", 7, "histogram"),
        }
        assert {json.loads(data)["_type"] for *_, data in found.media} == {"image-file", "histogram"}
        assert types(found)["val.img"] == {("image-file", 1)}

    def test_long_values_are_not_kept_beside_their_keys(self) -> None:
        found = history(json.dumps({"short": "x", "long": "x" * 1000}))
        assert {key: last for key, _, _, last in found.keys} == {"short": '"x"', "long": None}

    def test_the_newest_value_is_that_of_the_last_row(self) -> None:
        """Whatever keys the rows between have."""
        found = history('{"a":1}', '{"a":2,"b":1}', '{"a":3}', '{"b":5,"a":4}', '{"a":5}')
        assert ("a", "number", 5, "5") in found.keys
        assert [value for _, _, value in points(found, "a")] == [1, 2, 3, 4, 5]

    def test_huge_integers(self) -> None:
        found = history(f'{{"a":{10**400},"_step":0}}', f'{{"a":{-(10**400)},"_step":{10**30},"_timestamp":{10**30}}}')
        assert [value for _, _, value in points(found, "a")] == [math.inf, -math.inf]
        assert points(found, "a")[1][0] == NOW
        assert math.isnan(points(found, "a")[1][1])

    def test_rows_that_are_none_are_counted(self) -> None:
        lines = ["[1]", "nothing", '{"a":1}', "3"]
        assert gather(read_rows(lines), NOW).malformed == 3
        assert len(points(history(*lines), "a")) == 1

    def test_deep_and_long_keys_give_nothing(self) -> None:
        deep = '{"a":' * 500 + "1" + "}" * 500
        found = history(deep, json.dumps({"k" * 2000: 1, "fine": 1}))
        assert {key.key for key in found.series} == {"fine"}

    def test_steps_of_media_fit_the_store(self) -> None:
        found = history(json.dumps({"m": {"_type": "x"}, "_step": int(MAX_X)}))
        assert found.media[0][1] is None


class TestEvents:
    """System metrics."""

    def test_keys_are_kept_whole(self) -> None:
        """With the label of a writer, which a chart groups by."""
        line = '{"_wandb":true,"_timestamp":3.0,"_runtime":1.0,"system.gpu.0.temp/l:node-1":40,"system.cpu":1.5}'
        found = decode([line], LineFile.EVENTS, "writer", NOW)
        assert set(found.series) == {
            SeriesKey("system.gpu.0.temp/l:node-1", "system", "node", None, "writer"),
            SeriesKey("system.cpu", "system", "node", None, "writer"),
        }
        assert not found.keys


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["NaN", "Infinity"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["a", "b", "c", "a.b", "_step", "_timestamp", "_type", "", "\0"])


def plain(row: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    """Flat keys and values, the slow and obvious way."""
    answer: list[tuple[str, object]] = []
    for key, value in row.items():
        if isinstance(value, dict) and not isinstance(value.get("_type"), str):
            answer += plain(value, f"{prefix}{key}.")
        else:
            answer.append((prefix + key, value))
    return answer


@given(st.lists(st.dictionaries(KEYS, JSONS, max_size=4), max_size=8))
def test_columns_say_what_the_rows_say(rows: list[dict[str, object]]) -> None:
    """Any JSON: no exception, every value counted once, points in the order of rows."""
    found = gather(rows, NOW)
    wanted: Counter[str] = Counter(key for row in rows for key, _ in plain(row))
    counted: Counter[str] = Counter()
    for (key, _), item in found.keys.items():
        counted[key] += item.count
        item.last_json()
    assert counted == wanted
    for key, column in found.numbers.items():
        assert column.places == sorted(column.places)
        assert len(column.places) == len(column.times) == len(column.steps) == len(column.values)
        assert all(abs(time) <= MAX_X for time in column.times)
        numbers = [
            (place, value)
            for place, row in enumerate(rows)
            for name, value in plain(row)
            if name == key and isinstance(value, float) and math.isfinite(value)
        ]
        assert Counter(numbers) <= Counter(zip(column.places, column.values, strict=True))
