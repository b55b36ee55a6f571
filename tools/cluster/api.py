"""A small client of the cluster's own API server, for what bringing it up needs (everything else uses kubectl)."""

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from tools.cluster.errors import ClusterError
from tools.cluster.pki import Pair


@dataclass(frozen=True, slots=True)
class ApiClient:
    """Talks to one API server with a client certificate, past any proxy."""

    url: str
    authority: Pair
    user: Pair

    def get(self, path: str) -> Any:
        """The object at a path; LookupError where there is none."""
        return json.loads(self._send("GET", path))

    def text(self, path: str) -> str:
        """What a path answers, as text."""
        return self._send("GET", path)

    def ensure(self, path: str, item: dict[str, Any]) -> None:
        """Create an object in the collection at `path`, or leave the one of its name as it is."""
        try:
            self.get(f"{path}/{item['metadata']['name']}")
        except LookupError:
            self._send("POST", path, item)

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> str:
        tls = ssl.create_default_context(cafile=str(self.authority.crt))
        tls.load_cert_chain(self.user.crt, self.user.key)
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))
        try:
            with opener.open(request, timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                words = error.read(1000).decode(errors="replace")
            if error.code == 404:
                raise LookupError(f"{path}: not found") from error
            if error.code >= 500 or error.code == 429:
                raise ConnectionError(f"{method} {path}: {error.code} {words}") from error
            raise ClusterError(f"{method} {path}: {error.code} {words}") from error
