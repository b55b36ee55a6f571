"""What the doors decide by themselves: who may see what, which questions make sense, how answers are dressed."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from outrider_sidecar import contract
from outrider_tracker.api import headers, mount, web
from outrider_tracker.notifier import stream_topic
from outrider_tracker.services import Services
from outrider_tracker.store.errors import StoreError
from outrider_tracker.store.records import (
    Collection,
    FileInfo,
    LostRange,
    Run,
    SeriesLine,
    StoredFile,
    StreamBytes,
    StreamInfo,
)

ADA = {"Authorization": "Bearer key-of-ada"}
ROOT = {"Authorization": "Bearer key-of-root"}
SAME = {"Origin": "http://tracker.test", "Sec-Fetch-Site": "same-origin"}


def make_run(name: str, entity: str = "vision", **record: Any) -> Run:
    body = {"namespace": entity, "name": name, "state": "Running", "ranks": {"expected": 4, "running": 4}, **record}
    return Run(name, entity, "resnet", f"/{entity}/resnet/runs/{name}", body, Collection(0, 0, 0.5, 1, ()))


def make_stream(number: int, entity: str = "vision", **change: Any) -> StreamInfo:
    base = StreamInfo(number, "uid-1", entity, "run-1", "train/0/stdout", "stdout", {}, 0, 0, 0, None, 0)
    return dataclasses.replace(base, **change)


def code(response: httpx.Response) -> str:
    """The error's code; its message must be a sentence."""
    error = response.json()["error"]
    assert error["message"].strip().endswith("."), error
    return str(error["code"])


