"""Bodies of the filestream door: read, unpacked within bounds, decided."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider_tracker.core.errors import RefusedError
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.sdk_stream import Posted
from outrider_tracker.wandb import filestream
from outrider_tracker.wandb.filestream import client_of, decide, read, unpack


def _decided(body: dict[str, Any], client: str = "") -> Posted:
    return decide(read(json.dumps(body).encode()), client)


def test_an_empty_post_is_a_heartbeat() -> None:
    assert _decided({}) == Posted(batches=[])


def test_all_that_a_post_can_hold() -> None:
    posted = _decided(
        {
            "files": {
                "wandb-history.jsonl": {"offset": 4, "content": ['{"_step":4,"a":NaN}', '{"_step":5}']},
                "wandb-events.jsonl": {"offset": 1, "content": ['{"system.cpu":1}']},
                "output.log": {"offset": 0, "content": ["one", "two"]},
                "wandb-summary.json": {"offset": 0, "content": ['{"a":1}', '{"a":2,"n":NaN,"i":-Infinity}']},
                "something.else": {"offset": 0, "content": ["x"]},
            },
            "uploaded": ["config.yaml"],
            "preempting": True,
            "complete": True,
            "exitcode": 3,
            "dropped": 7,
        },
        "w1",
    )
    assert [(batch.file, batch.client, batch.first, list(batch.lines)) for batch in posted.batches] == [
        (LineFile.HISTORY, "w1", 4, ['{"_step":4,"a":NaN}', '{"_step":5}']),
        (LineFile.EVENTS, "w1", 1, ['{"system.cpu":1}']),
        (LineFile.CONSOLE, "w1", 0, ["one", "two"]),
    ]
    assert posted.summary == {"a": 2, "n": "NaN", "i": "-Infinity"}
    assert (posted.client, posted.preempting, posted.exit_code) == ("w1", True, 3)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"complete": True, "exitcode": 0}, 0),
        ({"complete": True}, 0),
        ({"exitcode": 1}, 1),
        ({"complete": False}, None),
    ],
)
def test_the_end_has_an_exit_code(body: dict[str, Any], code: int | None) -> None:
    assert _decided(body).exit_code == code


def test_half_characters_are_taken() -> None:
    """A Python client can send a lone surrogate, which is JSON but no text."""
    posted = decide(read(b'{"files":{"output.log":{"offset":0,"content":["a\\ud800b"]}}}'), "")
    assert list(posted.batches[0].lines) == ["a?b"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"files": []}',
        b'{"files": {"output.log": {"offset": "x", "content": []}}}',
        b'{"files": {"output.log": {"offset": 0, "content": [1]}}}',
        b'{"exitcode": NaN}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_post_is_refused_for_good(body: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        read(body)
    assert refused.value.status == 400


@pytest.mark.parametrize("summary", ["", "[]", "{", "1", '{"a":', "[" * 100_000])
def test_a_summary_is_a_json_object(summary: str) -> None:
    with pytest.raises(RefusedError) as refused:
        _decided({"files": {"wandb-summary.json": {"offset": 0, "content": [summary]}}})
    assert refused.value.status == 400


@pytest.mark.parametrize("offset", [-1, 1 << 60])
def test_a_lines_number_is_one(offset: int) -> None:
    with pytest.raises(RefusedError) as refused:
        _decided({"files": {"output.log": {"offset": offset, "content": ["x"]}}})
    assert refused.value.status == 400


def test_gzip_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unpack(gzip.compress(b"{}"), "gzip") == b"{}"
    assert unpack(b"{}", "") == b"{}"
    monkeypatch.setattr(filestream, "MAX_UNPACKED", 1000)
    for body, coding, status in (
        (gzip.compress(b" " * 1001), "gzip", 413),
        (gzip.compress(b"{}")[:-9], "gzip", 400),
        (b"{}", "gzip", 400),
        (b"{}", "br", 415),
    ):
        with pytest.raises(RefusedError) as refused:
            unpack(body, coding)
        assert refused.value.status == status


@settings(max_examples=300)
@given(st.integers(0, 70), st.integers(0, 3), st.integers(0, 9), st.binary(max_size=40))
def test_gzip_in_pieces_is_whole(size: int, level: int, times: int, seed: bytes) -> None:
    """Whatever falls together with the end of a piece: of what is packed, of what comes out of it, of both."""
    body = (seed * times + bytes(size))[: 8 * size + 1] if seed else bytes(size * times)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filestream, "PIECE", 8)
        patch.setattr(filestream, "PACKED_PIECE", 7)
        assert unpack(gzip.compress(body, level), "gzip") == body


def test_writers_of_shared_mode_have_names() -> None:
    assert client_of({}) == ""
    assert client_of({"x-wandb-async-client-id": "a"}) == ""
    assert client_of({"x-wandb-async-client-id": "a", "x-wandb-use-async-filestream": "true"}) == "a"
    with pytest.raises(RefusedError):
        client_of({"x-wandb-use-async-filestream": "true"})
