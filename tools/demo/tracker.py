"""The tracker as a person sees it: its API with an administrator's key."""

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from tools.demo.errors import DemoError

# The tracker is on this machine: a proxy that is set for the outside must not be asked for it.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Tracker:
    """address: http://host:port, without a path."""

    address: str
    key: str

    def get(self, path: str, **query: str | int) -> Any:
        """The decoded JSON answer of a door below /api/v1; DemoError with its words where it refuses."""
        url = f"{self.address}/api/v1{path}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        return json.loads(self._open(url, {"Authorization": f"Bearer {self.key}"}))

    def page(self) -> str:
        """The UI's first page, as a browser gets it before it has logged in."""
        return self._open(self.address + "/", {"Accept": "text/html"}).decode()

    def last_lines(self, run_path: str, count: int) -> list[tuple[str, list[str]]]:
        """Title and last `count` lines of stdout of each rank, in order. run_path: /<entity>/<project>/<run>."""
        ranks = [rank for rank in self.get(f"/runs{run_path}/ranks")["items"] if rank["rank"] is not None]
        found = []
        for rank in sorted(ranks, key=lambda rank: (rank["rank"], rank["attempt"], rank["restart"])):
            lines: list[str] = []
            for stream in rank["streams"]:
                if stream["kind"] == "stdout":
                    answer = self.get(f"/streams/{stream['id']}/lines", last=count)
                    lines += [line["text"] for line in answer["lines"] if "text" in line]
            found.append((f"rank {rank['rank']} on {rank['pod']}", lines[-count:]))
        return found

    @staticmethod
    def _open(url: str, headers: dict[str, str]) -> bytes:
        request = urllib.request.Request(url, headers=headers)
        try:
            with _OPENER.open(request, timeout=10) as answer:
                body: bytes = answer.read()
                return body
        except urllib.error.HTTPError as error:
            with error:
                words = error.read(2048).decode(errors="replace").strip()
            raise DemoError(f"the tracker answered {error.code} to {url}: {words}") from error
        except OSError as error:
            raise DemoError(f"the tracker does not answer at {url}: {error}") from error