class TestWhoAsks:
    @pytest.mark.parametrize(
        "sent",
        [
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic key-of-ada"},
            {"Authorization": "Bearer "},
            {"Cookie": "outrider_session=session.nobody.9"},
            {"Cookie": "outrider_session=upload.ada.9"},
        ],
    )
    @pytest.mark.parametrize(
        "path", ["/session", "/runs", "/runs/a/b/c", "/streams/1/lines?last=1", "/files/x/content"]
    )
    async def test_nobody_gets_401_everywhere(self, client: httpx.AsyncClient, sent: dict[str, str], path: str) -> None:
        response = await client.get(f"/api/v1{path}", headers=sent)
        assert response.status_code == 401
        assert code(response) == contract.ERROR_UNAUTHENTICATED
        assert response.headers["www-authenticate"] == "Bearer"

    async def test_an_error_never_repeats_the_key(self, client: httpx.AsyncClient) -> None:
        for response in (
            await client.get("/api/v1/runs", headers={"Authorization": "Bearer sesame-open"}),
            await client.post("/api/v1/session", json={"key": "sesame-open"}, headers=SAME),
            await client.post("/api/v1/session", json={"key": ["sesame-open"]}, headers=SAME),
        ):
            assert response.status_code in {400, 401}
            assert "sesame" not in response.text

    async def test_a_login_sets_a_cookie_that_scripts_and_other_sites_cannot_use(
        self, client: httpx.AsyncClient
    ) -> None:
        response = await client.post("/api/v1/session", json={"key": "key-of-ada"}, headers=SAME)
        assert response.status_code == 200
        assert response.json() == {
            "user": {"name": "ada", "admin": False, "entities": ["vision"]},
            "version": "1.2.3",
        }
        cookie = response.headers["set-cookie"].lower()
        assert {"httponly", "samesite=strict", "path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "key-of-ada" not in cookie
        assert (await client.get("/api/v1/session")).json()["user"]["name"] == "ada"

    async def test_logging_out_ends_it(self, client: httpx.AsyncClient) -> None:
        await client.post("/api/v1/session", json={"key": "key-of-ada"}, headers=SAME)
        json_type = {"Content-Type": "application/json"}
        assert (await client.delete("/api/v1/session", headers={**SAME, **json_type})).status_code == 204
        assert (await client.get("/api/v1/session")).status_code == 401

    async def test_over_tls_the_cookie_stays_on_tls(self, client: httpx.AsyncClient) -> None:
        url = "https://tracker.test/api/v1/session"
        response = await client.post(url, json={"key": "key-of-ada"})
        assert "secure" in response.headers["set-cookie"].lower()

    @pytest.mark.parametrize(
        ("public", "secure"), [("", False), ("http://runs.test", False), ("https://runs.test", True)]
    )
    async def test_behind_a_proxy_the_public_address_decides_and_no_header_does(
        self, services: Services, public: str, secure: bool
    ) -> None:
        app = FastAPI()
        mount(app, dataclasses.replace(services, public_url=public))
        forged = {"X-Forwarded-Proto": "https", "Forwarded": "proto=https", "X-Forwarded-Ssl": "on"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tracker.test") as client:
            response = await client.post("/api/v1/session", json={"key": "key-of-ada"}, headers={**SAME, **forged})
        assert response.status_code == 200
        assert ("secure" in response.headers["set-cookie"].lower()) is secure


class TestWhatIsNotThere:
    @pytest.mark.parametrize(
        "path",
        ["/api", "/api/v1/nothing", "/api/v1/runs/only-an-id", "/api/v2/runs", "/api/v1/streams/1/no", "/ingest/v2/x"],
    )
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_an_unknown_address_is_answered_in_the_form_of_all_errors(
        self, client: httpx.AsyncClient, path: str, method: str
    ) -> None:
        response = await client.request(method, path, headers=ADA)
        assert (response.status_code, code(response)) == (404, "not_found")
        assert path in response.json()["error"]["message"]
        assert response.headers["x-content-type-options"] == "nosniff"

    async def test_a_wrong_method_says_which_are_right(self, client: httpx.AsyncClient) -> None:
        response = await client.delete("/api/v1/runs", headers=ADA)
        assert (response.status_code, code(response)) == (405, "method_not_allowed")
        assert response.headers["allow"] == "GET"


class TestCrossSiteCalls:
    @pytest.mark.parametrize(
        "sent",
        [
            {"Origin": "http://evil.test"},
            {"Origin": "null"},
            {"Origin": "http://[::1"},
            {"Origin": "http://tracker.test.evil.test"},
            {"Origin": "http://tracker.test:81"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    async def test_another_site_cannot_log_in_or_out(self, client: httpx.AsyncClient, sent: dict[str, str]) -> None:
        for method in ("POST", "DELETE"):
            response = await client.request(method, "/api/v1/session", json={"key": "key-of-ada"}, headers=sent)
            assert (response.status_code, code(response)) == (403, "cross_site")
            assert "set-cookie" not in response.headers

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
    async def test_what_a_plain_form_can_send_is_refused(self, client: httpx.AsyncClient, kind: str) -> None:
        sent = {**SAME, "Content-Type": kind}
        response = await client.request("POST", "/api/v1/session", content=b'{"key": "key-of-ada"}', headers=sent)
        assert response.status_code in {400, 415}
        assert "set-cookie" not in response.headers

    async def test_clients_that_are_no_browsers_need_no_origin(self, client: httpx.AsyncClient) -> None:
        assert (await client.post("/api/v1/session", json={"key": "key-of-ada"})).status_code == 200


class TestWhatOneMaySee:
    async def test_lists_ask_the_store_for_ones_own_entities_only(self, client: httpx.AsyncClient, reader: Any) -> None:
        reader.runs = [make_run("mine"), make_run("theirs", "speech")]
        names = [run["name"] for run in (await client.get("/api/v1/runs", headers=ADA)).json()["items"]]
        assert names == ["mine"]
        names = [run["name"] for run in (await client.get("/api/v1/runs", headers=ROOT)).json()["items"]]
        assert names == ["mine", "theirs"]
        assert [asked[0].reader.name for asked in reader.asked] == ["ada", "root"]

    @pytest.mark.parametrize("rest", ["", "/ranks", "/streams", "/series", "/series/data?key=loss", "/files"])
    async def test_a_foreign_run_and_a_missing_one_look_the_same(
        self, client: httpx.AsyncClient, reader: Any, rest: str
    ) -> None:
        reader.runs = [make_run("theirs", "speech")]
        foreign = await client.get(f"/api/v1/runs/speech/resnet/theirs{rest}", headers=ADA)
        missing = await client.get(f"/api/v1/runs/speech/resnet/nosuch{rest}", headers=ADA)
        assert foreign.status_code == missing.status_code == 404
        assert foreign.text.replace("theirs", "nosuch") == missing.text
        assert (await client.get(f"/api/v1/runs/speech/resnet/theirs{rest}", headers=ROOT)).status_code == 200

    async def test_a_run_answers_at_its_own_address_only(self, client: httpx.AsyncClient, reader: Any) -> None:
        reader.runs = [make_run("theirs", "speech")]
        assert (await client.get("/api/v1/runs/vision/resnet/theirs", headers=ROOT)).status_code == 404
        assert (await client.get("/api/v1/runs/speech/other/theirs", headers=ROOT)).status_code == 404

    async def test_streams_and_files_of_others_are_missing_too(
        self, client: httpx.AsyncClient, reader: Any, tmp_path: Path
    ) -> None:
        reader.streams, reader.text = {1: make_stream(1, "speech")}, {1: b"secret\n"}
        place = tmp_path / "blob"
        place.write_bytes(b"secret")
        info = FileInfo("f1", "a.txt", 6, "0" * 64, "end", "pod", None, 1.0, 1, "speech", "run-1")
        reader.files = [StoredFile(info, place)]
        for path in ("/streams/1", "/streams/1/lines?last=5", "/streams/1/bytes", "/files/f1/content"):
            response = await client.get(f"/api/v1{path}", headers=ADA)
            assert (response.status_code, code(response)) == (404, "not_found"), path
            assert "secret" not in response.text
            assert (await client.get(f"/api/v1{path}", headers=ROOT)).status_code == 200


class TestQuestions:
    @pytest.mark.parametrize(
        "path",
        [
            "/runs?limit=0",
            "/runs?limit=501",
            "/runs?state=Happy",
            "/runs?cursor=forged",
            "/streams/1/lines",
            "/streams/1/lines?from=0&last=1",
            "/streams/1/lines?from=-1",
            "/streams/1/lines?from=0&wait=1e9",
            "/streams/1/lines?from=0&wait=nan",
            "/streams/x/lines?last=1",
            "/streams/1/bytes?limit=0",
            "/runs/vision/resnet/mine/series/data",
            "/runs/vision/resnet/mine/series/data?key=a&x=mood",
            "/runs/vision/resnet/mine/series/data?key=a&from=inf",
            "/runs/vision/resnet/mine/series/data?key=a&from=5&to=2",
        ],
    )
    async def test_what_makes_no_sense_is_400_with_a_sentence(
        self, client: httpx.AsyncClient, reader: Any, path: str
    ) -> None:
        reader.runs, reader.streams, reader.text = [make_run("mine")], {1: make_stream(1)}, {1: b""}
        response = await client.get(f"/api/v1{path}", headers=ADA)
        assert (response.status_code, code(response)) == (400, "invalid")

    async def test_a_generation_that_never_was_is_missing(self, client: httpx.AsyncClient, reader: Any) -> None:
        reader.streams, reader.text = {1: make_stream(1)}, {1: b"a\n"}
        for path in ("lines?last=1&generation=3", "lines?from=0&generation=3", "bytes?generation=3"):
            assert (await client.get(f"/api/v1/streams/1/{path}", headers=ADA)).status_code == 404

    async def test_a_store_that_cannot_answer_is_503_not_401(
        self, client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(key: str) -> None:
            raise StoreError("disk")

        monkeypatch.setattr(services.people, "authenticate_key", broken)
        response = await client.get("/api/v1/runs", headers=ADA)
        assert (response.status_code, code(response)) == (503, contract.ERROR_UNAVAILABLE)
        assert int(response.headers["retry-after"]) > 0

    async def test_a_record_with_nulls_and_fields_of_a_newer_controller_is_shown(
        self, client: httpx.AsyncClient, reader: Any
    ) -> None:
        failure = {"rank": 3, "reason": "OOMKilled", "lastWords": None, "phase": "new"}
        reader.runs = [make_run("mine", tags=None, config=None, ranks=None, failure=failure, later={"a": 1})]
        run = (await client.get("/api/v1/runs/vision/resnet/mine", headers=ADA)).json()
        assert (run["tags"], run["config"], run["ranks"]["running"]) == ([], {}, 0)
        assert run["failure"]["lastWords"] == []
        assert run["failure"]["phase"] == "new"
        assert "later" not in run
        assert run["project"] == "resnet"

    async def test_numbers_that_json_lacks_are_strings(self, client: httpx.AsyncClient, reader: Any) -> None:
        reader.runs = [make_run("mine")]
        nan, inf = float("nan"), float("inf")
        reader.curves = [
            SeriesLine("rank 0", 0, 0, 1, (1.0, 2.0, 3.0), (nan, -inf, 1.0), (inf, 1.0, 1.0), (nan, 0.5, 1.0))
        ]
        url = "/api/v1/runs/vision/resnet/mine/series/data?key=loss&x=step&points=7&from=1&to=9"
        answer = (await client.get(url, headers=ADA)).json()
        assert reader.asked == [("loss", "step", 7, 1.0, 9.0)]
        assert (answer["key"], answer["x"]) == ("loss", "step")
        assert answer["lines"][0]["min"] == ["NaN", "-Infinity", 1.0]
        assert answer["lines"][0]["max"][0] == "Infinity"


class TestWaitingForLines:
    @pytest.fixture(autouse=True)
    def growing(self, reader: Any) -> None:
        reader.streams, reader.text = {1: make_stream(1)}, {1: b"one\ntw"}

    async def grow(self, reader: Any, services: Services, data: bytes) -> None:
        services.notifier.start(asyncio.get_running_loop())
        reader.text[1] += data
        services.notifier.publish([stream_topic(1)])

    async def test_what_is_there_is_answered_at_once(self, client: httpx.AsyncClient) -> None:
        response = await client.get("/api/v1/streams/1/lines?from=0&wait=30", headers=ADA)
        assert response.json() == {
            "generation": 0,
            "start": 0,
            "end": 6,
            "lines": [{"offset": 0, "text": "one"}, {"offset": 4, "text": "tw"}],
            "partial": True,
        }

    async def test_an_unfinished_line_that_was_seen_is_no_news_until_it_grows(
        self, client: httpx.AsyncClient, reader: Any, services: Services
    ) -> None:
        url = "/api/v1/streams/1/lines?from=4&seen=6&wait=30"
        asking = asyncio.create_task(client.get(url, headers=ADA))
        await asyncio.wait_for(services.notifier.waited.wait(), 20)  # type: ignore[attr-defined]
        assert not asking.done()
        await self.grow(reader, services, b"o\n")
        answer = (await asking).json()
        assert answer["lines"] == [{"offset": 4, "text": "two"}]
        assert answer["partial"] is False

    async def test_a_lost_hint_only_delays(self, client: httpx.AsyncClient, reader: Any, services: Services) -> None:
        """Bytes that came without any notification are found by looking again."""
        asking = asyncio.create_task(client.get("/api/v1/streams/1/lines?from=6&wait=30", headers=ADA))
        await asyncio.wait_for(services.notifier.waited.wait(), 20)  # type: ignore[attr-defined]
        reader.text[1] += b"o\n"
        assert (await asyncio.wait_for(asking, 20)).json()["end"] == 8

    async def test_waiting_ends_with_its_time(self, client: httpx.AsyncClient) -> None:
        answer = (await client.get("/api/v1/streams/1/lines?from=6&wait=0.05", headers=ADA)).json()
        assert (answer["start"], answer["end"], answer["lines"]) == (6, 6, [])

    async def test_a_closed_generation_is_not_waited_for(self, client: httpx.AsyncClient, reader: Any) -> None:
        reader.streams[1] = make_stream(1, generation=1)
        url = "/api/v1/streams/1/lines?from=6&wait=30&generation=0"
        assert (await asyncio.wait_for(client.get(url, headers=ADA), 20)).json()["generation"] == 0

    async def test_a_stopping_tracker_lets_go(self, client: httpx.AsyncClient, services: Services) -> None:
        services.notifier.close()
        url = "/api/v1/streams/1/lines?from=6&wait=30"
        assert (await asyncio.wait_for(client.get(url, headers=ADA), 20)).status_code == 200


class TestBytes:
    async def test_a_whole_stream_has_its_length_and_the_headers_of_user_bytes(
        self, client: httpx.AsyncClient, reader: Any
    ) -> None:
        data = b"<script>alert(1)</script>\n" * 9
        reader.streams, reader.text = {1: make_stream(1, end=len(data))}, {1: data}
        response = await client.get("/api/v1/streams/1/bytes?offset=2", headers=ADA)
        assert response.content == data[2:]
        assert response.headers["content-length"] == str(len(data) - 2)
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.headers["content-disposition"].startswith('attachment; filename="uid-1-train-0-stdout.log"')
        for name, value in headers.USER_BYTES.items():
            assert response.headers[name] == value

    async def test_a_lost_range_ends_the_answer_and_is_named(self, client: httpx.AsyncClient, reader: Any) -> None:
        gapped = Gapped()
        reader.streams, reader.read_bytes = {1: make_stream(1, end=20, lost_bytes=10)}, gapped
        response = await client.get("/api/v1/streams/1/bytes", headers=ADA)
        assert (response.content, response.headers["outrider-lost"]) == (b"first", "5-15")
        response = await client.get("/api/v1/streams/1/bytes?offset=15", headers=ADA)
        assert (response.content, "outrider-lost" in response.headers) == (b"later", False)

    async def test_with_marked_gaps_all_of_it_comes(self, client: httpx.AsyncClient, reader: Any) -> None:
        reader.streams, reader.read_bytes = {1: make_stream(1, end=20, lost_bytes=10)}, Gapped()
        response = await client.get("/api/v1/streams/1/bytes?gaps=mark", headers=ADA)
        assert response.content == b"first\n[outrider: 10 bytes are lost here: spool full]\nlater"

    async def test_beyond_the_end_there_is_nothing(self, client: httpx.AsyncClient, reader: Any) -> None:
        reader.streams, reader.text = {1: make_stream(1, end=3)}, {1: b"abc"}
        assert (await client.get("/api/v1/streams/1/bytes?offset=99", headers=ADA)).content == b""


class Gapped:
    """A stream of 20 bytes of which [5, 15) are lost."""

    def __call__(self, stream: int, generation: int | None, offset: int, limit: int) -> StreamBytes:
        data, lost = (
            (b"first"[offset:], LostRange(5, 15, "spool full")) if offset < 5 else (b"later"[offset - 15 :], None)
        )
        return StreamBytes(0, offset, data[:limit], lost, 20)


class TestPages:
    @pytest.fixture
    async def pages(self, tmp_path: Path) -> Any:
        app = FastAPI()
        app.include_router(web.router(tmp_path))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tracker.test") as made:
            yield made

    async def test_without_a_build_the_page_says_what_to_do(self, pages: httpx.AsyncClient) -> None:
        response = await pages.get("/")
        assert response.status_code == 503
        assert "make web" in response.text
        assert response.headers["content-type"].startswith("text/plain")

    async def test_every_page_is_the_same_document_under_a_strict_policy(
        self, pages: httpx.AsyncClient, tmp_path: Path
    ) -> None:
        (tmp_path / "index.html").write_text("<!doctype html>built")
        for path in ("/", "/login", "/vision/resnet/runs/resnet-1", "/a%20b/c/runs/d"):
            response = await pages.get(path)
            assert response.status_code == 200
            assert response.text == "<!doctype html>built"
            assert response.headers["cache-control"] == "no-cache"
            for name, value in headers.PAGE.items():
                assert response.headers[name] == value

    async def test_assets_are_kept_for_ever_and_nothing_else_is_served(
        self, pages: httpx.AsyncClient, tmp_path: Path
    ) -> None:
        (tmp_path / "assets").mkdir()
        (tmp_path / "assets" / "index-a1b2.js").write_text("1")
        (tmp_path / "secret.js").write_text("2")
        (tmp_path / "assets" / "notes.txt").write_text("3")
        response = await pages.get("/assets/index-a1b2.js")
        assert response.headers["content-type"].startswith("text/javascript")
        assert "immutable" in response.headers["cache-control"]
        for name in ("..%2fsecret.js", "%2e%2e/secret.js", "notes.txt", "nosuch.js", ".js"):
            assert (await pages.get(f"/assets/{name}")).status_code == 404, name
