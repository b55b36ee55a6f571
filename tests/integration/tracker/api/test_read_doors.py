"""Every door of the read API on a served tracker that was filled through the doors of sidecars and controller."""

from __future__ import annotations

import math
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from outrider_tracker.api.models import (
    FileList,
    Lines,
    RankList,
    Run,
    SeriesData,
    SeriesList,
    Stream,
    StreamList,
)
from outrider_tracker.api.sdk_models import AnyRunList
from tests.browser.fill import (
    HOSTILE_FILE,
    HOSTILE_LINE,
    HOSTILE_PAGE,
    LAST_WORDS,
    Filler,
    Source,
    rank_stream,
    text_labels,
    training_log,
)
from tests.browser.served import Served

Failed = tuple[str, list[Source]]
StreamOf = Callable[[int, str], int]
ACCEPTED = ("résumé of 東京 \u202e.svg", "\"; filename=evil.html; x='%00")


class TestEveryDoor:
    def test_the_list_shows_the_run_without_its_long_fields(self, ada: httpx.Client, failed: Failed) -> None:
        body = ada.get("/api/v1/runs", params={"q": "RESNET-50"}).json()
        AnyRunList.model_validate(body)
        (run,) = body["items"]
        assert (run["state"], run["entity"], run["project"]) == ("Failed", "vision", "resnet")
        assert run["ranks"] == {"expected": 4, "running": 0, "succeeded": 0, "failed": 1, "lost": 0}
        assert run["failure"]["reason"] == "OOMKilled"
        assert not {"config", "notes", "conditions", "attempts"} & run.keys()

    def test_filters_choose(self, ada: httpx.Client, failed: Failed) -> None:
        def names(**wanted: str) -> list[str]:
            return [run["name"] for run in ada.get("/api/v1/runs", params=wanted).json()["items"]]

        name = failed[0].rsplit("/", 1)[1]
        assert name in names(state="Failed")
        assert name not in names(state="Running")
        assert names(project="resnet", entity="vision") == [name]
        assert names(q="no-such-run") == names(entity="speech") == []

    def test_one_run_has_its_whole_record(self, ada: httpx.Client, failed: Failed) -> None:
        run = Run.model_validate(ada.get(failed[0]).json())
        assert run.failure is not None
        assert run.failure.lastWords == LAST_WORDS
        assert run.config["optimizer"] == {"name": "sgd", "momentum": 0.9, "weight_decay": 5e-5}
        assert [attempt.reason for attempt in run.attempts] == ["OOMKilled"]
        assert "RankFailed" in [condition.type for condition in run.conditions]
        assert run.collection.lostBytes == 48_213

    def test_ranks_have_their_ends_places_and_streams(self, ada: httpx.Client, failed: Failed) -> None:
        ranks = RankList.model_validate(ada.get(f"{failed[0]}/ranks").json()).items
        assert [rank.rank for rank in ranks] == [0, 1, 2, 3]
        assert [(rank.nodeRank, rank.localRank) for rank in ranks] == [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert [(rank.signal, rank.oomKills) for rank in ranks] == [(15, 0), (15, 0), (15, 0), (9, 1)]
        assert {rank.state for rank in ranks} == {"exited"}
        assert ranks[3].pod == "resnet-ddp-1-x7k2p"
        assert {stream.kind for stream in ranks[3].streams} == {"stdout", "stderr"}
        assert next(stream.lostBytes for stream in ranks[2].streams if stream.kind == "stdout") == 48_213

    def test_streams_of_all_pods_are_listed(self, ada: httpx.Client, failed: Failed) -> None:
        streams = StreamList.model_validate(ada.get(f"{failed[0]}/streams").json()).items
        assert len(streams) == 2 * (1 + 1 + 4 + 2)  # each pod: events, samples, two ranks' stdout and stderr, two user
        assert {stream.labels.get("kind") for stream in streams} == {"events", "metrics", "stdout", "stderr", "user"}

    def test_series_and_their_data(self, ada: httpx.Client, failed: Failed) -> None:
        listed = {item.key: item for item in SeriesList.model_validate(ada.get(f"{failed[0]}/series").json()).items}
        assert (listed["loss"].kind, listed["loss"].lines) == ("user", 4)
        assert (listed["proc.memory.rssMB"].kind, listed["proc.memory.rssMB"].scope) == ("system", "rank")
        query: dict[str, Any] = {"key": "proc.memory.rssMB", "points": 20}
        data = SeriesData.model_validate(ada.get(f"{failed[0]}/series/data", params=query).json())
        assert sorted(line.rank for line in data.lines if line.rank is not None) == [0, 1, 2, 3]
        leaking = next(line for line in data.lines if line.rank == 3)
        assert len(leaking.x) <= 20
        # The filler's rank 3 leaks 95 MB a sample over 96 samples.
        assert isinstance(leaking.max[-1], float)
        assert isinstance(leaking.min[0], float)
        assert leaking.max[-1] - leaking.min[0] > 8000

    def test_series_by_step_and_in_a_range(self, ada: httpx.Client, failed: Failed) -> None:
        query: dict[str, Any] = {"key": "loss", "x": "step", "from": 500, "to": 1500, "points": 50}
        data = ada.get(f"{failed[0]}/series/data", params=query).json()
        assert len(data["lines"]) == 4
        for line in data["lines"]:
            assert line["x"]
            assert min(line["x"]) >= 500 - 20
            assert max(line["x"]) <= 1500 + 20
            assert all(
                low <= mean <= high for low, mean, high in zip(line["min"], line["mean"], line["max"], strict=True)
            )
            assert not any(math.isnan(value) for value in line["mean"])

    def test_files_show_the_newest_version(self, ada: httpx.Client, failed: Failed) -> None:
        files = {item.path: item for item in FileList.model_validate(ada.get(f"{failed[0]}/files").json()).items}
        assert set(files) == {"checkpoints/epoch_003.pt", "checkpoints/last.pt", "out/report.json", HOSTILE_FILE}
        assert (files["checkpoints/last.pt"].versions, files["checkpoints/last.pt"].size) == (2, 840_000)

    def test_one_stream(self, ada: httpx.Client, stream_of: StreamOf) -> None:
        stream = Stream.model_validate(ada.get(f"/api/v1/streams/{stream_of(2, 'stdout')}").json())
        assert stream.name == rank_stream(0, "stdout")
        assert stream.lostBytes == 48_213

    def test_the_last_lines_are_those_that_were_written(self, ada: httpx.Client, stream_of: StreamOf) -> None:
        url = f"/api/v1/streams/{stream_of(3, 'stderr')}/lines"
        answer = Lines.model_validate(ada.get(url, params={"last": 7}).json())
        assert [line.text for line in answer.lines] == [HOSTILE_LINE] + [
            f"\x1b[31m{line}\x1b[0m" for line in LAST_WORDS
        ]
        assert not answer.partial

    def test_lost_ranges_stand_among_the_lines(self, ada: httpx.Client, stream_of: StreamOf) -> None:
        answer = ada.get(f"/api/v1/streams/{stream_of(2, 'stdout')}/lines", params={"last": 20}).json()
        lost = [line for line in answer["lines"] if "lost" in line]
        assert [(line["lost"], line["reason"]) for line in lost] == [(48_213, "the volume's spool limit was reached")]
        assert lost[0]["offset"] == len(training_log(2, 1150, 0))

    def test_bytes_are_those_that_were_written(self, ada: httpx.Client, stream_of: StreamOf, filler: Filler) -> None:
        written = training_log(1, 1150, filler.now - 600)
        response = ada.get(f"/api/v1/streams/{stream_of(1, 'stdout')}/bytes")
        assert zlib.crc32(response.content) == zlib.crc32(written)
        assert response.headers["content-length"] == str(len(written))
        part = ada.get(f"/api/v1/streams/{stream_of(1, 'stdout')}/bytes", params={"offset": 100, "limit": 50})
        assert part.content == written[100:150]

    def test_bytes_end_before_a_lost_range_and_go_on_behind_it(self, ada: httpx.Client, stream_of: StreamOf) -> None:
        url = f"/api/v1/streams/{stream_of(2, 'stdout')}/bytes"
        first = ada.get(url)
        start, stop = (int(part) for part in first.headers["outrider-lost"].split("-"))
        assert (len(first.content), stop - start) == (start, 48_213)
        rest = ada.get(url, params={"offset": stop})
        marked = ada.get(url, params={"gaps": "mark"}).content
        assert marked.startswith(first.content)
        assert marked.endswith(rest.content)
        assert b"48213 bytes are lost here" in marked

    def test_paging_through_lines_gives_each_line_once(
        self, ada: httpx.Client, stream_of: StreamOf, filler: Filler
    ) -> None:
        url = f"/api/v1/streams/{stream_of(0, 'stdout')}/lines"
        wanted = training_log(0, 1150, filler.now - 600).decode().splitlines()
        forward: list[str] = []
        at = 0
        while len(forward) < len(wanted):
            answer = ada.get(url, params={"from": at, "limit": 137}).json()
            assert answer["lines"]
            forward += [line["text"] for line in answer["lines"]]
            at = answer["end"]
        assert forward == wanted
        backward: list[str] = []
        while at > 0:
            answer = ada.get(url, params={"before": at, "limit": 211}).json()
            backward = [line["text"] for line in answer["lines"]] + backward
            at = answer["start"]
        assert backward == wanted


class TestWhoMay:
    def test_a_wrong_key_is_401(self, served: Served) -> None:
        for sent in ({}, {"Authorization": f"Bearer {'f' * 40}"}, {"Cookie": "outrider_session=YWRh.99999999999.AAAA"}):
            response = httpx.get(f"{served.url}/api/v1/runs", headers=sent, timeout=30.0)
            assert response.status_code == 401
            assert response.json()["error"]["code"] == "unauthenticated"

    def test_a_session_works_and_cannot_be_forged(self, served: Served, failed: Failed) -> None:
        with httpx.Client(base_url=served.url, timeout=30.0) as client:
            answer = client.post("/api/v1/session", json={"key": "b" * 40})
            assert answer.json()["user"] == {"name": "ada", "admin": False, "entities": ["ada", "vision"]}
            assert client.get(failed[0]).status_code == 200
            token = client.cookies["outrider_session"]
            for at in (3, len(token) // 2, len(token) - 2):
                forged = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
                response = httpx.get(f"{served.url}{failed[0]}", cookies={"outrider_session": forged}, timeout=30.0)
                assert response.status_code == 401, at

    @pytest.mark.parametrize("rest", ["", "/ranks", "/streams", "/series", "/series/data?key=loss", "/files"])
    def test_a_foreign_entity_is_404(self, bob: httpx.Client, failed: Failed, rest: str) -> None:
        assert bob.get(f"{failed[0]}{rest}").status_code == 404

    def test_foreign_streams_and_files_are_404(
        self, ada: httpx.Client, bob: httpx.Client, failed: Failed, stream_of: StreamOf
    ) -> None:
        file = ada.get(f"{failed[0]}/files").json()["items"][0]["id"]
        stream = stream_of(0, "stdout")
        for path in (
            f"files/{file}/content",
            f"streams/{stream}",
            f"streams/{stream}/lines?last=1",
            f"streams/{stream}/bytes",
        ):
            assert bob.get(f"/api/v1/{path}").status_code == 404
        assert bob.get("/api/v1/runs").json()["items"] == []

    def test_a_viewer_cannot_write(self, ada: httpx.Client) -> None:
        assert ada.put("/api/v1/control/runs/x", json={"namespace": "vision"}).status_code == 403


class TestPaging:
    def test_pages_hold_each_run_once_while_runs_are_added(self, ada: httpx.Client, filler: Filler) -> None:
        """New Runs come on top between any two pages; nobody below is skipped or shown twice."""
        wanted = [f"paged-{index:03d}" for index in range(40)]
        for index, name in enumerate(wanted):
            filler.put_run(name, project="paging", ago=10_000.0 + index)
        seen: list[str] = []
        cursor = None
        while True:
            query = {"project": "paging", "limit": "7", **({"cursor": cursor} if cursor else {})}
            page = ada.get("/api/v1/runs", params=query).json()
            seen += [run["name"] for run in page["items"]]
            filler.put_run(f"newcomer-{len(seen)}", project="paging", ago=1.0)
            filler.put_run(seen[0], project="paging", ago=10_000.0, state="Finished")
            cursor = page["next"]
            if cursor is None:
                break
        assert seen == wanted


class TestDownloads:
    @pytest.fixture
    def report(self, ada: httpx.Client, failed: Failed) -> str:
        files = ada.get(f"{failed[0]}/files").json()["items"]
        return next(f"/api/v1/files/{item['id']}/content" for item in files if item["path"] == "checkpoints/last.pt")

    def test_ranges(self, ada: httpx.Client, report: str) -> None:
        whole = b"weights" * 120_000
        response = ada.get(report)
        assert (response.status_code, response.content) == (200, whole)
        for header, start, stop in (
            ("0-6", 0, 7),
            ("7-", 7, 840_000),
            ("-5", 839_995, 840_000),
            ("5-9999999", 5, 840_000),
        ):
            response = ada.get(report, headers={"Range": f"bytes={header}"})
            assert response.status_code == 206
            assert response.content == whole[start:stop]
            assert response.headers["content-range"] == f"bytes {start}-{stop - 1}/840000"
        response = ada.get(report, headers={"Range": "bytes=840000-"})
        assert (response.status_code, response.headers["content-range"]) == (416, "bytes */840000")

    def test_a_range_of_another_version_is_the_whole(self, ada: httpx.Client, report: str) -> None:
        tag = ada.get(report).headers["etag"]
        assert ada.get(report, headers={"Range": "bytes=0-1", "If-Range": tag}).status_code == 206
        assert ada.get(report, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).status_code == 200

    def test_a_page_that_a_job_wrote_is_a_file_and_no_page(self, ada: httpx.Client, failed: Failed) -> None:
        files = ada.get(f"{failed[0]}/files").json()["items"]
        hostile = next(item for item in files if item["path"] == HOSTILE_FILE)
        response = ada.get(f"/api/v1/files/{hostile['id']}/content")
        assert response.content == HOSTILE_PAGE
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in response.headers["content-security-policy"]
        assert response.headers["content-disposition"].startswith('attachment; filename="_img src_x')

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    @example(name=ACCEPTED[0])
    @example(name=ACCEPTED[1])
    @given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\x00"), min_size=1, max_size=60))
    def test_any_name_that_a_sidecar_can_send_comes_back_whole_and_safe(
        self, ada: httpx.Client, failed: Failed, name: str
    ) -> None:
        """The list has the path as it was; the download has one well-formed header."""
        path = f"any/{name}"
        try:
            file = failed[1][0].save(path, b"x")
        except httpx.HTTPStatusError as refused:
            if refused.response.status_code != 400 or name in ACCEPTED:
                raise
            return
        listed = {item["id"]: item["path"] for item in ada.get(f"{failed[0]}/files").json()["items"]}
        assert listed[file] == path
        response = ada.get(f"/api/v1/files/{file}/content")
        assert response.content == b"x"
        value = response.headers["content-disposition"]
        assert value.isascii()
        assert value.startswith('attachment; filename="')
        assert value.count('"') == 2


class TestLongPoll:
    def test_a_line_wakes_whoever_waits_for_it(self, ada: httpx.Client, failed: Failed, stream_of: StreamOf) -> None:
        """The answer comes with the data, long before the wait would end."""
        stream, source = stream_of(0, "stderr"), failed[1][0]
        end = ada.get(f"/api/v1/streams/{stream}").json()["end"]
        asked = threading.Event()

        def wait() -> tuple[float, Any]:
            asked.set()
            answer = ada.get(f"/api/v1/streams/{stream}/lines", params={"from": end, "wait": 25}).json()
            return time.monotonic(), answer

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(wait)
            asked.wait(20)
            written = time.monotonic()
            source.write(rank_stream(0, "stderr"), b"news\n", text_labels(0, "stderr"))
            came, answer = waiting.result(30)
        assert [line["text"] for line in answer["lines"]] == ["news"]
        assert came - written < 20

    def test_a_quiet_stream_answers_empty_when_the_time_is_over(
        self, ada: httpx.Client, failed: Failed, stream_of: StreamOf
    ) -> None:
        stream = stream_of(3, "stderr")
        end = ada.get(f"/api/v1/streams/{stream}").json()["end"]
        begun = time.monotonic()
        answer = ada.get(f"/api/v1/streams/{stream}/lines", params={"from": end, "wait": 0.5}).json()
        assert answer["lines"] == []
        assert time.monotonic() - begun >= 0.5
