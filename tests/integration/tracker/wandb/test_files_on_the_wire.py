"""Files of runs by signed addresses: PUT, listed, GET, deleted; names that are nobody's paths."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.tracker.process import KEY, TrackerProcess, until
from tests.integration.tracker.wandb.client import CREATE_FILES, DELETE_FILES, ENTITY, FILES, PROJECT, Wire


@pytest.fixture(scope="module")
def wire(tracker: TrackerProcess) -> Iterator[Wire]:
    """The administrator's client."""
    with Wire(tracker) as made:
        yield made


@pytest.fixture(scope="module")
def bare() -> Iterator[httpx.Client]:
    """File transfers carry no credentials."""
    with httpx.Client(timeout=30.0, trust_env=False) as made:
        yield made


def put(wire: Wire, bare: httpx.Client, run: str, name: str, data: bytes) -> None:
    url = wire.upload_urls(run, name)[0]
    assert url is not None
    assert bare.put(url, content=data).status_code == 200


NAMES = ["config.yaml", "media/images/x y_0.png", "ü/日本/100%.txt", "a?b#c&d=e", "empty"]


def test_there_and_back(wire: Wire, bare: httpx.Client) -> None:
    run = wire.begin()
    data = {name: name.encode() * 1000 for name in NAMES} | {"empty": b""}
    urls = wire.upload_urls(run, *NAMES)
    for name, url in zip(NAMES, urls, strict=True):
        assert url is not None
        assert url.startswith(str(wire.http.base_url).rstrip("/"))
        assert bare.put(url, content=data[name]).status_code == 200
    found = {file["name"]: file for file in wire.files(run)}
    assert list(found) == sorted(NAMES)
    for name, file in found.items():
        assert file["sizeBytes"] == len(data[name])
        assert file["md5"] == base64.b64encode(hashlib.md5(data[name]).digest()).decode()
        assert file["updatedAt"].endswith("Z")
        assert bare.get(file["url"]).content == bare.get(file["directUrl"]).content == data[name]
    assert found["media/images/x y_0.png"]["mimetype"] == "image/png"


def test_as_many_addresses_as_names(wire: Wire) -> None:
    run = wire.begin()
    assert wire.upload_urls(run) == []
    names = ["ok", "../up", "/root", "a//b", "nul\0", "x" * 2000, "a/../../b", "ok2", "ok"]
    assert [url is not None for url in wire.upload_urls(run, *names)] == [
        True, False, False, False, False, False, False, True, True,
    ]  # fmt: skip


def test_the_newest_content_counts(wire: Wire, bare: httpx.Client) -> None:
    """`policy="live"` sends a file whenever it changes."""
    run = wire.begin()
    put(wire, bare, run, "a", b"one")
    old = wire.files(run)[0]["url"]
    put(wire, bare, run, "a", b"two")
    assert [file["sizeBytes"] for file in wire.files(run)] == [3]
    assert bare.get(old).content == b"two"


def test_names_patterns_and_pages(wire: Wire, bare: httpx.Client) -> None:
    run = wire.begin()
    for number in range(5):
        put(wire, bare, run, f"f{number}.txt", b"x" * number)
    put(wire, bare, run, "g.bin", b"x")
    assert [file["name"] for file in wire.files(run, pattern="%.txt")] == [f"f{number}.txt" for number in range(5)]
    missing = wire.files(run, fileNames=["absent", "f1.txt"])
    assert [(file["name"], file["sizeBytes"], file["updatedAt"] is None) for file in missing] == [
        ("absent", 0, True),
        ("f1.txt", 1, False),
    ]
    seen, cursor = [], None
    while True:
        found = wire.ask(FILES, entity=ENTITY, project=PROJECT, name=run, fileLimit=2, fileCursor=cursor)
        page = found["project"]["run"]["files"]
        seen += [edge["node"]["name"] for edge in page["edges"]]
        cursor = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == [*(f"f{number}.txt" for number in range(5)), "g.bin"]
    assert found["project"]["run"]["fileCount"] == 6


