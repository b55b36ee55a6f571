"""An archive is pushed to a registry whole: what `make images REGISTRY=...` ends with."""

import hashlib
import json
import shutil
import tarfile
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tools.cluster.images import ImageConfig, write_archive
from tools.images.engine import Buildah

BUILDAH = shutil.which("buildah")


class Registry(ThreadingHTTPServer):
    """As much of the OCI distribution API as a push needs. Keeps blobs by digest and manifests by name."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Door)
        self.blobs: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_address[1]}"


class Door(BaseHTTPRequestHandler):
    """One connection to the registry."""

    server: Registry
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""

    def answer(self, status: int, **headers: str) -> None:
        """An answer without a body."""
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def body(self) -> bytes:
        """What was sent, in one piece or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def do_GET(self) -> None:
        """Only the question whether this is a registry."""
        self.answer(200 if self.path == "/v2/" else 404)

    def do_HEAD(self) -> None:
        """Whether a blob is there."""
        digest = self.path.rpartition("/")[2]
        self.answer(200 if digest in self.server.blobs else 404)

    def do_POST(self) -> None:
        """The begin of an upload."""
        self.body()
        upload = uuid.uuid4().hex
        self.server.uploads[upload] = b""
        self.answer(202, Location=f"/upload/{upload}", Docker_Upload_UUID=upload)

    def do_PATCH(self) -> None:
        """More of an upload."""
        upload = urlsplit(self.path).path.rpartition("/")[2]
        self.server.uploads[upload] += self.body()
        end = len(self.server.uploads[upload]) - 1
        self.answer(202, Location=f"/upload/{upload}", Docker_Upload_UUID=upload, Range=f"0-{end}")

    def do_PUT(self) -> None:
        """The end of an upload, or a manifest."""
        url = urlsplit(self.path)
        content = self.body()
        if "/manifests/" in url.path:
            self.server.manifests[url.path.removeprefix("/v2/")] = content
            self.answer(201, Docker_Content_Digest=f"sha256:{hashlib.sha256(content).hexdigest()}")
            return
        whole = self.server.uploads.pop(url.path.rpartition("/")[2]) + content
        (digest,) = parse_qs(url.query)["digest"]
        assert digest == f"sha256:{hashlib.sha256(whole).hexdigest()}"
        self.server.blobs[digest] = whole
        self.answer(201, Docker_Content_Digest=digest)


@pytest.fixture
def registry() -> Iterator[Registry]:
    """An empty registry on loopback."""
    with Registry() as found:
        serving = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        yield found
        found.shutdown()
        serving.join()


@pytest.mark.skipif(not BUILDAH, reason="no buildah: run tools/install-prerequisites to have this too")
def test_all_of_an_image_arrives_under_the_name_that_was_asked_for(registry: Registry, tmp_path: Path) -> None:
    """Configuration and layer are in the registry, and the manifest of the tag names both."""
    file = tmp_path / "motd"
    file.write_text("hello")
    with tarfile.open(tmp_path / "layer.tar", "w") as layer:
        layer.add(file, arcname="etc/motd")
    archive = tmp_path / "image.tar"
    image_id = write_archive(archive, "tool:1", [tmp_path / "layer.tar"], ImageConfig(command=("x",)), "amd64")
    assert BUILDAH
    pushing = Buildah(BUILDAH, tmp_path / "store", verify_tls=False)
    pushing.push(archive, "docker.io/library/tool:1", f"{registry.address}/me/tool:2")
    manifest = json.loads(registry.manifests["me/tool/manifests/2"])
    assert manifest["config"]["digest"] == f"sha256:{image_id}"
    assert {manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])} <= registry.blobs.keys()
    assert len(manifest["layers"]) == 1