def test_delete(wire: Wire, bare: httpx.Client) -> None:
    run = wire.begin()
    put(wire, bare, run, "a", b"a")
    put(wire, bare, run, "b", b"b")
    asked = wire.ask(FILES, entity=ENTITY, project=PROJECT, name=run)
    first, second = (edge["node"] for edge in asked["project"]["run"]["files"]["edges"])
    number = int(asked["project"]["internalId"])
    assert wire.ask(DELETE_FILES, files=[first["id"]], projectId=number)["deleteFiles"]["success"] is True
    assert [file["name"] for file in wire.files(run)] == ["b"]
    gone = bare.get(first["url"])
    assert (gone.status_code, "no file" in gone.json()["errors"][0]["message"]) == (404, True)
    assert bare.get(second["url"]).content == b"b"


def test_the_bytes_are_nobodys_page(wire: Wire, bare: httpx.Client) -> None:
    """HTML and SVG of users must not run in the tracker's origin."""
    run = wire.begin()
    put(wire, bare, run, "media/html/evil.html", b"<script>alert(1)</script>")
    answer = bare.get(wire.files(run)[0]["url"])
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")


def test_ranges(wire: Wire, bare: httpx.Client) -> None:
    run = wire.begin()
    put(wire, bare, run, "a", b"0123456789")
    url = wire.files(run)[0]["url"]
    part = bare.get(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    assert bare.get(url, headers={"Range": "bytes=10-"}).status_code == 416
    head = bare.head(url)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "10", b"")


def test_an_address_is_for_one_thing(wire: Wire, bare: httpx.Client) -> None:
    run = wire.begin()
    upload = wire.upload_urls(run, "a")[0]
    assert upload is not None
    assert bare.put(upload, content=b"x").status_code == 200
    download = wire.files(run)[0]["url"]
    base, token = download.rsplit("/", 1)
    for method, url in (
        ("PUT", upload[:-4] + "AAAA"),
        ("PUT", upload.rsplit("/", 1)[0] + "/" + token),
        ("GET", base + "/" + upload.rsplit("/", 1)[1]),
        ("GET", base + "/nonsense"),
        ("GET", base + "/a.b.c"),
    ):
        answer = bare.request(method, url, content=b"x" if method == "PUT" else None)
        assert answer.status_code == 403, url
        assert answer.json()["errors"][0]["message"]


def test_addresses_follow_the_way_the_client_came(tracker: TrackerProcess) -> None:
    """A pod reaches the tracker by another name than a browser does."""
    headers = {"Host": "tracker.outrider.svc:8443", "X-Forwarded-Host": "evil.example.com"}
    with (
        httpx.Client(base_url=tracker.base, auth=("api", KEY), trust_env=False, timeout=30.0) as client,
        Wire(tracker) as wire,
    ):
        run = wire.begin()
        body = {
            "query": CREATE_FILES,
            "variables": {"entity": ENTITY, "project": PROJECT, "run": run, "files": ["a"]},
        }
        found = client.post("/graphql", json=body, headers=headers).json()["data"]["createRunFiles"]["files"][0]
        assert urlsplit(found["uploadUrl"]).netloc == "tracker.outrider.svc:8443"


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    with TrackerProcess(tmp_path / "data") as tracker, Wire(tracker) as wire:
        run = wire.begin()
        url = wire.upload_urls(run, "half")[0]
        assert url is not None
        staging = tmp_path / "data" / "staging"
        parts = urlsplit(tracker.base)
        head = f"PUT {urlsplit(url).path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 3000000\r\n\r\n"
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
            connection.sendall(head.encode() + os.urandom(2_000_000))
            until(lambda: list(staging.iterdir()) != [], "it is being received")
        until(lambda: list(staging.iterdir()) == [], "nothing of it is kept")
        assert wire.files(run) == []
        assert wire.files(run, fileNames=["half"])[0]["sizeBytes"] == 0


def test_files_of_a_run_that_is_not_there(wire: Wire) -> None:
    asked = {"entity": ENTITY, "project": PROJECT, "run": "absent", "files": ["a"]}
    assert wire.send(CREATE_FILES, **asked).status_code == 404
